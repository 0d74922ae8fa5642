"""Which labels of a data set are guesses, where it was made from a sorting and a person's answers."""

from dataclasses import dataclass

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.types import Finding, dump
from tl_core.workspace import read_value, write_json

_FILE = "guessed.json"


@dataclass(frozen=True)
class Origin:
    """The data set that was sorted, and the ids of the items whose label a person has given; the others are guesses."""

    pool: str
    checked: tuple[str, ...]


def write_origin(dataset: Dataset, origin: Origin) -> None:
    """Store which labels are no guesses. Raises WorkspaceError where it cannot be written."""
    write_json(dataset.folder / _FILE, dump(origin))


def read_origin(dataset: Dataset) -> Origin | None:
    """Return where the labels come from; None where they are no guesses."""
    return read_value(Origin, dataset.folder / _FILE)


def guessed_labels(dataset: Dataset) -> np.ndarray:
    """Return which labels nobody has checked: bool `[N]`. A decision to keep or relabel an item is a check."""
    origin = read_origin(dataset)
    if origin is None:
        return np.zeros(len(dataset.items), dtype=bool)
    guessed = ~dataset.items["id"].isin(origin.checked).to_numpy()
    for decision in dataset.decisions:
        if decision.action in ("keep", "relabel"):
            guessed[list(decision.rows)] = False
    return guessed


def guess_findings(dataset: Dataset) -> list[Finding]:
    """Return what to know about guessed labels: a warning where test items have them."""
    guessed = guessed_labels(dataset)
    if not guessed.any():
        return []
    test, learned = dataset.rows("test"), dataset.rows("train", "validation")
    n_test, n_learned = int(guessed[test].sum()), int(guessed[learned].sum())
    findings = []
    if n_test:
        message = f"{n_test:,} of the {len(test):,} test labels are guesses of zero-shot that nobody has checked."
        hint = "Results then compare guesses with guesses. Use the split that came with the data, or check these items."
        findings.append(Finding("warn", "guessed-test", message, hint))
    if n_learned:
        which = f"All {n_learned:,}" if n_learned == len(learned) else f"{n_learned:,} of the {len(learned):,}"
        message = f"{which} labels to learn from are guesses of zero-shot."
        hint = "Some are wrong. “Check the items” finds those that the features contradict."
        findings.append(Finding("info", "guessed-labels", message, hint))
    return findings
