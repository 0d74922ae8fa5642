"""From guesses and answers to a labelled data set: what is tested on, what is learned from, and what is said of it."""

import numpy as np
import pytest

from tl_core.data.dataset import Dataset
from tl_core.data.decisions import Decision
from tl_core.data.guesses.answers import LEAVE_OUT, answer, answers, checked, enough, random_sample, undo_latest
from tl_core.data.guesses.origin import guess_findings, guessed_labels, read_origin
from tl_core.data.guesses.sorting import Question, Sorting, ask, measure, read_scores, read_sorting, write_sorting
from tl_core.data.sources import import_data
from tl_core.data.split import SplitSpec
from tl_core.data.unlabelled import import_unlabelled, is_unlabelled
from tl_core.errors import DataError

CLASSES = ("even", "odd", "never")
QUESTION = Question("some backbone", CLASSES, ("{}",))
WORDS = (
    *("apple", "bridge", "candle", "desert", "engine", "forest", "garden"),
    *("harbour", "island", "jungle", "kitchen", "ladder", "market", "needle"),
)


@pytest.fixture
def pool(workspace, tmp_path) -> Dataset:
    """70 sorted texts, of which rows 60 to 69 are exact copies of rows 0 to 9."""
    texts = [f"{WORDS[n % 14]} {WORDS[n * 5 % 13]} text number {n} {n**3}" for n in range(60)]
    table = tmp_path / "pool.csv"
    table.write_text("said\n" + "\n".join([*texts, *texts[:10]]))
    pool = import_unlabelled(str(table), None, workspace)
    assert is_unlabelled(pool)
    scores = np.tile([0.6, 0.3, 0.1], (70, 1))
    scores[1::2, :2] = scores[1::2, 1::-1]
    write_sorting(pool, Sorting(QUESTION, "by hand"), scores)
    ask(pool, QUESTION)
    return pool


def first_labels(pool: Dataset, workspace) -> Dataset:
    return import_data(f"guesses:{pool.fingerprint}", workspace)


def check_sample(pool: Dataset) -> list[int]:
    sample = [int(row) for row in random_sample(pool)]
    answer(pool, {row: CLASSES[row % 2] for row in sample})
    return sample


def test_a_result_is_read_back_and_a_damaged_one_is_told(pool):
    assert read_sorting(pool, QUESTION).rule == "by hand"
    assert read_sorting(pool, Question("another", CLASSES, ("{}",))) is None
    (pool.folder / "zero-shot" / f"{QUESTION.key}.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match="can no longer be read"):
        read_scores(pool, QUESTION)


def test_an_answer_counts_for_copies_and_can_be_taken_back(pool):
    answer(pool, {3: "never", 20: LEAVE_OUT})
    answer(pool, {63: "odd"})
    assert answers(pool).labels == {3: "odd", 63: "odd", 20: LEAVE_OUT}
    undo_latest(pool)
    assert answers(pool).labels == {3: "never", 63: "never", 20: LEAVE_OUT}
    undo_latest(pool)
    undo_latest(pool)
    assert answers(pool).labels == {}


def test_the_random_sample_depends_on_nothing_that_was_guessed_and_holds_no_two_copies(pool):
    before = random_sample(pool).tolist()
    answer(pool, {0: "odd"})
    assert random_sample(pool).tolist() == before
    assert len(set(pool.items["digest"].iloc[before])) == len(before) == enough(random_sample(pool), {}) == 20


def test_items_of_no_class_are_not_waited_for():
    assert enough(range(20), {}) == 20
    assert enough(range(20), {3: LEAVE_OUT, 4: "odd"}) == 19
    assert enough(range(40), {3: LEAVE_OUT}) == 20
    assert enough(range(2), {0: LEAVE_OUT, 1: LEAVE_OUT}) == 1, "with nothing to test on nothing can go on"


def test_only_the_first_of_the_sample_without_a_gap_are_a_random_sample(pool):
    sample = random_sample(pool)
    picked = {int(row): "odd" for row in sample[[0, 1, 2, 5, 6]]}
    assert checked(sample, picked) == sample[:3].tolist()
    assert checked(sample, picked | {int(sample[3]): LEAVE_OUT}) == sample[:3].tolist()
    filled = picked | {int(sample[3]): LEAVE_OUT, int(sample[4]): "even"}
    assert checked(sample, filled) == sample[[0, 1, 2, 4, 5, 6]].tolist()


def test_without_a_checked_sample_there_is_no_data_set(pool, workspace):
    answer(pool, {int(row): "odd" for row in random_sample(pool)[:19]})
    with pytest.raises(DataError, match="19 items of the random sample are checked, and 20 are needed"):
        first_labels(pool, workspace)


def test_items_are_tested_on_that_a_person_checked_and_nothing_like_them_is_learned_from(pool, workspace):
    sample = check_sample(pool)
    wrong, out = [row for row in range(60) if row not in sample][:2]
    answer(pool, {wrong: CLASSES[1 - wrong % 2], out: LEAVE_OUT})
    labelled = first_labels(pool, workspace)
    assert "the 20 test items are of a random sample, and a person has checked each" in [
        line.reason for line in labelled.receipt.lines
    ]
    ids = pool.items["id"]
    assert set(labelled.items["id"].iloc[labelled.rows("test")]) == set(ids.iloc[sample])
    learned = labelled.rows("train", "validation")
    tested_texts = set(labelled.items["text"].iloc[labelled.rows("test")])
    assert not tested_texts & set(labelled.items["text"].iloc[learned])
    assert ids.iloc[out] not in set(labelled.items["id"])
    label = dict(zip(labelled.items["id"], np.array(labelled.classes)[labelled.labels], strict=True))
    assert label[ids.iloc[wrong]] == CLASSES[1 - wrong % 2]
    assert labelled.classes == ("even", "odd")
    reasons = " ".join(line.reason for line in labelled.receipt.lines)
    n_checked = sum(bool(name) for name in answers(pool).labels.values())
    copies = sum(row in sample for row in range(10))
    assert f"a person has checked {n_checked:,} of them and corrected" in reasons
    assert reasons.count("nearly the same as a test item") == copies
    assert read_origin(labelled).pool == pool.fingerprint
    assert labelled.receipt.source == "pool.csv"


def test_guesses_among_the_test_items_are_warned_of_until_a_person_looks(pool, workspace):
    check_sample(pool)
    labelled = first_labels(pool, workspace)
    assert [finding.code for finding in guess_findings(labelled)] == ["guessed-labels"]
    scores = read_scores(pool, QUESTION)
    asked = Question("any", labelled.classes, ("{}",))
    assert measure(pool, asked, scores[:, :2], labelled) is None  # a guess is right about a guess
    moved = labelled.with_split(SplitSpec(honour_given=False, test=0.4))
    guessed = guessed_labels(moved)
    rows = [row for row in moved.rows("test") if guessed[row]]
    (warning, _) = guess_findings(moved)
    assert (warning.level, warning.code) == ("warn", "guessed-test")
    assert warning.message.startswith(f"{len(rows)} of the {len(moved.rows('test'))} test labels")
    looked = moved.decide(Decision("keep", tuple(map(int, rows))))
    assert [finding.code for finding in guess_findings(looked)] == ["guessed-labels"]


def test_a_class_that_only_test_items_have_can_still_be_learned(pool, workspace):
    sample = check_sample(pool)
    answer(pool, {sample[0]: "never"})
    labelled = first_labels(pool, workspace)
    row = labelled.items["id"].tolist().index(pool.items["id"].iloc[sample[0]])
    assert labelled.classes[labelled.labels[row]] == "never"
    assert labelled.splits[row] != "test"
    assert len(checked(sample, answers(pool).labels)) == len(labelled.rows("test")) + 1 == 20
    (split,) = [line.reason for line in labelled.receipt.lines if line.item == "split"]
    assert split == (
        "the 19 test items are of a random sample, and a person has checked each; checked items "
        "learned from instead, as their class has no other item to learn from: 1; classes without a test item: 'never'"
    )


def test_guesses_that_nobody_has_checked_can_be_left_out(pool, workspace):
    sample = check_sample(pool)
    others = [row for row in range(10, 60) if row not in sample][:12]
    answer(pool, {row: CLASSES[row % 2] for row in others})
    labelled = import_data(f"guesses:{pool.fingerprint}/checked", workspace)
    ids = pool.items["id"]
    assert set(labelled.items["id"].iloc[labelled.rows("train", "validation")]) == set(ids.iloc[others])
    assert set(labelled.items["id"].iloc[labelled.rows("test")]) == set(ids.iloc[sample])
    assert guess_findings(labelled) == []
    skipped = [line.item for line in labelled.receipt.lines if line.action == "skipped"]
    assert sorted([*skipped, *labelled.items["id"]]) == sorted(ids)


@pytest.mark.parametrize("name", ["nothing", "../datasets", ""])
def test_a_sorting_that_is_not_there_is_told(workspace, name):
    with pytest.raises(DataError):
        import_data(f"guesses:{name}", workspace)


def test_data_without_guesses_say_nothing_of_them(tiny_texts):
    assert not guessed_labels(tiny_texts).any()
    assert guess_findings(tiny_texts) == []
