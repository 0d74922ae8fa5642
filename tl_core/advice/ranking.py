"""The ranking of backbones on one data set, as a value that is saved and read back. No torch, no sklearn.

The rule of the advice: of the backbones that are not clearly worse than the most accurate one, the quickest. One is
clearly worse if the whole 95% interval of the paired difference to the most accurate one lies below 0.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tl_core.advice.probe_report import split_key
from tl_core.data.dataset import Dataset
from tl_core.types import Estimate, Metric, Modality, noun
from tl_core.workspace import Workspace, read_value, write_value


@dataclass(frozen=True)
class Ranked:
    """What one backbone does on the training and validation items; test items take no part.

    accuracy: of a linear head on frozen features, on held-out items; depth and L2 strength chosen on the other folds
    last: the same on the last layer group's features
    tap: the depth that all items choose, None for the last layer group
    neighbours: of the nearest neighbours' vote on the last layer group's features, on held-out items
    logme: of the last layer group's features (You et al. 2021, arXiv:2102.11005)
    seconds: of the forward pass of 1,000 such items on this machine
    behind: how far its accuracy is from the most accurate one's, on the same items; None for the most accurate one
    """

    backbone: str
    title: str
    accuracy: Estimate
    last: Estimate
    tap: str | None
    neighbours: Estimate
    logme: float
    seconds: float
    parameters: int
    behind: Estimate | None = None

    @property
    def clearly_worse(self) -> bool:
        """Whether it is clearly worse than the most accurate one."""
        return self.behind is not None and self.behind.high < 0

    @property
    def megabytes(self) -> float:
        """Of its weights in memory, and in a bundle."""
        return self.parameters * 4 / 1e6


@dataclass(frozen=True)
class Ranking:
    """Backbones on one data set and split, the most accurate first; `advised` is the name of the one to take.

    `majority` is the accuracy of always guessing the largest class (0.5 for the mean AUC), `k` the number of
    neighbours that vote, `failed` holds a sentence for each backbone that could not be measured. `asked` holds the
    names of all that were to be compared, those that failed included.
    """

    fingerprint: str
    split: str
    modality: Modality
    metric: Metric
    majority: float
    k: int
    rows: tuple[Ranked, ...]
    advised: str
    failed: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()

    @property
    def compared(self) -> frozenset[str]:
        """The names of all that were to be compared; older files hold only those that were measured."""
        return frozenset(self.asked or (row.backbone for row in self.rows))

    @property
    def best(self) -> Ranked:
        """The most accurate one."""
        return self.rows[0]

    @property
    def choice(self) -> Ranked:
        """The one that is advised."""
        return next(row for row in self.rows if row.backbone == self.advised)


def quickest(rows: Sequence[Ranked]) -> Ranked:
    """Return the quickest of the backbones that are not clearly worse than the most accurate one."""
    return min((row for row in rows if not row.clearly_worse), key=lambda row: (row.seconds, row.parameters))


def advice(ranking: Ranking) -> str:
    """Return which backbone to take and why, in one or two sentences."""
    best, choice = ranking.best, ranking.choice
    things = f"1,000 {noun(ranking.modality)}"
    if best.accuracy.low <= ranking.majority:
        return (
            f"None does clearly better than guessing ({ranking.majority:.1%}) on {best.accuracy.n:,} items. "
            f"{choice.title} is the quickest; more labels, or another kind of backbone, would help more."
        )
    if len(ranking.rows) == 1:
        return f"{choice.title} is the only one that was measured; make others ready to compare."
    if choice == best:
        quicker = any(row.seconds < best.seconds for row in ranking.rows)
        reason = "every quicker one is clearly less accurate here" if quicker else "it is the quickest, too"
        return f"Take {choice.title}: it is the most accurate, and {reason}."
    assert choice.behind is not None
    return (
        f"Take {choice.title}: on {choice.accuracy.n:,} items it is not clearly worse than {best.title} "
        f"({points(choice.behind)}), and it is quicker: {span(choice.seconds)} instead of {span(best.seconds)} "
        f"for {things}."
    )


def points(difference: Estimate) -> str:
    """Return a difference of accuracies in percentage points, with its interval."""
    low, value, high = (100 * number for number in (difference.low, difference.value, difference.high))
    return f"{value:+.1f} points, 95% interval {low:+.1f} to {high:+.1f}"


def span(seconds: float) -> str:
    """Return a time in seconds or minutes."""
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def ranking_path(workspace: Workspace, fingerprint: str, split: str, named: Sequence[str] = ()) -> Path:
    """Return the file of the ranking on a data set and split, of all that are ready or of the `named` ones."""
    only = f"-{hashlib.sha256(' '.join(sorted(set(named))).encode()).hexdigest()[:12]}" if named else ""
    return workspace.folder("rankings") / f"{fingerprint}-{split}{only}.json"


def write_ranking(workspace: Workspace, ranking: Ranking, named: Sequence[str] = ()) -> None:
    """Save a ranking of all that are ready, or of the `named` ones. Raises WorkspaceError if it cannot be written."""
    write_value(ranking_path(workspace, ranking.fingerprint, ranking.split, named), ranking)


def read_ranking(workspace: Workspace, dataset: Dataset, named: Sequence[str] = ()) -> Ranking | None:
    """Return the ranking on the present split, or None where there is none that can be read."""
    return read_value(Ranking, ranking_path(workspace, dataset.fingerprint, split_key(dataset), named))
