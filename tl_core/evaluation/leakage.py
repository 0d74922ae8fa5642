"""Leakage through copies, as a value: how much a split that ignores copies overestimates accuracy. No torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tl_core.data.dataset import Dataset
from tl_core.types import Estimate, also_called
from tl_core.workspace import Workspace, file_name, read_value, write_value


@dataclass(frozen=True)
class LeakageBias:
    """Accuracy of a linear head on frozen features under two kinds of split, and their difference.

    The grouped split keeps copies together, the naive split ignores them; `inflation` is naive minus grouped. Of the
    `items`, `repeated` have a copy, a near-duplicate or another item of their group; `has_groups`: groups exist.
    """

    fingerprint: str
    backbone: str
    grouped: Annotated[Estimate, also_called("grouped", "honest")]
    naive: Estimate
    inflation: Estimate
    items: int
    repeated: int
    has_groups: Annotated[bool, also_called("has_groups", "groups")]

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        what = "copies and groups" if self.has_groups else "copies"
        naive, grouped = f"{self.naive.value:.1%}", f"{self.grouped.value:.1%}"
        if self.inflation.low <= 0:
            return (
                f"A split that ignores {what} would have shown {naive}, one that keeps them together {grouped}: "
                "too close to call them different."
            )
        low, high = 100 * self.inflation.low, 100 * self.inflation.high
        return (
            f"A split that ignores {what} would have shown {naive} instead of {grouped}: "
            f"{100 * self.inflation.value:.1f} points too good (between {low:.1f} and {high:.1f})."
        )


def leakage_path(workspace: Workspace, dataset: Dataset, backbone: str) -> Path:
    """Return the file for a data set's present split and decisions, and a backbone."""
    return workspace.folder("probes") / f"{dataset.fingerprint}-{file_name(backbone)}-{dataset.version}-honest.json"


def write_leakage(workspace: Workspace, dataset: Dataset, score: LeakageBias) -> None:
    """Save the result atomically. Raises WorkspaceError if it cannot be written."""
    write_value(leakage_path(workspace, dataset, score.backbone), score)


def read_leakage(workspace: Workspace, dataset: Dataset, backbone: str) -> LeakageBias | None:
    """Return the saved result, or None if it was not measured."""
    return read_value(LeakageBias, leakage_path(workspace, dataset, backbone))
