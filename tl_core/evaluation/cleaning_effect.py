"""The measured effect of data cleaning, as a saved value with a sentence about it. Imports no torch, no sklearn."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tl_core.data.dataset import Dataset
from tl_core.types import Estimate
from tl_core.workspace import Workspace, file_name, read_value, write_value

_VERDICTS = {
    "helps": "the model became better",
    "hurts": "the model became worse",
    "no difference shown": "no difference that matters",
    "cannot tell": "not certain",
}


@dataclass(frozen=True)
class CleaningEffect:
    """Balanced accuracy of a head trained without (`before`) and with (`after`) the decisions about items.

    Both heads are scored by cross-validation on the same training and validation items, those that no decision
    changed; the test set is not used. `difference` is after minus before, paired. `relabelled` and `dropped` count the
    changed training and validation items.
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
        """The result in one sentence."""
        corrected = f"{self.relabelled:,} correction{'s' if self.relabelled != 1 else ''}" if self.relabelled else ""
        dropped = f"{self.dropped:,} item{'s' if self.dropped != 1 else ''} left out" if self.dropped else ""
        gain = self.difference
        return (
            f"With your {' and '.join(filter(None, (corrected, dropped)))}: {self.after:.1%} right instead of "
            f"{self.before:.1%}, averaged over the classes, on the {gain.n:,} training and validation items that "
            f"no decision changed; difference {100 * gain.value:.1f} "
            f"points ({100 * gain.low:.1f} to {100 * gain.high:.1f}): {_VERDICTS[self.verdict]}."
        )


def _path(workspace: Workspace, dataset: Dataset, backbone: str) -> Path:
    return workspace.folder("effects") / f"{dataset.fingerprint}-{file_name(backbone)}-{dataset.version}.json"


def write_cleaning_effect(workspace: Workspace, dataset: Dataset, effect: CleaningEffect) -> None:
    """Save the effect of the data set's decisions. Raises WorkspaceError if it cannot be written."""
    write_value(_path(workspace, dataset, effect.backbone), effect)


def read_cleaning_effect(workspace: Workspace, dataset: Dataset, backbone: str) -> CleaningEffect | None:
    """Return the effect of the data set's present decisions, or None if it was not measured."""
    return read_value(CleaningEffect, _path(workspace, dataset, backbone))
