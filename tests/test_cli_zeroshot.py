"""`zeroshot` end to end: from items without labels to a corrected table that `train` reads."""

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.test_cli import call
from tests.tiny import TINY_TEXT
from tl_core.data.sources import import_data
from tl_core.zero_shot.encoder import embed_texts, encode_classes
from tl_core.zero_shot.names import TEMPLATES, prompts
from tl_core.zero_shot.scoring import scores

TEXTS = [f"{word} {word} number {n}, with a comma" for n in range(20) for word in ("red", "blue", "green")]
EMBED = partial(embed_texts, spec=TINY_TEXT)
LABELS = ["red", "blue", "green"] * 20


@pytest.fixture
def pool(tmp_path, tiny_backbones) -> Path:
    """60 texts without labels, in a table."""
    path = tmp_path / "pool.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("said",), *((text,) for text in TEXTS)])
    return path


def sort(capsys, *arguments):
    return call(capsys, "zeroshot", *arguments, "--backbone", "tiny_text")


def read(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_without_labels_is_sorted_corrected_and_trained_on(capsys, pool, tmp_path):
    out = tmp_path / "sorted.csv"
    code, printed, told = sort(capsys, pool, "--classes", "red,blue,text", "--out", out)
    assert code == 0, told
    rows = read(out)
    assert list(rows[0]) == ["id", "text", "label", "score", "margin", "red", "blue", "score of text"]
    assert [row["text"] for row in rows] == TEXTS
    classes = encode_classes(prompts(("red", "blue", "text"), TEMPLATES["text"]), EMBED)
    expected = scores(embed_texts(TEXTS, TINY_TEXT), classes.vectors, classes.scale)
    found = np.array([[float(row[name]) for name in ("red", "blue", "score of text")] for row in rows])
    np.testing.assert_allclose(found, expected, atol=2e-5)
    for row, numbers in zip(rows, found, strict=True):
        best = np.sort(numbers)
        assert row["label"] == ("red", "blue", "text")[numbers.argmax()]
        assert float(row["margin"]) == pytest.approx(best[-1] - best[-2], abs=3e-6)
    assert "60 items are in" in printed
    assert "guesses" in printed
    assert "temperature 0.0" in printed
    for row, label in zip(rows, LABELS, strict=True):
        row["label"] = label
    with open(out, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    dataset = import_data(str(out), _workspace())
    assert (dataset.classes, dataset.items["text"].tolist()) == (("blue", "green", "red"), TEXTS)
    code, printed, told = call(
        *(capsys, "train", out, "--out", tmp_path / "model", "--backbone", "tiny_text"),
        *("--strategy", "feature_extraction", "--json"),
    )
    assert code == 0, told
    assert json.loads((tmp_path / "model" / "labels.json").read_text()) == ["blue", "green", "red"]


def test_labels_that_are_there_are_measured_and_test_items_are_not(capsys, tmp_path, pool):
    table = tmp_path / "labelled.csv"
    with open(table, "w", newline="") as file:
        rows = [("text", "label"), *zip(TEXTS, LABELS, strict=True), ("one more text without a label", "")]
        csv.writer(file).writerows(rows)
    code, printed, told = sort(capsys, table, "--classes", "Red,Blue,Green", "--out", tmp_path / "o.csv", "--json")
    assert code == 0, told
    document, dataset = json.loads(printed), import_data(str(table), _workspace())
    assert document["items"] == 61
    assert sum(document["counts"].values()) == 61
    guessed = {row["text"]: row["label"].lower() for row in read(tmp_path / "o.csv")}
    measured = dataset.rows("train", "validation")
    right = [guessed[TEXTS[row]] == LABELS[row] for row in measured]
    assert len(dataset.rows("test")) > 0
    assert (document["accuracy"]["n"], document["accuracy"]["value"]) == (len(right), np.mean(right))
    code, printed, told = sort(capsys, table, "--classes", "red,blue", "--out", tmp_path / "o.csv")
    assert code == 0
    assert "labels, but of other classes (blue, green, red), so nothing was measured" in printed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--classes", "red"), "only the class 'red'"),
        (("--classes", "red,,blue"), "empty"),
        (("--classes", "red,Red"), "same name"),
        (("--classes", "red,blue", "--template", "about"), "has no {}"),
        (("--classes", "red,blue", "--out", "/nowhere/o.csv"), "cannot be written"),
        (("--classes", "red,blue", "--backbone", "tiny_image"), "reads images, but the data are texts"),
        ((), "--classes"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(capsys, pool, tmp_path, arguments, sentence):
    more = () if "--out" in arguments else ("--out", tmp_path / "o.csv")
    code, printed, told = call(capsys, "zeroshot", pool, *arguments, *more)
    assert (code, printed) == (2, "")
    assert sentence in told
    assert told.count("\n") == 1
    assert not (tmp_path / "o.csv").exists()


def _workspace():
    from tl_core.workspace import Workspace

    return Workspace.default()


def test_no_two_columns_of_scores_have_one_name():
    from tl_core.cli.zeroshot import _score_column

    names = ("id", "score of id", "red")
    assert [_score_column(name, names) for name in names] == ["score of score of id", "score of id", "red"]
