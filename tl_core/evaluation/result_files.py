"""Where reports and curves lie on disk, for whoever writes or reads them. No torch, no sklearn."""

import hashlib
import json
from pathlib import Path

from tl_core.evaluation.results import Curve, LayerSweep, Report
from tl_core.runs.task import Task
from tl_core.training.lr_curve import RateCurve
from tl_core.types import dump
from tl_core.workspace import Workspace, read_value, write_value

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
    return read_value(Report, run_folder / REPORT)


def write_report(run_folder: Path, report: Report) -> None:
    """Save a report, whole or not at all. Raises WorkspaceError where it cannot be written."""
    write_value(run_folder / REPORT, report)


def curve_path(workspace: Workspace, task: Task) -> Path:
    """Return where the data-efficiency curve of a task's data set, split, decisions and backbone lies."""
    about = json.dumps(dump(task.split), sort_keys=True) + task.decisions
    split = hashlib.sha256(about.encode()).hexdigest()[:12]
    return workspace.folder("curves") / f"{task.fingerprint}-{task.backbone}-{split}.json"


def read_curve(workspace: Workspace, task: Task) -> Curve | None:
    """Return the curve with the arms that are there so far, None where there is none (yet)."""
    return read_value(Curve, curve_path(workspace, task))


def write_curve(workspace: Workspace, task: Task, curve: Curve) -> None:
    """Save a curve, whole or not at all. Raises WorkspaceError where it cannot be written."""
    write_value(curve_path(workspace, task), curve)


def read_rates(run_folder: Path) -> RateCurve | None:
    """Return the range test of a run, None where it has none (yet)."""
    return read_value(RateCurve, run_folder / RATES)


def write_rates(run_folder: Path, curve: RateCurve) -> None:
    """Save a range test, whole or not at all. Raises WorkspaceError where it cannot be written."""
    write_value(run_folder / RATES, curve)


def read_layers(run_folder: Path) -> LayerSweep | None:
    """Return the layer-wise sweep of a run as far as it got, None where it has none (yet)."""
    return read_value(LayerSweep, run_folder / LAYERS)


def write_layers(run_folder: Path, sweep: LayerSweep) -> None:
    """Save a layer-wise sweep, whole or not at all. Raises WorkspaceError where it cannot be written."""
    write_value(run_folder / LAYERS, sweep)
