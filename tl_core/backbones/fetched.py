"""Where fetched backbones lie: one folder each, complete and checked, shared by everything in the workspace.

backbones/hub/OWNER--NAME@COMMIT/    backbones/torchvision/NAME@CHECKSUM/    backbones/own/SLUG@DIGEST/
backbones/.parts/ (what is on its way)
"""

import fcntl
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tl_core.backbones.hub.names import HUB_PREFIX
from tl_core.backbones.provenance import Provenance
from tl_core.errors import BackboneError, DownloadCancelled, WorkspaceError
from tl_core.workspace import Workspace, read_value, write_value

OWN_PREFIX = "folder:"
TORCHVISION_PREFIX = "torchvision:"
PROVENANCE = "provenance.json"
_PLACES = {HUB_PREFIX: "hub", OWN_PREFIX: "own", TORCHVISION_PREFIX: "torchvision"}
_NAME = re.compile(
    r"(?P<prefix>hub:|folder:|torchvision:)(?P<word>[\w.-]+(/[\w.-]+)?)@(?P<version>[0-9a-f]{8,64})(#text)?", re.ASCII
)
_PARTS = ".parts"
_KEPT = 7 * 24 * 3600  # seconds that an unfinished download is kept
_POLL = 0.1


def place_of(workspace: Workspace, name: str) -> Path:
    """Return where the backbone of a pinned name lies or would lie. Raises BackboneError for any other name."""
    match = _NAME.fullmatch(name)
    if not match or ".." in name:
        raise BackboneError(f"{name} is not the full name of a fetched backbone.", _LIST)
    folder = f"{match['word'].replace('/', '--')}@{match['version']}"
    return workspace.root / "backbones" / _PLACES[match["prefix"]] / folder


def folder_of(workspace: Workspace, name: str) -> Path:
    """Return the folder of a fetched backbone. Raises BackboneError where it is not there."""
    folder = place_of(workspace, name)
    if not provenance_of(folder):
        raise BackboneError(f"The backbone {name} is not on this machine.", f"Get it: python -m tl_core fetch {name}")
    return folder


def provenance_of(folder: Path) -> Provenance | None:
    """Return where a fetched folder came from, None where it cannot be read."""
    return read_value(Provenance, folder / PROVENANCE)


def fetched(workspace: Workspace) -> tuple[Provenance, ...]:
    """Return every fetched backbone, the latest first."""
    root = workspace.root / "backbones"
    files = [file for kind in _PLACES.values() for file in root.glob(f"{kind}/*/{PROVENANCE}")]
    files.sort(key=lambda file: file.stat().st_mtime, reverse=True)
    return tuple(provenance for file in files if (provenance := provenance_of(file.parent)))


def unfinished(workspace: Workspace) -> dict[str, int]:
    """Return the models of the hub that are partly here, by name, with the bytes that have arrived."""
    parts = (workspace.root / "backbones" / _PARTS).glob("hub--*")
    return {HUB_PREFIX + part.name[5:].replace("--", "/"): _bytes_of(part) for part in parts if _bytes_of(part)}


def delete(workspace: Workspace, name: str) -> None:
    """Remove a fetched backbone, and what has arrived of it. Raises BackboneError where there is neither."""
    place = place_of(workspace, name)
    part = _part_of(workspace, place)
    if not place.is_dir() and not part.is_dir():
        raise BackboneError(f"The backbone {name} is not on this machine.", _LIST)
    if part.is_dir():
        _remove_free(part)
    gone = part.with_name(f"gone-{uuid.uuid4().hex[:8]}")
    with suppress(FileNotFoundError), store_errors():
        gone.parent.mkdir(parents=True, exist_ok=True)
        os.replace(place, gone)  # at once, so that nobody sees half of it
        shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def staging(workspace: Workspace, place: Path, cancelled: Callable[[], bool]) -> Iterator[Path | None]:
    """Hold the folder in which a backbone is put together; yields None where another process has just finished it.

    One process at a time holds it, and a lock ends with its process. What lies in it stays for the next time.
    Raises DownloadCancelled while waiting, WorkspaceError where the disk cannot be written.
    """
    part = _part_of(workspace, place)
    _sweep(part.parent)
    handle = _lock(part, cancelled)
    try:
        if provenance_of(place):
            shutil.rmtree(part, ignore_errors=True)
            yield None
        else:
            yield part
    finally:
        os.close(handle)


def install(part: Path, place: Path, provenance: Provenance) -> None:
    """Make a staged folder, now complete, a fetched backbone; a damaged one gives way. Raises WorkspaceError."""
    write_value(part / PROVENANCE, provenance)
    with store_errors():
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir():
            shutil.rmtree(place)
        os.replace(part, place)


def free_bytes(folder: Path) -> int:
    """Return how many bytes are free where a folder lies."""
    return shutil.disk_usage(folder).free


_LIST = "See what is there: python -m tl_core backbones"


def _part_of(workspace: Workspace, place: Path) -> Path:
    return workspace.root / "backbones" / _PARTS / f"{place.parent.name}--{place.name}"


def _lock(part: Path, cancelled: Callable[[], bool]) -> int:
    """Make a folder and lock it; return its handle. It may vanish while it is waited for: then it is made again."""
    while True:
        with store_errors():
            part.mkdir(parents=True, exist_ok=True)
            handle = os.open(part, os.O_RDONLY)
        while not _try_lock(handle):
            if cancelled():
                os.close(handle)
                raise DownloadCancelled
            time.sleep(_POLL)
        with suppress(FileNotFoundError):
            if os.fstat(handle).st_ino == part.stat().st_ino:
                return handle
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sweep(parts: Path) -> None:
    """Remove what killed processes left: copies of own files at once, downloads when they are old."""
    for part in parts.glob("*"):
        with suppress(OSError):  # another process may be just removing it
            young = time.time() - max(path.stat().st_mtime for path in (part, *part.iterdir())) < _KEPT
            if young and part.name.startswith(("hub--", "torchvision--")):
                continue
            _remove_free(part)


def _remove_free(part: Path) -> None:
    """Remove a folder that no process holds."""
    handle = os.open(part, os.O_RDONLY)
    try:
        if _try_lock(handle):
            shutil.rmtree(part)
    finally:
        os.close(handle)


def _bytes_of(folder: Path) -> int:
    with suppress(OSError):
        return sum(path.stat().st_size for path in folder.iterdir())
    return 0


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn what a full or failing disk raises into a WorkspaceError; a missing file stays FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise WorkspaceError(
            f"The folder of the backbones cannot be written ({error.strerror}).",
            "Check the free space, or set GRAFT_HOME to a folder that can be written.",
        ) from error
