import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score, f1_score
from sklearn.utils.class_weight import compute_class_weight

from tests.data.files import encoded, picture
from tl_core.data.dataset import Dataset
from tl_core.data.decisions import Decision
from tl_core.data.language_id import LANGUAGES, detect_language, languages_of
from tl_core.data.picture_stats import measure_picture_file, picture_stats_of
from tl_core.data.profile import count_tokens, profile, profile_cache, profile_sentences, text_stats
from tl_core.data.profile.data_profile import Profile
from tl_core.data.profile.size_stats import quantiles
from tl_core.data.sources import import_data
from tl_core.training.inputs import batches
from tl_core.types import dump, load

ARTICLE = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience "
    "and should act towards one another in a spirit of brotherhood.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt "
    "und sollen einander im Geiste der Brüderlichkeit begegnen.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de "
    "conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью.",
    "zh": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。",
}


def table(make_table, workspace, rows):
    return import_data(make_table("text,label\n" + "\n".join(rows) + "\n"), workspace)


def test_the_effect_of_unequal_classes_is_what_scikit_learn_measures(make_table, workspace):
    counts = {"big": 90, "middle": 20, "small": 5}
    dataset = table(make_table, workspace, [f"about {name} {i},{name}" for name, n in counts.items() for i in range(n)])
    result = profile(dataset).imbalance
    truth = dataset.labels
    answer = DummyClassifier(strategy="most_frequent").fit(truth[:, None], truth).predict(truth[:, None])
    weights = compute_class_weight("balanced", classes=np.arange(3), y=truth)
    assert (result.largest, result.smallest) == ("big", "small")
    assert result.always == pytest.approx(accuracy_score(truth, answer))
    assert result.macro_f1 == pytest.approx(f1_score(truth, answer, average="macro", zero_division=0))
    assert result.weight == pytest.approx(weights[2] / weights[0])
    finding = profile_sentences.imbalance_words(result)
    assert "right for 78% of the items" in finding[0]
    assert "29%" in finding[1]
    assert "as much as 18 of 'big'" in finding[2]


def test_equal_classes_need_no_words(make_table, workspace):
    dataset = table(make_table, workspace, [f"about {i},{'ab'[i % 2]}" for i in range(40)])
    assert profile(dataset).imbalance is None
    assert profile_sentences.imbalance_words(None) == ()


def test_bars_hold_every_item_once_and_the_last_the_giants():
    values = np.array([3, 4, 4, 5, 9, 10, 11, 12] * 10 + [100_000])
    bars = quantiles("Length", "tokens", values).bars
    assert sum(bars.counts) == len(values)
    assert bars.edges[-1] < 100
    for left, right, count in list(zip(bars.edges, bars.edges[1:], bars.counts, strict=False))[:-1]:
        assert count == ((values >= left) & (values < right)).sum()
    assert all(edge == round(edge) for edge in bars.edges)


def test_shapes_brightness_and_colours_of_pictures(make_zip, workspace):
    grey = encoded(Image.fromarray(np.random.default_rng(9).integers(0, 60, (30, 30), dtype=np.uint8)))
    files = {f"a/{i}.png": picture(i, (40, 20)) for i in range(6)} | {
        f"b/{i}.png": picture(50 + i, (20, 50)) for i in range(3)
    }
    dataset = import_data(make_zip({**files, "b/grey.png": grey}), workspace)
    result = profile(dataset).pictures
    assert (result.wide, result.upright, result.square) == (6, 3, 1)
    assert (result.measured, result.grey) == (10, 1)
    assert result.cut == pytest.approx(0.5)
    stats = [measure_picture_file(dataset.folder / path) for path in dataset.items["path"]]
    assert result.brightness.minimum == round(100 * min(stat.brightness for stat in stats))
    assert result.contrast.maximum == round(100 * max(stat.contrast for stat in stats))
    assert "cut-off" in {f.code for f in profile(dataset).findings}
    assert profile_sentences.picture_words(result) == (
        "Shapes: 6 wide, 3 upright, 1 square.",
        "1 of 10 grey, the others in colour.",
    )


def test_what_was_measured_of_a_picture_is_kept(make_zip, workspace):
    dataset = import_data(
        make_zip({f"{c}/{i}.png": picture(10 * n + i) for n, c in enumerate("ab") for i in range(8)}), workspace
    )
    some = np.array([1, 5, 9])
    first = picture_stats_of(dataset, some)
    for path in dataset.items["path"].iloc[some]:
        (dataset.folder / path).unlink()
    assert np.array_equal(picture_stats_of(dataset, some), first)
    assert np.isfinite(picture_stats_of(dataset, np.arange(16))).all()


def test_what_was_measured_before_somebody_stopped_is_kept(make_table, workspace):
    rows = [f"{ARTICLE['en'][: 80 + i % 40]} {i},{'ab'[i % 2]}" for i in range(2500)]
    dataset = table(make_table, workspace, rows)

    def stop(stage, done, total):
        if done >= 2000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        languages_of(dataset, np.arange(2500), stop)
    left = []
    result = languages_of(dataset, np.arange(2500), lambda stage, done, total: left.append(total))
    assert left == [500]
    assert set(result) == {"en"}


def test_a_damaged_cache_of_measurements_is_made_again(make_table, workspace):
    dataset = table(make_table, workspace, [f"{ARTICLE['de'][: 80 + i]} {i},{'ab'[i % 2]}" for i in range(20)])
    rows = np.arange(20)
    for spoilt in (b"", b"PK\3\4 cut off", None):
        cache_file = dataset.folder / "languages.npz"
        cache_file.write_bytes(spoilt) if spoilt is not None else np.savez(
            cache_file, known=np.zeros(3), order=np.zeros(2)
        )
        assert set(languages_of(dataset, rows)) == {"de"}
        assert set(languages_of(dataset, rows, lambda *_: pytest.fail("told twice"))) == {"de"}


@pytest.mark.parametrize("code", ARTICLE)
def test_languages_are_identified(code):
    assert detect_language(ARTICLE[code]) == code
    assert detect_language(ARTICLE[code][:9]) == ""


def test_every_identifiable_language_has_a_name():
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    assert set(LanguageIdentifier.from_model_file(MODEL_FILE).labels) == set(LANGUAGES)


def test_languages_of_a_data_set(make_table, workspace):
    rows = [f'"{ARTICLE[code]} {i}",{"ab"[i % 2]}' for code, n in (("en", 12), ("de", 6)) for i in range(n)]
    result = profile(table(make_table, workspace, [*rows, "short,a", "brief,b"]))
    assert [(item.code, item.count) for item in result.texts.languages] == [("en", 12), ("de", 6), ("", 2)]
    finding = next(f for f in result.findings if f.code == "languages")
    assert finding.message == "The texts are in more than one language: English 67%, German 33%."


@pytest.fixture(scope="session")
def minilm():
    from tl_core.backbones.packages import tokenizer_file
    from tl_core.backbones.spec import BACKBONES

    return tokenizer_file(BACKBONES["all_minilm_l6_v2"])


def test_the_words_of_a_text_are_counted_by_hand(minilm):
    result = text_stats.vocabulary(["The cat sat, unbelievably!", "Cats"], minilm)
    pieces = (count_tokens(["The", "cat", "sat", "unbelievably", "Cats"], minilm) - 2).tolist()  # less [CLS] and [SEP]
    assert max(pieces) > 2
    assert result.words == 5
    assert result.fertility == pytest.approx(sum(pieces) / 5)
    assert result.continued == pytest.approx(sum(p > 1 for p in pieces) / 5)
    assert result.broken == pytest.approx(sum(p >= 4 for p in pieces) / 5)
    assert result.unknown == 0


@pytest.mark.parametrize(("code", "fits"), [("en", True), ("de", False), ("fr", False), ("ru", False), ("zh", False)])
def test_a_vocabulary_that_does_not_fit_is_reported(code, fits, minilm):
    result = text_stats.vocabulary([ARTICLE[code]], minilm)
    finding = profile_sentences.vocabulary_findings(result, ())
    assert bool(finding) is not fits
    if code == "zh":
        assert result.unknown > 0.5
        assert "it cannot read" in finding[0].message


def test_the_vocabulary_fits_the_packaged_sample(minilm, workspace):
    result = text_stats.vocabulary(import_data("sample:bbc_news", workspace).items["text"].tolist()[::20], minilm)
    assert 1.0 < result.fertility < 1.2
    assert not profile_sentences.vocabulary_findings(result, ())


def test_a_tokenizer_that_does_not_separate_words_gives_no_vocabulary(tmp_path):
    from tokenizers import Tokenizer, models

    Tokenizer(models.BPE({"a": 0, "b": 1}, [], unk_token=None)).save(str(tmp_path / "tokenizer.json"))
    assert text_stats.vocabulary(["ab" * 40], tmp_path / "tokenizer.json") is None
    assert text_stats.vocabulary([" ", ""], tmp_path / "tokenizer.json") is None


def test_tokens_are_counted_once_and_in_order(minilm, make_table, workspace, monkeypatch):
    rows = [f"{'word ' * (i % 7 + 1)},{'ab'[i % 2]}" for i in range(30)]
    dataset = table(make_table, workspace, rows)
    first = text_stats.token_counts(dataset, minilm)
    assert first.tolist() == [i % 7 + 3 for i in range(30)]
    assert first.tolist() == count_tokens(dataset.items["text"].tolist(), minilm).tolist()
    monkeypatch.setattr(text_stats, "count_tokens", None)
    assert np.array_equal(text_stats.token_counts(dataset, minilm), first)


@pytest.mark.parametrize("longest", [0, 30])
def test_the_padded_length_is_that_of_the_batches_that_training_makes(longest):
    lengths = np.maximum(3, np.random.default_rng(1).lognormal(3, 0.7, 4000)).astype(np.int64)
    cut = np.minimum(lengths, longest) if longest else lengths
    others = batches(np.arange(len(cut)), 16, cut, torch.Generator().manual_seed(0))
    padded = sum(len(batch) * cut[batch].max() for batch in others) / len(cut)
    assert text_stats.padded_length(lengths, longest) == pytest.approx(padded, rel=0.02)
    assert cut.mean() < padded < np.percentile(cut, 95)


def test_the_padded_length_of_few_texts():
    assert text_stats.padded_length(np.array([5, 9, 7]), 0) == 9
    assert text_stats.padded_length(np.array([5, 9, 7]), 8) == 8
    assert text_stats.padded_length(np.array([], dtype=np.int64), 8) == 0


def several_labels(dataset: Dataset, labels: list[tuple[int, ...]]) -> Dataset:
    items = dataset.items.assign(labels=labels)
    items["label"] = [min(result, default=len(dataset.classes)) for result in labels]
    others = replace(dataset, multilabel=True)
    others.__dict__["items"] = items
    return others


def test_labels_seen_together_are_counted_pair_by_pair(make_table, workspace):
    draw = np.random.default_rng(0)
    base = table(make_table, workspace, [f"about thing {i},{'abcd'[i % 4]}" for i in range(60)])
    labels = [tuple(np.flatnonzero(draw.random(4) < (0.6, 0.4, 0.3, 0.1)).tolist()) for _ in range(60)]
    dataset = several_labels(base, labels)
    result = profile(dataset)
    assert result.multilabel.per_item == tuple(
        sum(len(item) == k for item in labels) for k in range(max(map(len, labels)) + 1)
    )
    for i, first in enumerate(result.multilabel.names):
        for j, second in enumerate(result.multilabel.names):
            both = {dataset.classes.index(first), dataset.classes.index(second)}
            assert result.multilabel.together[i][j] == sum(both <= set(item) for item in labels)
    assert [p.count for p in result.multilabel.pairs] == sorted(
        (p.count for p in result.multilabel.pairs), reverse=True
    )
    assert [c.total for c in result.classes] == [sum(k in item for item in labels) for k in range(4)]
    assert result.splits == {s: int((dataset.splits == s).sum()) for s in ("train", "validation", "test")}
    assert "labels on average" in profile_sentences.multilabel_words(result.multilabel, result)[0]


def test_subgroups_and_the_time_span(make_table, workspace):
    base = table(make_table, workspace, [f"about thing {i},{'ab'[i % 2]}" for i in range(40)])
    stamps = np.where(np.arange(40) < 30, 86_400.0 * np.arange(40), np.nan)
    dataset = replace(base, subgroup_column="site")
    dataset.__dict__["items"] = base.items.assign(subgroup=["north"] * 25 + ["south"] * 10 + [""] * 5, time=stamps)
    result = profile(dataset)
    assert [(g.name, g.total) for g in result.subgroups] == [("north", 25), ("south", 10), ("", 5)]
    assert sum(g.train for g in result.subgroups) == result.n_train
    assert (result.span.first, result.span.last, result.span.dated) == ("1970-01-01", "1970-01-30", 30)


def test_a_profile_is_made_once_for_one_state_of_the_data(make_table, workspace, monkeypatch):
    dataset = table(make_table, workspace, [f"about thing {i},{'ab'[i % 2]}" for i in range(40)])
    first = profile(dataset)
    assert load(Profile, json.loads(json.dumps(dump(first)))) == first
    row = int(dataset.rows("train")[0])
    fewer = profile(dataset.decide(Decision("drop", (row,))))
    assert fewer.n == 39
    assert profile(replace(dataset, name="another")).name == "another"
    monkeypatch.setattr("tl_core.data.profile.find_problems", None)
    assert profile(dataset) == first


def test_profiles_of_other_code_are_made_again_and_old_ones_go(make_table, workspace, monkeypatch):
    dataset = table(make_table, workspace, [f"about thing {i},{'ab'[i % 2]}" for i in range(40)])
    profile(dataset)
    first = profile_cache.profile_file(dataset, "", 0)
    assert first.is_file()
    for number in range(10):
        profile(replace(dataset, name=f"name {number}"))
    assert len(list(dataset.folder.glob("profile-*.json"))) == 8
    monkeypatch.setattr(profile_cache, "_code_digest", lambda: b"another")
    assert profile_cache.profile_file(dataset, "", 0) != first
