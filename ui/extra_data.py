"""Extra data for a training beside its own: a second data set, or a finished run as teacher."""

from dataclasses import dataclass, replace

from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.data.sources import list_datasets
from tl_core.penalties import Need, at_hand, used
from tl_core.plan import TransferPlan
from tl_core.runnable import runnable
from tl_core.runs.store import RunState
from tl_core.runs.task import Task
from tl_core.types import Finding
from ui import session
from ui.runs import lookup

ASKED: dict[Need, tuple[str, str]] = {
    "target": (
        "New items like those that the model will meet",
        "A data set whose labels are not read, so they may be missing or wrong.",
    ),
    "source": ("Labelled items that it should not forget", "A data set with classes of its own."),
    "teacher": ("A finished model to learn from (the teacher)", "A run that tells the same classes apart."),
}


@dataclass(frozen=True)
class ExtraData:
    """What is chosen and still there: fingerprints of data sets and the id of a run, empty where there is none."""

    source: str = ""
    target: str = ""
    teacher: str = ""


def chosen(dataset: Dataset) -> ExtraData:
    """Return what the project has beside its data set, without what is gone or does not fit."""
    now, beside = session.current(), {}
    if now.source or now.target:
        there = {side: [other.fingerprint for other in datasets(dataset, side)] for side in ("source", "target")}
        beside = {side: name for side in there if (name := getattr(now, side)) in there[side]}
    if now.teacher and any(state.id == now.teacher for state in teachers(dataset)):
        beside["teacher"] = now.teacher
    return ExtraData(**beside)


def datasets(dataset: Dataset, side: str = "target") -> list[Dataset]:
    """Return the other data sets of the workspace that can be a source or target, the latest import first.

    They hold items of the same kind; those of a source have one label each.
    """
    known = [each for each in list_datasets(session.workspace()) if side != "source" or not each.multilabel]
    return [each for each in known if each.modality == dataset.modality and each.fingerprint != dataset.fingerprint]


def teachers(dataset: Dataset) -> list[RunState]:
    """Return the measured runs that tell the classes of `dataset` apart, the newest first."""
    return [state for state in lookup.store().list() if state.kind == "train" and _teaches(state, dataset)]


def _teaches(state: RunState, dataset: Dataset) -> bool:
    spec = next((each for each in BACKBONES.values() if each.name == state.task.backbone), None)
    if state.active or "accuracy" not in state.numbers or spec is None or spec.modality != dataset.modality:
        return False
    other = session.open_dataset(state.task.fingerprint)
    return other is not None and (other.classes, other.multilabel) == (dataset.classes, dataset.multilabel)


def findings(plan: TransferPlan, spec: BackboneSpec, dataset: Dataset, extra: ExtraData) -> tuple[Finding, ...]:
    """Return what is wrong or odd in a plan, given the data and what is chosen beside them."""
    return runnable(plan, spec, dataset, at_hand(plan, spec, extra.source, extra.target, extra.teacher))


def wanted(plan: TransferPlan, beside: ExtraData) -> bool:
    """Whether a penalty of the plan cannot do without something that can be chosen here and is not."""
    needs = used(replace(plan, phases=()))
    return any(need in needs and not getattr(beside, need) for need in ASKED)


def complete(task: Task, dataset: Dataset) -> Task:
    """Return a task with what is chosen and its plan uses."""
    beside, needs = chosen(dataset), used(task.plan) if task.plan else set()
    return replace(
        task,
        source=beside.source if "source" in needs else "",
        target=beside.target if "target" in needs else "",
        teacher=beside.teacher if "teacher" in needs else "",
        source_decisions=_decided(beside.source) if "source" in needs else "",
        target_decisions=_decided(beside.target) if "target" in needs else "",
    )


def _decided(fingerprint: str) -> str:
    dataset = session.open_dataset(fingerprint)
    return dataset.pin_decisions() if dataset else ""
