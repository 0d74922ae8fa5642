"""What every exporter must keep: a model that is written and loaded predicts as before."""

import numpy as np
import pytest

from tests.export.made import trained_model
from tests.tiny import make_images, make_pairs, make_texts
from tl_core.errors import ExportError
from tl_core.evaluation.predict import PreparedItems, predict
from tl_core.export import EXPORTERS
from tl_core.export.bundle import dataset_items, preprocessor

BACKBONE = {"image": "tiny_image", "text": "tiny_text", "multimodal": "tiny_image+tiny_text"}


@pytest.mark.parametrize("exporter", EXPORTERS.values(), ids=lambda exporter: exporter.name)
@pytest.mark.parametrize("modality", ["image", "text", "multimodal"])
def test_write_and_load(exporter, modality, tmp_path, workspace, tiny_backbones):
    make = {"image": make_images, "text": make_texts, "multimodal": make_pairs}[modality]
    dataset = make(workspace)
    trained = trained_model(dataset, BACKBONE[modality])
    target = tmp_path / f"model{exporter.suffix}"
    result = exporter.write(target, trained)
    assert result.path == target
    assert result.n_compared > 0
    assert result.max_abs_diff <= 1e-4
    items = dataset_items(dataset, dataset.rows("test"))
    loaded = exporter.load(target)
    assert loaded.classes == dataset.classes
    expected = predict(trained.model, trained.spec, PreparedItems(items, preprocessor(trained.spec)))
    assert np.abs(loaded.predict(items) - expected).max() <= 1e-4


@pytest.mark.parametrize("exporter", EXPORTERS.values(), ids=lambda exporter: exporter.name)
def test_nothing_to_load(exporter, tmp_path):
    with pytest.raises(ExportError):
        exporter.load(tmp_path / "nothing")
