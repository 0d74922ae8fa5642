"""How much a split that ignores copies flatters: a value that is saved, shown and read back. No torch, no sklearn."""

from dataclasses import dataclass
from pathlib import Path

from tl_core.data.dataset import Dataset
from tl_core.types import Estimate
from tl_core.workspace import Workspace, read_value, write_value


@dataclass(frozen=True)
class HonestScore:
    """Accuracy of a linear head on the frozen features under both kinds of split, and how much the naive one flatters.

    `repeated` of the `items` are tied to another: exact or near copies, or items of one group (`groups`: there are).
    """

    fingerprint: str
    backbone: str
    honest: Estimate
    naive: Estimate
    inflation: Estimate
    items: int
    repeated: int
    groups: bool

    @property
    def sentence(self) -> str:
        """Return what it comes to, in plain words."""
        what = "copies and groups" if self.groups else "copies"
        shown, honest = f"{self.naive.value:.1%}", f"{self.honest.value:.1%}"
        if self.inflation.low <= 0:
            return (
                f"A split that ignores {what} would have shown {shown}, one that keeps them together {honest}: "
                "too close to call them different."
            )
        low, high = 100 * self.inflation.low, 100 * self.inflation.high
        return (
            f"A split that ignores {what} would have shown {shown} instead of {honest}: "
            f"{100 * self.inflation.value:.1f} points too good (between {low:.1f} and {high:.1f})."
        )


def honest_path(workspace: Workspace, dataset: Dataset, backbone: str) -> Path:
    """Return where the score of a data set as it is now, seen by a backbone, is kept."""
    return workspace.folder("probes") / f"{dataset.fingerprint}-{backbone}-{dataset.version}-honest.json"


def write_honest(workspace: Workspace, dataset: Dataset, score: HonestScore) -> None:
    """Save a score, whole or not at all. Raises WorkspaceError where it cannot be written."""
    write_value(honest_path(workspace, dataset, score.backbone), score)


def read_honest(workspace: Workspace, dataset: Dataset, backbone: str) -> HonestScore | None:
    """Return the score, None where it was not measured."""
    return read_value(HonestScore, honest_path(workspace, dataset, backbone))
