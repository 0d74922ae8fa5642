"""The saved outcome of the quality checks. Reading it needs neither torch nor sklearn."""

from dataclasses import dataclass
from pathlib import Path

from tl_core.data.dataset import Dataset
from tl_core.data.quality.checks import Suspicion
from tl_core.types import dump, load
from tl_core.workspace import Workspace, file_name, read_json, write_json


@dataclass(frozen=True)
class QualityReport:
    """The outcome of one run of the checks over one version of a data set.

    `backbone` is the model whose features were used, "" for none. `made` names the checks that ran (as in CHECKS);
    `notes` say in words which did not, or ran on a sample only. `seconds` is the time it took.
    """

    fingerprint: str
    version: str
    backbone: str
    suspicions: tuple[Suspicion, ...]
    made: tuple[str, ...]
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def suspicion(self, code: str) -> Suspicion | None:
        """Return the suspicion with a code, None where there is none."""
        return next((s for s in self.suspicions if s.code == code), None)


def _path(workspace: Workspace, dataset: Dataset, backbone: str) -> Path:
    return (
        workspace.folder("quality") / f"{dataset.fingerprint}-{dataset.version}-{file_name(backbone) or 'plain'}.json"
    )


def write_quality(workspace: Workspace, dataset: Dataset, report: QualityReport) -> None:
    """Save a report. Raises WorkspaceError where it cannot be written."""
    write_json(_path(workspace, dataset, report.backbone), dump(report))


def read_quality(workspace: Workspace, dataset: Dataset, backbone: str = "") -> QualityReport | None:
    """Return the report on this version of a data set, None where the checks have not run.

    `backbone` names the model whose features were used; "" is the report of the checks that need none.
    """
    return _read(_path(workspace, dataset, backbone))


def latest_quality(workspace: Workspace, dataset: Dataset, backbone: str = "") -> QualityReport | None:
    """Return the latest report on any version of a data set: also before the latest decisions or under another split.

    A report whose `version` differs from the data set's describes the items as they were then.
    """
    pattern = f"{dataset.fingerprint}-*-{file_name(backbone) or 'plain'}.json"
    paths = sorted(workspace.folder("quality").glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    return next((report for report in map(_read, paths) if report), None)


def _read(path: Path) -> QualityReport | None:
    try:
        return load(QualityReport, read_json(path))
    except (OSError, ValueError):
        return None
