from dataclasses import replace

import pytest

from tests.tiny import make_images, make_texts
from tl_core.advice.defaults import default_backbone
from tl_core.backbones.spec import BACKBONES
from tl_core.data.language_id import mostly_english

TEXTS = {
    "German": ["Der Hund schläft den ganzen Tag in der warmen Sonne.", "Morgen regnet es im Süden des Landes."],
    "Chinese": ["今天下雨", "我喜欢吃米饭", "股票周一下跌"],
    "English": ["The dog sleeps all day long in the warm sun.", "It will rain in the south of the country tomorrow."],
    "too short": ["ok", "no", "12"],
    "English with one Chinese": ["The dog sleeps all day long in the warm sun.", "It rains in the south.", "你好"],
}


def dataset_of(workspace, texts):
    dataset = make_texts(workspace)
    items = dataset.items.iloc[: len(texts)].assign(text=texts)
    other = replace(dataset, fingerprint="0" * 16)
    other.__dict__["items"] = items
    return other


@pytest.mark.parametrize("language", TEXTS)
def test_texts_that_are_mostly_not_english_begin_with_the_multilingual_encoder(workspace, language):
    dataset = dataset_of(workspace, TEXTS[language])
    english = language not in ("German", "Chinese")
    assert mostly_english(dataset) is english
    assert default_backbone(dataset)[0] == ("all_minilm_l6_v2" if english else "multilingual_e5_small")


def test_the_default_backbones_exist_and_say_why(workspace):
    for dataset in (make_images(workspace), make_texts(workspace), dataset_of(workspace, TEXTS["Chinese"])):
        name, why = default_backbone(dataset)
        assert BACKBONES[name].modality == dataset.modality
        assert BACKBONES[name].ready
        assert "http" in why.source
