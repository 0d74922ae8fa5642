"""Reading and writing the files that hold reports, curves and sweeps. Imports no torch, no sklearn.

Writing is atomic and raises WorkspaceError if the file cannot be written.
"""

import hashlib
import json
from pathlib import Path

from tl_core.evaluation.results import Curve, LayerSweep, Report
from tl_core.runs.task import Task
from tl_core.training.lr_curve import RateCurve
from tl_core.types import dump
from tl_core.workspace import Workspace, file_name, read_value, write_value

REPORT = "report.json"
BUNDLE = "bundle"
ENSEMBLE = "ensemble"
RATES = "rates.json"
LAYERS = "layers.json"


def bundle_folder(run_folder: Path) -> Path:
    """Return the bundle folder of a training run."""
    return run_folder / BUNDLE


def ensemble_folder(run_folder: Path) -> Path:
    """Return the folder of the ensemble of a run and its from-scratch baseline."""
    return run_folder / ENSEMBLE


def read_report(run_folder: Path) -> Report | None:
    """Return the report of a run, or None if there is none yet."""
    return read_value(Report, run_folder / REPORT)


def write_report(run_folder: Path, report: Report) -> None:
    """Save the report of a run."""
    write_value(run_folder / REPORT, report)


def curve_path(workspace: Workspace, task: Task) -> Path:
    """Return the file of the data-efficiency curve for a task's data set, split, decisions and backbone."""
    key = json.dumps(dump(task.split), sort_keys=True) + task.decisions
    split = hashlib.sha256(key.encode()).hexdigest()[:12]
    return workspace.folder("curves") / f"{task.fingerprint}-{file_name(task.backbone)}-{split}.json"


def read_curve(workspace: Workspace, task: Task) -> Curve | None:
    """Return the curve as far as it was measured, or None if there is none yet."""
    return read_value(Curve, curve_path(workspace, task))


def write_curve(workspace: Workspace, task: Task, curve: Curve) -> None:
    """Save a data-efficiency curve."""
    write_value(curve_path(workspace, task), curve)


def read_rates(run_folder: Path) -> RateCurve | None:
    """Return the learning-rate range test of a run, or None if there is none yet."""
    return read_value(RateCurve, run_folder / RATES)


def write_rates(run_folder: Path, curve: RateCurve) -> None:
    """Save the learning-rate range test of a run."""
    write_value(run_folder / RATES, curve)


def read_layers(run_folder: Path) -> LayerSweep | None:
    """Return the layer-wise sweep of a run as far as it got, or None if there is none yet."""
    return read_value(LayerSweep, run_folder / LAYERS)


def write_layers(run_folder: Path, sweep: LayerSweep) -> None:
    """Save the layer-wise sweep of a run."""
    write_value(run_folder / LAYERS, sweep)
