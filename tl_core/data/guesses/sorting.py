"""A question to zero-shot and its result, stored with the data set whose items were sorted.

Legend: N items, K classes.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.guesses.origin import guessed_labels
from tl_core.errors import DataError
from tl_core.statistics.intervals import wilson
from tl_core.types import Estimate, Finding, dump
from tl_core.workspace import read_value, write_bytes, write_json

_FOLDER = "zero-shot"
_QUESTION = "question.json"


@dataclass(frozen=True)
class Question:
    """What zero-shot is asked: which of `classes` an item belongs to, each name put into every one of `templates`."""

    backbone: str
    classes: tuple[str, ...]
    templates: tuple[str, ...]

    @property
    def key(self) -> str:
        """A short hash, under which the result is stored."""
        return hashlib.sha256(json.dumps(dump(self)).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Sorting:
    """What zero-shot answered: `rule` says how its scores follow from cosines; the scores are in a file beside it."""

    question: Question
    rule: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Guesses:
    """The best class of each item `[N]`, its score `[N]`, and its margin over the second best `[N]`."""

    label: np.ndarray
    score: np.ndarray
    margin: np.ndarray


def guesses_folder(dataset: Dataset) -> Path:
    """Return the folder of everything that was guessed and answered about the items of a data set."""
    folder = dataset.folder / _FOLDER
    folder.mkdir(exist_ok=True)
    return folder


def write_sorting(dataset: Dataset, sorting: Sorting, scores_NK: np.ndarray) -> None:
    """Store a result. Raises WorkspaceError where it cannot be written."""
    buffer = io.BytesIO()
    np.save(buffer, scores_NK)
    write_bytes(_scores_file(dataset, sorting.question), buffer.getvalue())
    write_json(guesses_folder(dataset) / f"{sorting.question.key}.json", dump(sorting))


def read_sorting(dataset: Dataset, question: Question) -> Sorting | None:
    """Return the stored result of a question, None where there is none that can be read."""
    sorting = read_value(Sorting, guesses_folder(dataset) / f"{question.key}.json")
    return sorting if sorting and _scores_file(dataset, question).is_file() else None


def read_scores(dataset: Dataset, question: Question) -> np.ndarray:
    """Return the scores `[N, K]` of a question. Raises DataError where they are missing or damaged."""
    try:
        scores_NK: np.ndarray = np.load(_scores_file(dataset, question))
    except (OSError, ValueError, EOFError) as error:
        raise DataError("The result of zero-shot can no longer be read.", "Sort the items again.") from error
    if scores_NK.shape != (len(dataset.items), len(question.classes)):
        raise DataError("The result of zero-shot does not belong to these items.", "Sort the items again.")
    return scores_NK


def ask(dataset: Dataset, question: Question) -> None:
    """Store the question that is being worked on, so that another page or tab finds it."""
    write_json(guesses_folder(dataset) / _QUESTION, dump(question))


def asked(dataset: Dataset) -> Question | None:
    """Return the question that is being worked on; None where none was asked."""
    return read_value(Question, guesses_folder(dataset) / _QUESTION)


def guess(scores_NK: np.ndarray) -> Guesses:
    """Return the best class of each item, with its score and margin. Of equal scores the first class counts."""
    rows = np.arange(len(scores_NK))
    best = scores_NK.argmax(axis=1)
    second = np.partition(scores_NK, -2, axis=1)[:, -2]
    return Guesses(best, scores_NK[rows, best], scores_NK[rows, best] - second)


def measure(dataset: Dataset, question: Question, scores_NK: np.ndarray, labelled: Dataset) -> Estimate | None:
    """Return the accuracy on the training and validation items of `labelled`, with Wilson's interval.

    The items are found in `dataset` by their content; no test item, nor a copy of one, is counted. None where the
    classes of `labelled` are other ones than those asked for, items may have several labels, no item is found, or
    labels are guesses themselves.
    """
    place = {name.casefold(): index for index, name in enumerate(question.classes)}
    if labelled.multilabel or {name.casefold() for name in labelled.classes} != set(place):
        return None
    if guessed_labels(labelled).any():
        return None
    names = np.array([place[name.casefold()] for name in labelled.classes])
    digests = labelled.items["digest"]
    tested = set(digests.iloc[labelled.rows("test")])
    rows = labelled.rows("train", "validation")
    truth = dict(zip(digests.iloc[rows], names[labelled.labels[rows]], strict=True))
    wanted = [truth.get(digest, -1) if digest not in tested else -1 for digest in dataset.items["digest"]]
    known = np.array(wanted) >= 0
    if not known.any():
        return None
    right = scores_NK.argmax(axis=1)[known] == np.array(wanted)[known]
    return wilson(int(right.sum()), len(right))


def _scores_file(dataset: Dataset, question: Question) -> Path:
    return guesses_folder(dataset) / f"{question.key}.npy"
