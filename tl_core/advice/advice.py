"""What the probe found and what is advised, as values that are saved, shown and read back. No torch, no sklearn."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pydantic

from tl_core.data.dataset import Dataset
from tl_core.plan import Reason, TransferPlan
from tl_core.types import Estimate, Finding, Metric, Similarity, dump, load
from tl_core.workspace import Workspace, read_json, write_json

Pool = Literal["mean", "mean_std"]
SOURCES = "sources-"
"""How the codes of findings begin that tell where published advice disagrees."""
NOT_MEASURED = "not measured yet"


@dataclass(frozen=True)
class TapScore:
    """How well a linear head does on the frozen features at the end of layer group `tap`.

    `l2` is the strength per item that did best there; `n` in `accuracy` counts the rows of the comparison.
    """

    tap: str
    pool: Pool
    accuracy: Estimate
    l2: float


@dataclass(frozen=True)
class ProbeReport:
    """The evidence of one forward pass: accuracy of a linear head at every depth, by cross-validation.

    Rests on the training and validation items of one split (`split` is its key) and never on test items. `tap`,
    `pool` and `l2` are what was chosen; `last_l2` is the best strength on the last group; `accuracy` is expected of
    a head at the chosen depth; `majority` is the share of the largest class. Where items may have several labels,
    `metric` says so: what is called accuracy is then the mean AUC, and `majority` that of guessing.
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
        """The shift averaged over the layer groups, or None where it was not measured."""
        return sum(self.shift.values()) / len(self.shift) if self.shift else None


@dataclass(frozen=True)
class SizeRow:
    """One row of a published table: data of `low` up to below `high` items (None: no end) calls for `strategy`."""

    low: float
    high: float | None
    strategy: str
    options: Mapping[str, Any]
    text: str
    source: str


@dataclass(frozen=True)
class Domain:
    """How near the data is to what the backbone was trained on, and how that is known."""

    similarity: Similarity
    reason: Reason
    measured: float | None = None


@dataclass(frozen=True)
class Card:
    """One strategy to choose: its plan and what it is expected to cost.

    None means that it is not measured yet. `accuracy` is only known for a head over frozen features.
    """

    strategy: str
    options: Mapping[str, Any]
    plan: TransferPlan
    trainable: int | None
    seconds: Estimate | None
    memory: Estimate | None
    accuracy: Estimate | None = None
    note: str = ""


@dataclass(frozen=True)
class Advice:
    """What is recommended and why.

    `rule` is the strategy that the published tables ask for, `rule_row` the row they rest on; `strategy` is the
    recommendation after evidence and time had their say. `cards` holds every strategy, the recommended one first.
    """

    backbone: str
    strategy: str
    options: Mapping[str, Any]
    plan: TransferPlan
    rule: str
    rule_row: SizeRow
    domain: Domain
    reasons: tuple[Reason, ...]
    findings: tuple[Finding, ...]
    cards: tuple[Card, ...]

    def card(self, strategy: str) -> Card:
        """Return the card of a strategy. Raises KeyError where there is none."""
        return {card.strategy: card for card in self.cards}[strategy]


def split_key(dataset: Dataset) -> str:
    """Return a short key of what may be learned from: the training and validation items, and decisions about items."""
    about = dataset.rows("train", "validation").tobytes() + dataset.decided.encode()
    return hashlib.sha256(about).hexdigest()[:12]


def report_path(workspace: Workspace, fingerprint: str, backbone: str, split: str) -> Path:
    """Return where the probe's report of a data set, backbone and split lies."""
    return workspace.folder("probes") / f"{fingerprint}-{backbone}-{split}.json"


def write_report(workspace: Workspace, report: ProbeReport) -> None:
    """Save a report. Raises WorkspaceError where it cannot be written."""
    write_json(report_path(workspace, report.fingerprint, report.backbone, report.split), dump(report))


def read_report(workspace: Workspace, dataset: Dataset, backbone: str) -> ProbeReport | None:
    """Return the report for the data set's present split, or None where the probe has not run or is unreadable."""
    path = report_path(workspace, dataset.fingerprint, backbone, split_key(dataset))
    try:
        return load(ProbeReport, read_json(path))
    except (OSError, ValueError, pydantic.ValidationError):
        return None
