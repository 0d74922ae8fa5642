"""How often a test set was used. With each use, the model chosen by it looks a little better than it is."""

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.errors import WorkspaceError
from tl_core.types import Finding, dump, load

FILE = "looks.jsonl"
MANY_USES = 5
"""Uses from which a person is warned.

Of five equally good models, the best score lies 1.16 standard errors above their true score, of ten 1.54, if their
errors were independent (expected largest of n normal values: Harter 1961, https://doi.org/10.1093/biomet/48.1-2.151).
"""


@dataclass(frozen=True)
class HoldoutUse:
    """One use of a test set, by its key: the model's `run`, `why`, and `when` in seconds since 1970.

    `run` is "" where no run made a model; an ensemble names the runs of all its members.
    """

    test: str
    run: str
    why: str
    when: float


def record_holdout_use(dataset: Dataset, run: str, why: str) -> None:
    """Record a use of the test items of a data set under its split, each run and reason once.

    Raises WorkspaceError where it cannot be written.
    """
    key = test_set_key(dataset)
    if any((use.test, use.run, use.why) == (key, run, why) for use in _read(dataset.folder / FILE)):
        return
    line = json.dumps(dump(HoldoutUse(key, run, why, time.time())))
    try:
        with open(dataset.folder / FILE, "ab") as file:
            file.write(f"\n{line}".encode())  # the newline first, so that a line that was cut off spoils no other
    except OSError as error:
        raise WorkspaceError(
            f"The use of the test items could not be recorded ({error.strerror}).",
            "Check the free space of the workspace folder.",
        ) from error


def holdout_uses(dataset: Dataset) -> tuple[HoldoutUse, ...]:
    """Return the uses of the present test set, oldest first. The test set of another split has its own."""
    key = test_set_key(dataset)
    return tuple(use for use in _read(dataset.folder / FILE) if use.test == key)


def count_holdout_uses(dataset: Dataset) -> tuple[int, Finding | None]:
    """Return how often the test set was used, and a warning once that is often."""
    n = len(holdout_uses(dataset))
    if n < MANY_USES:
        return n, None
    message = f"This test set has been used {n:,} times: the model you choose by it will look a little too good."
    hint = "Choose by the validation score, and keep some new items for a final check."
    return n, Finding("info", "test-looked-at", message, hint)


def test_set_key(dataset: Dataset) -> str:
    """Return a short key of the test items that the split sets aside, before any decisions about items."""
    rows = np.flatnonzero(dataset.source_splits == "test")
    return hashlib.sha256(rows.astype(np.int64).tobytes()).hexdigest()[:12]


def _read(path: Path) -> list[HoldoutUse]:
    """Read every complete line, skipping one that a crash cut off."""
    uses = []
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return []
    for line in lines:
        try:
            uses.append(load(HoldoutUse, json.loads(line)))
        except ValueError:
            continue
    return uses
