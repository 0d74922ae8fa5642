"""What decisions about items did to a model, as a value that is kept and said in one sentence. No torch, no sklearn."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tl_core.data.dataset import Dataset
from tl_core.types import Estimate
from tl_core.workspace import Workspace, read_value, write_value

_MEANS = {
    "helps": "the model is better for it",
    "hurts": "the model is worse for it",
    "no difference shown": "no difference that matters",
    "cannot tell": "not certain",
}


@dataclass(frozen=True)
class CleaningEffect:
    """The share of right answers, averaged over the classes, of a head that learned without the decisions, and with.

    Both heads are judged, by cross-validation, on the same training and validation items that no decision changed;
    the test set is not looked at. `difference` is after minus before, paired; `relabelled` and `dropped` count the
    training and validation items that the decisions changed.
    """

    fingerprint: str
    version: str
    backbone: str
    relabelled: int
    dropped: int
    before: float
    after: float
    difference: Estimate
    verdict: Literal["helps", "no difference shown", "hurts", "cannot tell"]

    @property
    def sentence(self) -> str:
        """The whole in one sentence."""
        changed = f"{self.relabelled:,} correction{'s' if self.relabelled != 1 else ''}" if self.relabelled else ""
        gone = f"{self.dropped:,} item{'s' if self.dropped != 1 else ''} left out" if self.dropped else ""
        one = self.difference
        return (
            f"With your {' and '.join(filter(None, (changed, gone)))}: {self.after:.1%} right instead of "
            f"{self.before:.1%}, averaged over the classes, on the same {one.n:,} training and validation items that "
            f"nobody changed; difference {100 * one.value:.1f} "
            f"points ({100 * one.low:.1f} to {100 * one.high:.1f}): {_MEANS[self.verdict]}."
        )


def _path(workspace: Workspace, dataset: Dataset, backbone: str) -> Path:
    return workspace.folder("effects") / f"{dataset.fingerprint}-{backbone}-{dataset.version}.json"


def write_cleaning_effect(workspace: Workspace, dataset: Dataset, effect: CleaningEffect) -> None:
    """Keep the effect of the data set's decisions. Raises WorkspaceError where it cannot be written."""
    write_value(_path(workspace, dataset, effect.backbone), effect)


def read_cleaning_effect(workspace: Workspace, dataset: Dataset, backbone: str) -> CleaningEffect | None:
    """Return the effect of the data set's present decisions, None where it was not measured (yet)."""
    return read_value(CleaningEffect, _path(workspace, dataset, backbone))
