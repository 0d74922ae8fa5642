"""`python -m tl_core.import_worker FOLDER`: do one import in a process of its own and report progress to the folder."""

import os
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

from tl_core import import_jobs
from tl_core.backbones.reading import profile_for
from tl_core.data.dataset import Dataset
from tl_core.data.options import OnProgress
from tl_core.data.sources import import_data, preview_table
from tl_core.data.unlabelled import import_unlabelled
from tl_core.errors import GraftError
from tl_core.import_jobs import ImportRequest, ImportState
from tl_core.runs import process
from tl_core.types import dump, load
from tl_core.workspace import Workspace, read_json, write_json

_WHOLE = threading.Event()
"""Set once the data set is whole: from then on it is told as done, whoever asks to end."""
_EVERY = 0.25  # seconds between two words about progress
_CLOSED = ("The app was closed before the import was done.", "Start it again.")
_FULL = ("There is not enough memory to read this.", "Close other programs, or give the data in parts.")
_UNKNOWN = ("This could not be read, for a reason that nobody foresaw.", "Try another form: a zip, a folder or a CSV.")


def work(folder: Path) -> None:
    """Import what `folder` asks for; a table that nobody has looked at is shown first. It always ends in a word."""
    ask = load(ImportRequest, read_json(folder / import_jobs.ASK))
    workspace = Workspace(folder.parent.parent)
    _WHOLE.clear()
    try:
        import_jobs.write_state(folder, ImportState(stage="Opening the source"))
        if _asks(ask, workspace, folder):
            state = ImportState("asking")
        else:
            dataset = _import(ask, workspace, _teller(folder))
            import_jobs.delete_upload(ask.source, workspace)
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


def _asks(ask: ImportRequest, workspace: Workspace, folder: Path) -> bool:
    """Write the first rows of a table down, where there is one that was not looked at; return whether there is."""
    if ask.confirmed or ask.role == "target":
        return False
    found = preview_table(ask.source, ask.options, workspace.limits)
    if found is not None:
        write_json(folder / import_jobs.PREVIEW, dump(found))
    return found is not None


def _import(ask: ImportRequest, workspace: Workspace, progress: OnProgress) -> Dataset:
    if ask.role == "target":
        return import_unlabelled(ask.source, ask.modality, workspace, progress)
    known, dataset = {folder.name for folder in workspace.folder("datasets").iterdir()}, None
    try:
        dataset = import_data(ask.source, workspace, ask.options, progress)
        _look(dataset, progress)
        _WHOLE.set()
    except SystemExit:
        if dataset is not None and dataset.fingerprint not in known:
            shutil.rmtree(dataset.folder, ignore_errors=True)
        raise
    return dataset


def _look(dataset: Dataset, progress: OnProgress) -> None:
    """Make the profile, which is kept, so that the page that shows it does not wait."""
    try:
        profile_for(dataset, progress=progress)
    except Exception:
        traceback.print_exc()


def _teller(folder: Path) -> OnProgress:
    """Return what tells the folder about progress, not too often."""
    told: tuple[str, float] = ("", 0.0)

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal told
        if stage != told[0] or time.monotonic() - told[1] > _EVERY:
            told = (stage, time.monotonic())
            import_jobs.write_state(folder, ImportState("working", stage, done, total))

    return progress


def _end(number: int, frame: FrameType | None) -> None:
    """Leave through every `finally` on the way out, so that nothing half-made stays; a second signal changes nothing.

    SystemExit, because a picture's decoder turns every mere Exception into a picture that is damaged.
    """
    if _WHOLE.is_set():
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    process.lower_priority()
    place = Path(sys.argv[1]).resolve()
    import_jobs.write_owner(place, os.getpid())
    work(place)
