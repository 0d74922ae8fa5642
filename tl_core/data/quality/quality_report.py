"""What the checks found, as it lies in the workspace: values for pages, read without torch or sklearn."""

from dataclasses import dataclass
from pathlib import Path

import pydantic

from tl_core.data.dataset import Dataset
from tl_core.data.quality.checks import Suspicion
from tl_core.types import dump, load
from tl_core.workspace import Workspace, read_json, write_json


@dataclass(frozen=True)
class QualityReport:
    """The outcome of one run of the checks over one version of a data set.

    `backbone` is the model that looked at the items, "" where none did. `made` names the checks that were made (as in
    CHECKS), `notes` say in plain words what was not made, or only on a sample. `seconds` is what it took.
    """

    fingerprint: str
    version: str
    backbone: str
    suspicions: tuple[Suspicion, ...]
    made: tuple[str, ...]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def suspicion(self, code: str) -> Suspicion | None:
        """Return the suspicion with a code, None where nothing of the kind was found."""
        return next((s for s in self.suspicions if s.code == code), None)


def _path(workspace: Workspace, dataset: Dataset, backbone: str) -> Path:
    return workspace.folder("quality") / f"{dataset.fingerprint}-{dataset.version}-{backbone or 'plain'}.json"


def write_quality(workspace: Workspace, dataset: Dataset, report: QualityReport) -> None:
    """Save what was found. Raises WorkspaceError where it cannot be written."""
    write_json(_path(workspace, dataset, report.backbone), dump(report))


def read_quality(workspace: Workspace, dataset: Dataset, backbone: str = "") -> QualityReport | None:
    """Return what was found in this version of a data set, None where the checks have not been made (yet).

    `backbone` names the model that looked at the items; "" is the outcome of the checks that need none.
    """
    return _read(_path(workspace, dataset, backbone))


def latest_quality(workspace: Workspace, dataset: Dataset, backbone: str = "") -> QualityReport | None:
    """Return what was found last in any version of a data set: before the latest decisions, or under another split.

    A report whose `version` is not the data set's tells of items as they were then.
    """
    pattern = f"{dataset.fingerprint}-*-{backbone or 'plain'}.json"
    paths = sorted(workspace.folder("quality").glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    return next((found for found in map(_read, paths) if found), None)


def _read(path: Path) -> QualityReport | None:
    try:
        return load(QualityReport, read_json(path))
    except (OSError, ValueError, pydantic.ValidationError):
        return None
