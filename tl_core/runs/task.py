"""The task of a run: what it is asked to do."""

from dataclasses import dataclass, field
from typing import Literal

from tl_core.data.split import SplitSpec
from tl_core.plan import TransferPlan

Kind = Literal["train", "probe", "curve", "speed", "rates", "layers", "check", "zeroshot", "rank"]


@dataclass(frozen=True)
class Task:
    """One job for a worker. Only "train", "rates" and "layers" need a plan, and "speed" no data set;
    "check" needs a backbone only for the checks that look with a model; "rank" compares `backbones`, or all that are
    ready.

    `budget` limits the seconds of training (for a from-scratch baseline); None means no limit. `compare_to` names the
    run that this one is a baseline for. `source` (labelled) and `target` (labels are ignored) are fingerprints of extra
    data sets; `teacher` is a finished run with the same classes, or an imported model.
    `decisions` is the digest of the decisions about items (`Dataset.pin_decisions`), "" for none; `source_decisions`
    and `target_decisions` are those of the extra data sets. "zeroshot" needs `classes`, their names, and `templates`.
    """

    kind: Kind
    backbone: str
    fingerprint: str = ""
    split: SplitSpec = field(default_factory=SplitSpec)
    plan: TransferPlan | None = None
    seed: int = 0
    budget: float | None = None
    compare_to: str = ""
    name: str = ""
    source: str = ""
    target: str = ""
    teacher: str = ""
    decisions: str = ""
    source_decisions: str = ""
    target_decisions: str = ""
    classes: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    backbones: tuple[str, ...] = ()
