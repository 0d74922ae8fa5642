"""Zero-shot: names, scores, embeddings, and what is measured; compared with the formulas written out."""

from itertools import combinations

import numpy as np
import pytest
import torch

from tests.test_jobs import run
from tests.tiny import TINY_TEXT, write_dataset
from tl_core.backbones.preprocess import preprocessor
from tl_core.data.guesses.sorting import Question, guess, measure, read_sorting
from tl_core.data.split import SplitSpec
from tl_core.errors import BackboneError, DataError
from tl_core.runs.control import MemoryControl
from tl_core.runs.task import Task
from tl_core.statistics.intervals import wilson
from tl_core.zero_shot.encoder import TEMPERATURE, UNRELATED, embed_texts, encode_classes
from tl_core.zero_shot.measured import question_of
from tl_core.zero_shot.names import LONGEST, MOST, check_names, check_templates, prompts, split_names
from tl_core.zero_shot.scoring import Scale, alike_findings, class_vectors, scores


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("sport,politics", ("sport", "politics")),
        ("sport, politics , ", ("sport", "politics ", "")),
        ('"news, world",sport', ("news, world", "sport")),
        ("news, world\nsport\n\n", ("news, world", "sport")),
        ("", ()),
        ("Sport und Spiel,Politik,政治,سياسة", ("Sport und Spiel", "Politik", "政治", "سياسة")),
    ],
)
def test_names_are_split_at_lines_or_else_at_commas(typed, names):
    assert split_names(typed) == names


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ((), "No class is named"),
        (("sport",), "only the class 'sport'"),
        (("sport", " "), "empty"),
        (("sport", "sport"), "'sport' is named twice"),
        (("Sport", "politics", " sport"), "'Sport' and 'sport' are the same name"),
        (("é", "é".replace("é", "e\u0301")), "twice"),
        (("a", "b" * (LONGEST + 1)), "too long"),
        (tuple(map(str, range(MOST + 1))), "1,001 class names"),
    ],
)
def test_names_that_cannot_be_told_apart_are_refused_in_a_sentence(names, reason):
    with pytest.raises(DataError, match=reason):
        check_names(names)


def test_two_hundred_names_in_any_language_are_taken_as_they_are():
    names = (*(f"class {number}" for number in range(200)), "Straße", "政治", "a {} b")
    assert check_names(names) == names
    assert prompts(names, check_templates((" {} ", "On {}.", "{}")))[1][-3:] == ["On Straße.", "On 政治.", "On a {} b."]


@pytest.mark.parametrize("templates", [(), ("no slot",), ("{name}",), ("",), ("On {}.", " ")])
def test_a_template_needs_a_place_for_the_name(templates):
    with pytest.raises(DataError):
        check_templates(templates)


def test_scores_are_the_softmax_of_scaled_cosines():
    random = np.random.default_rng(0)
    items_ND, prompts_TKD = random.normal(size=(5, 7)), random.normal(size=(3, 4, 7))
    expected = np.zeros((5, 4))
    for k in range(4):
        vector = sum(prompts_TKD[t, k] / np.sqrt((prompts_TKD[t, k] ** 2).sum()) for t in range(3)) / 3
        for n in range(5):
            cosine = (items_ND[n] * vector).sum() / np.sqrt((items_ND[n] ** 2).sum() * (vector**2).sum())
            expected[n, k] = np.exp(cosine * 25)
    expected /= expected.sum(axis=1, keepdims=True)
    found = scores(items_ND, class_vectors(prompts_TKD), Scale(25.0))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    guesses = guess(found)
    ordered = np.sort(expected, axis=1)
    assert guesses.label.tolist() == expected.argmax(axis=1).tolist()
    np.testing.assert_allclose(guesses.margin, ordered[:, -1] - ordered[:, -2], rtol=1e-4)


def test_with_a_bias_each_class_is_a_yes_or_no_of_its_own():
    found = scores(np.array([[2.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 3.0]]), Scale(10.0, -4.0))
    np.testing.assert_allclose(found, [[1 / (1 + np.exp(-6.0)), 1 / (1 + np.exp(4.0))]], rtol=1e-6)


def test_an_item_without_any_feature_is_no_error():
    assert scores(np.zeros((1, 3)), np.eye(3), Scale(25.0)).tolist() == [pytest.approx([1 / 3] * 3)]


def test_classes_that_a_backbone_takes_for_the_same_are_named():
    vectors = class_vectors(np.array([[[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]]))
    (finding,) = alike_findings(("cup", "mug", "tree"), vectors, 1.0)
    assert "'cup' and 'mug' (1.00)" in finding.message
    assert "tree" not in finding.message
    assert alike_findings(("cup", "tree"), vectors[[0, 2]], 1.0) == ()
    assert alike_findings(("cup", "mug", "tree"), vectors, 0.01) == ()


def test_texts_are_embedded_as_the_mean_of_the_last_layer_over_their_own_tokens():
    texts = ["a b c", "a much longer text of many words a b c d e f", "b"]
    network, prepare = TINY_TEXT.load(True).eval(), preprocessor(TINY_TEXT)
    with torch.inference_mode():
        alone = []
        for text in texts:
            hidden, _ = network.run(prepare.collate([prepare.prepare(text)], torch.device("cpu")))
            alone.append(hidden[0].mean(dim=0).numpy())
    np.testing.assert_allclose(embed_texts(texts, TINY_TEXT), np.stack(alone), atol=1e-5)
    averaged = sum(row / np.linalg.norm(row) for row in alone[:2])
    encoded = encode_classes([[texts[0]], [texts[1]]], lambda more: embed_texts(more, TINY_TEXT))
    np.testing.assert_allclose(encoded.vectors[0], averaged / np.linalg.norm(averaged), atol=1e-5)
    apart = [
        1 - float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))
        for a, b in combinations(embed_texts(UNRELATED, TINY_TEXT), 2)
    ]
    assert 1 / encoded.scale.factor == pytest.approx(TEMPERATURE * np.mean(apart), rel=1e-4)


def test_a_backbone_of_pictures_embeds_no_text(tiny_backbones):
    from tests.tiny import TINY_IMAGE

    with pytest.raises(BackboneError, match="cannot read texts"):
        embed_texts(["a"], TINY_IMAGE)


def test_accuracy_counts_training_and_validation_items_and_no_copy_of_a_test_item(workspace):
    rows = [{"id": str(n), "label": n % 2, "digest": str(n), "text": f"text {n}"} for n in range(40)]
    rows.append({"id": "copy", "label": 0, "digest": "0", "text": "text 0"})
    dataset = write_dataset(workspace, "labelled", "text", rows, 2)
    pool = write_dataset(workspace, "pool", "text", [row | {"label": 0} for row in rows[::-1]], 1)
    question = Question("tiny_text", ("B", "A"), ("{}",))
    guessed = np.random.default_rng(0).integers(0, 2, len(rows))
    scores_NK = np.eye(2)[guessed]
    right = n = 0
    tested = set(dataset.items["digest"].iloc[dataset.rows("test")])
    for row, label in zip(rows[::-1], guessed, strict=True):
        if row["digest"] not in tested:
            n, right = n + 1, right + (("b", "a")[label] == "ab"[row["label"]])
    assert len(tested) > 0
    assert measure(pool, question, scores_NK, dataset) == wilson(right, n)
    assert measure(pool, Question("tiny_text", ("a", "c"), ("{}",)), scores_NK, dataset) is None
    everything = dataset.with_split(SplitSpec(test=0.0))
    assert measure(pool, question, scores_NK, everything).n == len(rows)


def test_names_that_are_numbers_say_nothing(workspace, tiny_texts):
    assert question_of(tiny_texts, TINY_TEXT, workspace).classes == tiny_texts.classes
    from dataclasses import replace

    assert question_of(replace(tiny_texts, classes=("0", "1")), TINY_TEXT, workspace) is None
    assert question_of(replace(tiny_texts, classes=("a", "A")), TINY_TEXT, workspace) is None
    assert question_of(replace(tiny_texts, multilabel=True), TINY_TEXT, workspace) is None


@pytest.mark.parametrize(
    ("classes", "stopped", "status", "reason"),
    [
        (("a", "b"), True, "stopped", "nothing was kept"),
        (("a", "A"), False, "failed", "are the same name"),
        (("a", "b"), False, "done", "Every item is sorted"),
    ],
)
def test_a_sorting_ends_in_a_sentence_and_only_a_whole_one_is_kept(
    workspace, tiny_texts, tiny_backbones, classes, stopped, status, reason
):
    control = MemoryControl()
    if stopped:
        control.stop()
    task = Task("zeroshot", "tiny_text", tiny_texts.fingerprint, name="sort", classes=classes, templates=("On {}.",))
    ended = run(workspace, task, control)[1][-1]
    assert ended.status == status
    assert reason in ended.reason
    kept = read_sorting(tiny_texts, Question("tiny_text", classes, ("On {}.",)))
    assert (kept is not None) == (status == "done")
