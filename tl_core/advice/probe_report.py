"""What the probe measured on a data set and backbone, as a value that is saved and read back. No torch, no sklearn."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tl_core.data.dataset import Dataset
from tl_core.types import Estimate, Finding, Metric, dump, load
from tl_core.workspace import Workspace, file_name, read_json, write_json

Pool = Literal["mean", "mean_std"]
DEFAULT_L2 = 0.1
"""L2 strength of a head where no other has been measured to do better."""


@dataclass(frozen=True)
class TapScore:
    """How well a linear head does on the frozen features at the end of layer group `tap`.

    `l2` is the L2 strength per item that did best there; `accuracy.n` counts the rows that were compared.
    """

    tap: str
    pool: Pool
    accuracy: Estimate
    l2: float


@dataclass(frozen=True)
class ProbeReport:
    """The accuracy of a linear head at every depth, by cross-validation on the features of one forward pass.

    It rests on the training and validation items of one split (`split` is its key), never on test items. `tap`,
    `pool` and `l2` are the chosen depth, pooling and L2 strength; `last_l2` is the best strength on the last group.
    `accuracy` is expected of a head at the chosen depth; `majority` is the share of the largest class. Where items may
    have several labels, `metric` is the mean AUC: `accuracy` then holds it, and `majority` is that of guessing.
    `shift` maps layer groups to their normalisation-statistics shift (images only).
    """

    fingerprint: str
    backbone: str
    split: str
    n: int
    n_classes: int
    folds: int
    depth: tuple[TapScore, ...]
    tap: str | None
    pool: Pool
    l2: float
    last_l2: float
    accuracy: Estimate | None
    majority: float
    shift: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    findings: tuple[Finding, ...] = ()
    metric: Metric = "accuracy"

    @property
    def mean_shift(self) -> float | None:
        """The shift averaged over the layer groups; None where it was not measured."""
        return sum(self.shift.values()) / len(self.shift) if self.shift else None


def split_key(dataset: Dataset) -> str:
    """Return a short key of what may be learned from: the training and validation items, and the decisions on items."""
    about = dataset.rows("train", "validation").tobytes() + dataset.decisions_digest.encode()
    return hashlib.sha256(about).hexdigest()[:12]


def probe_path(workspace: Workspace, fingerprint: str, backbone: str, split: str) -> Path:
    """Return the path of the probe report of a data set, backbone and split."""
    return workspace.folder("probes") / f"{fingerprint}-{file_name(backbone)}-{split}.json"


def write_probe(workspace: Workspace, report: ProbeReport) -> None:
    """Save a probe report. Raises WorkspaceError where it cannot be written."""
    write_json(probe_path(workspace, report.fingerprint, report.backbone, report.split), dump(report))


def read_probe(workspace: Workspace, dataset: Dataset, backbone: str) -> ProbeReport | None:
    """Return the probe report of the present split, or None where there is none that can be read."""
    path = probe_path(workspace, dataset.fingerprint, backbone, split_key(dataset))
    try:
        return load(ProbeReport, read_json(path))
    except (OSError, ValueError):
        return None
