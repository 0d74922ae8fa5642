"""`python -m tl_core.import_worker FOLDER`: do one import in a process of its own and report progress to the folder."""

import shutil
import threading
import time
import traceback
from pathlib import Path

from tl_core import background, import_jobs
from tl_core.advice.defaults import default_backbone
from tl_core.backbones.catalogue import find_backbone
from tl_core.backbones.reading import profile_for
from tl_core.data.dataset import Dataset
from tl_core.data.options import OnProgress
from tl_core.data.sources import import_data, preview_source
from tl_core.data.unlabelled import import_unlabelled
from tl_core.errors import GraftError
from tl_core.import_jobs import ImportRequest, ImportState
from tl_core.types import dump, load
from tl_core.workspace import Workspace, read_json, write_json

_COMPLETE = threading.Event()
"""Set once the data set is complete: from then on the import counts as done, even if it is asked to end."""
_EVERY = 0.25  # seconds between two progress reports
_CLOSED = ("The app was closed before the import was done.", "Start it again.")
_FULL = ("There is not enough memory to read this.", "Close other programs, or give the data in parts.")
_UNKNOWN = ("This could not be read because of an unexpected error.", "Try another format: a zip, a folder or a CSV.")


def work(folder: Path) -> None:
    """Do the import that `folder` requests. An unconfirmed table is previewed first. It always writes a final state."""
    request = load(ImportRequest, read_json(folder / background.REQUEST))
    workspace = Workspace(folder.parent.parent)
    _COMPLETE.clear()
    try:
        import_jobs.write_state(folder, ImportState(stage="Opening the source"))
        if _needs_confirmation(request, workspace, folder):
            state = ImportState("asking")
        else:
            dataset = _import(request, workspace, _progress_writer(folder))
            background.delete_upload(request.source, workspace)
            state = ImportState("done", fingerprint=dataset.fingerprint)
    except GraftError as error:
        state = ImportState("failed", message=error.message, hint=error.hint)
    except MemoryError:
        state = ImportState("failed", message=_FULL[0], hint=_FULL[1])
    except SystemExit:
        state = ImportState("failed", message=_CLOSED[0], hint=_CLOSED[1])
    except Exception:
        traceback.print_exc()
        state = ImportState("failed", message=_UNKNOWN[0], hint=_UNKNOWN[1])
    import_jobs.write_state(folder, state)


def _needs_confirmation(request: ImportRequest, workspace: Workspace, folder: Path) -> bool:
    """Write the preview of a source that nobody has confirmed, and return whether there is one."""
    if request.confirmed or request.role == "target" or not request.labels:
        return False
    preview = preview_source(request.source, request.options, workspace.limits)
    if preview is not None:
        write_json(folder / import_jobs.PREVIEW, dump(preview))
    return preview is not None


def _import(request: ImportRequest, workspace: Workspace, progress: OnProgress) -> Dataset:
    if request.role == "target":
        return import_unlabelled(request.source, request.modality, workspace, progress)
    existing, dataset = {folder.name for folder in workspace.folder("datasets").iterdir()}, None
    try:
        if request.labels:
            dataset = import_data(request.source, workspace, request.options, progress)
        else:
            dataset = import_unlabelled(request.source, None, workspace, progress, request.options)
        _make_profile(dataset, progress)
        _COMPLETE.set()
    except SystemExit:
        if dataset is not None and dataset.fingerprint not in existing:
            shutil.rmtree(dataset.folder, ignore_errors=True)
        raise
    return dataset


def _make_profile(dataset: Dataset, progress: OnProgress) -> None:
    """Make and store the profile, so that the page that shows it need not wait."""
    try:
        profile_for(dataset, find_backbone(default_backbone(dataset)[0]), progress)
    except Exception:
        traceback.print_exc()


def _progress_writer(folder: Path) -> OnProgress:
    """Return a function that writes progress to the folder, at most every _EVERY seconds per stage."""
    reported: tuple[str, float] = ("", 0.0)

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal reported
        if stage != reported[0] or time.monotonic() - reported[1] > _EVERY:
            reported = (stage, time.monotonic())
            import_jobs.write_state(folder, ImportState("working", stage, done, total))

    return progress


if __name__ == "__main__":
    background.carry_out(work, _COMPLETE)
