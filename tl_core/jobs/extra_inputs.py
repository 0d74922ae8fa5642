"""The extra inputs of a training: a source and a target data set, and a teacher model."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tl_core.backbones.catalogue import find_backbone
from tl_core.data.dataset import Dataset
from tl_core.data.decisions import Decision
from tl_core.data.split import SplitSpec
from tl_core.errors import DataError, GraftError, RunError
from tl_core.evaluation.result_files import read_report
from tl_core.plan import TransferPlan
from tl_core.runs.store import RunStore
from tl_core.runs.task import Task
from tl_core.types import dump, load, noun
from tl_core.workspace import Workspace, new_folder, read_json, write_bytes, write_json

if TYPE_CHECKING:
    from tl_core.training.job import Teacher

IMPORTED_PREFIX = "bundle-"
FACTS_FILE = "teacher.json"


@dataclass(frozen=True)
class ExtraInputs:
    """The extra data sets and the teacher of a task, opened; None for those that it does not name."""

    source: Dataset | None = None
    target: Dataset | None = None
    teacher: "Teacher | None" = None


@dataclass(frozen=True)
class TeacherFacts:
    """Facts about an imported teacher: its plan (without the adapter, merged into the weights), classes and data.

    `fingerprint` is "" for a teacher that was imported by an old version.
    """

    plan: TransferPlan
    classes: tuple[str, ...]
    multilabel: bool = False
    fingerprint: str = ""
    split: SplitSpec = field(default_factory=SplitSpec)
    decisions: tuple[Decision, ...] = ()


def open_extra_inputs(workspace: Workspace, task: Task, dataset: Dataset) -> ExtraInputs:
    """Open the extra inputs of a task. Raises DataError or RunError if one is gone or does not fit."""
    source = _open(workspace, (task.source, task.source_decisions), dataset, "source data")
    if source is not None and source.multilabel:
        raise DataError(
            f"The items of the source {source.name!r} may have several labels each, which cannot be learned from here.",
            "Choose a source whose items have one label each, or none.",
        )
    return ExtraInputs(
        source,
        _open(workspace, (task.target, task.target_decisions), dataset, "target data"),
        open_teacher(workspace, task.teacher, dataset) if task.teacher else None,
    )


def open_teacher(workspace: Workspace, name: str, dataset: Dataset) -> "Teacher":
    """Open a teacher: a finished run, or an imported model. Raises RunError if it does not fit the data."""
    from tl_core.training.best_weights import FILE
    from tl_core.training.job import Teacher

    try:
        folder, facts = imported_teacher(workspace, name) if name.startswith(IMPORTED_PREFIX) else _run(workspace, name)
    except (GraftError, OSError, ValueError) as error:
        raise RunError("The model to learn from is no longer in this workspace.", "Choose another teacher.") from error
    if facts is None or not (folder / FILE).is_file():
        raise RunError("The run to learn from has no result.", "Choose a teacher that is trained to its end.")
    spec = find_backbone(facts.plan.backbone, workspace)
    if spec.modality != dataset.modality:
        raise RunError(
            f"The model to learn from reads {noun(spec.modality)}, but the data are {noun(dataset.modality)}.",
            f"Choose a teacher that reads {noun(dataset.modality)}.",
        )
    if facts.classes != dataset.classes:
        raise RunError(
            f"The teacher has the classes {_list(facts.classes)}, but the data have {_list(dataset.classes)}.",
            "Choose a teacher that was trained on the same classes.",
        )
    if facts.multilabel != dataset.multilabel:
        raise RunError(
            "Of the model to learn from and these data, one gives each item one label and the other several.",
            "Choose a teacher that was trained on data of the same kind.",
        )
    return Teacher(spec, facts.plan, folder)


def import_teacher(workspace: Workspace, given: str) -> str:
    """Return the name that a task uses for a teacher, given as a run's id or as a folder with a trained model.

    A folder's model is copied into the workspace, so that a run can be resumed after the folder is gone. Raises
    ExportError if the folder holds no model.
    """
    from tl_core.data.sources.local_files import source_path

    store = RunStore(workspace)
    if given in (state.id for state in store.list()):
        return given
    folder = source_path(given)
    return folder.name if folder.parent == store.root.resolve() else _import(workspace, folder)


def _import(workspace: Workspace, folder: Path) -> str:
    import safetensors.torch

    from tl_core.export.bundle import load_bundle
    from tl_core.training.best_weights import FILE

    bundle = load_bundle(folder)
    weights = safetensors.torch.save({name: t.contiguous() for name, t in bundle.model.state_dict().items()})
    plan, report = replace(bundle.plan, adapter=None), bundle.report
    facts = TeacherFacts(plan, bundle.classes, bundle.multilabel, report.fingerprint, bundle.split, bundle.decisions)
    digest = hashlib.sha256(weights + repr(facts).encode()).hexdigest()[:16]
    target = workspace.folder("teachers") / digest
    if not target.is_dir():
        with new_folder(target) as part:
            write_bytes(part / FILE, weights)
            write_json(part / FACTS_FILE, dump(facts))
    return IMPORTED_PREFIX + digest


def imported_teacher(workspace: Workspace, name: str) -> tuple[Path, TeacherFacts]:
    """Return the folder of an imported teacher, and the facts about it. Raises OSError if there is none."""
    folder = workspace.folder("teachers") / Path(name.removeprefix(IMPORTED_PREFIX)).name
    return folder, load(TeacherFacts, read_json(folder / FACTS_FILE))


def _run(workspace: Workspace, run_id: str) -> tuple[Path, TeacherFacts | None]:
    folder = RunStore(workspace).folder(run_id)
    report = read_report(folder)
    return folder, TeacherFacts(report.plan, report.classes, report.multilabel) if report else None


def _open(workspace: Workspace, stored: tuple[str, str], dataset: Dataset, what: str) -> Dataset | None:
    """Open an extra data set by its fingerprint and its decisions."""
    from tl_core.data.sources import open_dataset

    fingerprint, decisions = stored
    if not fingerprint:
        return None
    try:
        other = open_dataset(workspace, fingerprint).with_decisions(decisions)
    except DataError as error:
        raise DataError(f"The {what} are no longer in this workspace.", "Import them again.") from error
    if other.modality != dataset.modality:
        raise DataError(
            f"The {what} are {noun(other.modality)}, but the data to learn are {noun(dataset.modality)}.",
            f"Give {noun(dataset.modality)} as well.",
        )
    return other


def _list(classes: tuple[str, ...]) -> str:
    shown = ", ".join(classes[:4])
    return shown if len(classes) <= 4 else f"{shown} and {len(classes) - 4} more"
