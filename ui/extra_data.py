"""Extra data that a training may use besides its own: a second data set, or a finished run as teacher."""

from dataclasses import dataclass, replace

from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.data.sources import list_datasets
from tl_core.penalties import Need, available_needs, needs_of
from tl_core.plan import TransferPlan
from tl_core.runnable import runnable
from tl_core.runs.store import RunState
from tl_core.runs.task import Task
from tl_core.types import Finding
from ui import session
from ui.runs import lookup

CHOICES: dict[Need, tuple[str, str]] = {
    "target": (
        "New items like those the model will meet (target)",
        "A data set whose labels are ignored, so they may be missing or wrong.",
    ),
    "source": ("Labelled items that it should not forget (source)", "A data set with its own classes."),
    "teacher": ("A finished model to learn from (teacher)", "A finished run with the same classes."),
}


@dataclass(frozen=True)
class ExtraData:
    """The chosen extra data: fingerprints of data sets and the id of a run, empty if not chosen or deleted."""

    source: str = ""
    target: str = ""
    teacher: str = ""


def chosen(dataset: Dataset) -> ExtraData:
    """Return the extra data of the project, without what was deleted or does not fit `dataset`."""
    project, extra = session.current(), {}
    if project.source or project.target:
        candidates = {role: [other.fingerprint for other in datasets(dataset, role)] for role in ("source", "target")}
        extra = {role: name for role in candidates if (name := getattr(project, role)) in candidates[role]}
    if project.teacher and any(state.id == project.teacher for state in teachers(dataset)):
        extra["teacher"] = project.teacher
    return ExtraData(**extra)


def datasets(dataset: Dataset, role: str = "target") -> list[Dataset]:
    """Return the data sets of the workspace that can be source or target for `dataset`, the latest import first.

    They have the same modality; a source has one label an item.
    """
    others = [other for other in list_datasets(session.workspace()) if other.fingerprint != dataset.fingerprint]
    return [
        other for other in others if other.modality == dataset.modality and not (role == "source" and other.multilabel)
    ]


def teachers(dataset: Dataset) -> list[RunState]:
    """Return the measured runs with the same classes as `dataset`, the newest first."""
    return [state for state in lookup.store().list() if state.kind == "train" and _can_teach(state, dataset)]


def _can_teach(state: RunState, dataset: Dataset) -> bool:
    spec = session.find_backbone(state.task.backbone)
    if state.active or "accuracy" not in state.numbers or spec is None or spec.modality != dataset.modality:
        return False
    other = session.open_dataset(state.task.fingerprint)
    return other is not None and (other.classes, other.multilabel) == (dataset.classes, dataset.multilabel)


def findings(plan: TransferPlan, spec: BackboneSpec, dataset: Dataset, extra: ExtraData) -> tuple[Finding, ...]:
    """Return the findings about a plan, given the data set and the chosen extra data."""
    return runnable(plan, spec, dataset, available_needs(plan, spec, extra.source, extra.target, extra.teacher))


def is_missing(plan: TransferPlan, extra: ExtraData) -> bool:
    """Return whether a penalty of the plan needs extra data that is not chosen."""
    needs = needs_of(replace(plan, phases=()))
    return any(need in needs and not getattr(extra, need) for need in CHOICES)


def with_extra_data(task: Task, dataset: Dataset) -> Task:
    """Return the task with the chosen extra data that its plan uses."""
    extra, needs = chosen(dataset), needs_of(task.plan) if task.plan else set()
    return replace(
        task,
        source=extra.source if "source" in needs else "",
        target=extra.target if "target" in needs else "",
        teacher=extra.teacher if "teacher" in needs else "",
        source_decisions=_decisions(extra.source) if "source" in needs else "",
        target_decisions=_decisions(extra.target) if "target" in needs else "",
    )


def _decisions(fingerprint: str) -> str:
    dataset = session.open_dataset(fingerprint)
    return dataset.pin_decisions() if dataset else ""
