"""Checkpoints on disk: everything that a run needs to go on as if nothing had happened, whole or not at all.

Each is a folder <number>/ below checkpoints/ with state.safetensors (tensors) and state.json (the rest, and the
digest of the tensors' file). Two are kept, so that a damaged one does not lose the run.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from tl_core.errors import WorkspaceError
from tl_core.workspace import new_folder

FOLDER = "checkpoints"
KEPT = 2
TENSORS, FACTS = "state.safetensors", "state.json"


@dataclass(frozen=True)
class Snapshot:
    """A run between two steps: tensors by "kind/name", and plain JSON facts."""

    tensors: Mapping[str, torch.Tensor]
    facts: Mapping[str, Any]

    def under(self, kind: str) -> dict[str, torch.Tensor]:
        """Return the tensors of one kind, by name."""
        start = f"{kind}/"
        return {name[len(start) :]: tensor for name, tensor in self.tensors.items() if name.startswith(start)}


class Checkpoints:
    """The checkpoints of the run in `folder`; one process at a time writes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def write(self, snapshot: Snapshot) -> None:
        """Write a checkpoint and drop all but the last two. Raises WorkspaceError; the ones before are still there."""
        try:
            if not self._folder.parent.is_dir():  # somebody deleted the run, and it shall not come back in pieces
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            self._folder.mkdir(exist_ok=True)
            for part in self._folder.glob(".*.part"):  # of a process that was killed while it wrote
                shutil.rmtree(part, ignore_errors=True)
            number = max((int(path.name) for path in self._all()), default=0) + 1
            with new_folder(self._folder / f"{number:08d}") as part:
                _fill(part, snapshot)
            _sync(self._folder)
        except (OSError, safetensors.SafetensorError) as error:
            told = getattr(error, "strerror", None) or str(error)
            raise WorkspaceError(
                f"The run's state could not be written to disk ({told}).",
                "Free some space in the workspace folder; then the run can go on from its last checkpoint.",
            ) from error
        for old in self._all()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def latest(self) -> Snapshot | None:
        """Return the newest checkpoint that is whole, and remove damaged ones after it; None where there is none."""
        for path in reversed(self._all()):
            try:
                return _read(path)
            except (OSError, ValueError, KeyError, safetensors.SafetensorError):
                shutil.rmtree(path, ignore_errors=True)
        return None

    def clear(self, but_last: bool = False) -> None:
        """Remove every checkpoint, or all but the last one."""
        for old in self._all()[:-1] if but_last else [self._folder]:
            shutil.rmtree(old, ignore_errors=True)

    def _all(self) -> list[Path]:
        """Return the checkpoints' folders, oldest first."""
        return sorted(path for path in self._folder.glob("*") if path.name.isdecimal())


def _fill(folder: Path, snapshot: Snapshot) -> None:
    safetensors.torch.save_file(_apart(snapshot.tensors), folder / TENSORS)
    _sync(folder / TENSORS)
    facts = {"digest": _digest(folder / TENSORS), **snapshot.facts}
    with open(folder / FACTS, "w", encoding="utf-8") as file:
        json.dump(facts, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    _sync(folder)


def _read(folder: Path) -> Snapshot:
    """Read a checkpoint. Raises ValueError where the tensors are not those that were written."""
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    if facts.pop("digest") != _digest(folder / TENSORS):
        raise ValueError("The checkpoint is damaged.")
    return Snapshot(safetensors.torch.load_file(folder / TENSORS), facts)


def _apart(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return contiguous tensors on the CPU, no two in the same memory, which safetensors would refuse."""
    found: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().contiguous().cpu()
        place = plain.untyped_storage().data_ptr()
        found[name] = plain.clone() if place in seen else plain
        seen.add(place)
    return found


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk itself."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
