"""Where reports and curves lie on disk, for whoever writes or reads them. No torch, no sklearn."""

import hashlib
import json
from pathlib import Path

import pydantic

from tl_core.evaluation.values import Curve, LayerSweep, Report
from tl_core.runs.task import Task
from tl_core.training.rates import RateCurve
from tl_core.types import dump, load
from tl_core.workspace import Workspace, read_json, write_json

REPORT = "report.json"
BUNDLE = "bundle"
ENSEMBLE = "ensemble"
RATES = "rates.json"
LAYERS = "layers.json"


def bundle_folder(run_folder: Path) -> Path:
    """Return where a finished training run keeps its bundle."""
    return run_folder / BUNDLE


def ensemble_folder(run_folder: Path) -> Path:
    """Return where a run keeps itself averaged with its from-scratch baseline, once that was measured."""
    return run_folder / ENSEMBLE


def read_report(run_folder: Path) -> Report | None:
    """Return what was measured of a run, None where nothing was (yet)."""
    try:
        return load(Report, read_json(run_folder / REPORT))
    except (OSError, ValueError, pydantic.ValidationError):
        return None


def write_report(run_folder: Path, report: Report) -> None:
    """Save a report, whole or not at all. Raises WorkspaceError where it cannot be written."""
    write_json(run_folder / REPORT, dump(report))


def curve_path(workspace: Workspace, task: Task) -> Path:
    """Return where the data-efficiency curve of a task's data set, split, decisions and backbone lies."""
    about = json.dumps(dump(task.split), sort_keys=True) + task.decisions
    split = hashlib.sha256(about.encode()).hexdigest()[:12]
    return workspace.folder("curves") / f"{task.fingerprint}-{task.backbone}-{split}.json"


def read_curve(workspace: Workspace, task: Task) -> Curve | None:
    """Return the curve with the arms that are there so far, None where there is none (yet)."""
    try:
        return load(Curve, read_json(curve_path(workspace, task)))
    except (OSError, ValueError, pydantic.ValidationError):
        return None


def write_curve(workspace: Workspace, task: Task, curve: Curve) -> None:
    """Save a curve, whole or not at all. Raises WorkspaceError where it cannot be written."""
    write_json(curve_path(workspace, task), dump(curve))


def read_rates(run_folder: Path) -> RateCurve | None:
    """Return the range test of a run, None where it has none (yet)."""
    try:
        return load(RateCurve, read_json(run_folder / RATES))
    except (OSError, ValueError, pydantic.ValidationError):
        return None


def write_rates(run_folder: Path, curve: RateCurve) -> None:
    """Save a range test, whole or not at all. Raises WorkspaceError where it cannot be written."""
    write_json(run_folder / RATES, dump(curve))


def read_layers(run_folder: Path) -> LayerSweep | None:
    """Return the layer-wise sweep of a run as far as it got, None where it has none (yet)."""
    try:
        return load(LayerSweep, read_json(run_folder / LAYERS))
    except (OSError, ValueError, pydantic.ValidationError):
        return None


def write_layers(run_folder: Path, sweep: LayerSweep) -> None:
    """Save a layer-wise sweep, whole or not at all. Raises WorkspaceError where it cannot be written."""
    write_json(run_folder / LAYERS, dump(sweep))
