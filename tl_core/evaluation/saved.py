"""Where reports and curves lie on disk, for whoever writes or reads them. No torch, no sklearn."""

from pathlib import Path

import pydantic

from tl_core.data.dataset import Dataset
from tl_core.evaluation.values import Curve, Report
from tl_core.types import dump, load
from tl_core.workspace import Workspace, read_json, write_json

REPORT = "report.json"
BUNDLE = "bundle"


def bundle_folder(run_folder: Path) -> Path:
    """Return where a finished training run keeps its bundle."""
    return run_folder / BUNDLE


def read_report(run_folder: Path) -> Report | None:
    """Return what was measured of a run, None where nothing was (yet)."""
    try:
        return load(Report, read_json(run_folder / REPORT))
    except (OSError, ValueError, pydantic.ValidationError):
        return None


def write_report(run_folder: Path, report: Report) -> None:
    """Save a report, whole or not at all. Raises WorkspaceError where it cannot be written."""
    write_json(run_folder / REPORT, dump(report))


def curve_path(workspace: Workspace, dataset: Dataset, backbone: str) -> Path:
    """Return where the data-efficiency curve of a data set, its present split and a backbone lies."""
    from tl_core.advice.values import split_key

    return workspace.folder("curves") / f"{dataset.fingerprint}-{backbone}-{split_key(dataset)}.json"


def read_curve(workspace: Workspace, dataset: Dataset, backbone: str) -> Curve | None:
    """Return the curve with the arms that are there so far, None where there is none (yet)."""
    try:
        return load(Curve, read_json(curve_path(workspace, dataset, backbone)))
    except (OSError, ValueError, pydantic.ValidationError):
        return None


def write_curve(workspace: Workspace, dataset: Dataset, curve: Curve) -> None:
    """Save a curve, whole or not at all. Raises WorkspaceError where it cannot be written."""
    write_json(curve_path(workspace, dataset, curve.backbone), dump(curve))
