"""`python -m tl_core.importer FOLDER`: do one import in a process of its own, and tell its folder how far it is."""

import os
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

from tl_core import intake
from tl_core.backbones.reading import profile_for
from tl_core.data.dataset import Dataset
from tl_core.data.options import OnProgress
from tl_core.data.pool import import_pool
from tl_core.data.sources import import_data, preview_table
from tl_core.errors import GraftError
from tl_core.intake import Ask, State
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
    ask = load(Ask, read_json(folder / intake.ASK))
    workspace = Workspace(folder.parent.parent)
    _WHOLE.clear()
    try:
        intake.tell(folder, State(stage="Opening the source"))
        if _asks(ask, workspace, folder):
            state = State("asking")
        else:
            dataset = _import(ask, workspace, _teller(folder))
            intake.discard(ask.source, workspace)
            state = State("done", fingerprint=dataset.fingerprint)
    except GraftError as error:
        state = State("failed", message=error.message, hint=error.hint)
    except MemoryError:
        state = State("failed", message=_FULL[0], hint=_FULL[1])
    except SystemExit:
        state = State("failed", message=_CLOSED[0], hint=_CLOSED[1])
    except Exception:
        traceback.print_exc()
        state = State("failed", message=_UNKNOWN[0], hint=_UNKNOWN[1])
    intake.tell(folder, state)


def _asks(ask: Ask, workspace: Workspace, folder: Path) -> bool:
    """Write the first rows of a table down, where there is one that was not looked at; return whether there is."""
    if ask.confirmed or ask.role == "target":
        return False
    found = preview_table(ask.source, ask.options, workspace.limits)
    if found is not None:
        write_json(folder / intake.PREVIEW, dump(found))
    return found is not None


def _import(ask: Ask, workspace: Workspace, progress: OnProgress) -> Dataset:
    if ask.role == "target":
        return import_pool(ask.source, ask.modality, workspace, progress)
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
            intake.tell(folder, State("working", stage, done, total))

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
    intake.own(place, os.getpid())
    work(place)
