"""Checkpoints on disk: all that a run needs to resume as if nothing had happened. Each is complete or not there.

A checkpoint is a folder <number>/ in checkpoints/ with state.safetensors (tensors) and state.json (everything else, and
the digest of the tensors' file). The last two are kept, so that a damaged one does not lose the run.
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
"""Checkpoints that are kept."""
TENSORS, FACTS = "state.safetensors", "state.json"


@dataclass(frozen=True)
class Snapshot:
    """A run between two steps: tensors by "kind/name", and plain JSON facts."""

    tensors: dict[str, torch.Tensor]
    facts: Mapping[str, Any]

    def under(self, kind: str) -> dict[str, torch.Tensor]:
        """Return the tensors of one kind, by name."""
        prefix = f"{kind}/"
        return {name[len(prefix) :]: tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}


class Checkpoints:
    """The checkpoints of the run in `folder`. Only one process at a time may write them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def write(self, snapshot: Snapshot) -> None:
        """Write a checkpoint and remove all but the last two.

        Raises WorkspaceError where the disk is full; the earlier checkpoints then stay.
        """
        try:
            if not self._folder.parent.is_dir():  # somebody deleted the run; do not recreate parts of it
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            self._folder.mkdir(exist_ok=True)
            for part in self._folder.glob(".*.part"):  # left by a process that was killed while it wrote
                shutil.rmtree(part, ignore_errors=True)
            number = max((int(path.name) for path in self._all()), default=0) + 1
            with new_folder(self._folder / f"{number:08d}") as part:
                _fill(part, snapshot)
            _sync(self._folder)
        except (OSError, safetensors.SafetensorError) as error:
            cause = getattr(error, "strerror", None) or str(error)
            raise WorkspaceError(
                f"The run's state could not be written to disk ({cause}).",
                "Free some space in the workspace folder; then you can resume the run from its last checkpoint.",
            ) from error
        for old in self._all()[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def latest(self) -> Snapshot | None:
        """Return the newest undamaged checkpoint and remove newer, damaged ones; None where there is none."""
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
    safetensors.torch.save_file(_savable(snapshot.tensors), folder / TENSORS)
    _sync(folder / TENSORS)
    facts = {"digest": _digest(folder / TENSORS), **snapshot.facts}
    with open(folder / FACTS, "w", encoding="utf-8") as file:
        json.dump(facts, file, ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    _sync(folder)


def _read(folder: Path) -> Snapshot:
    """Read a checkpoint. Raises ValueError where the tensors' file differs from what was written."""
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    if facts.pop("digest") != _digest(folder / TENSORS):
        raise ValueError("The checkpoint is damaged.")
    return Snapshot(safetensors.torch.load_file(folder / TENSORS), facts)


def _savable(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return contiguous tensors on the CPU that share no memory; safetensors refuses tensors that do."""
    savable: dict[str, torch.Tensor] = {}
    addresses: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().contiguous().cpu()
        address = plain.untyped_storage().data_ptr()
        savable[name] = plain.clone() if address in addresses else plain
        addresses.add(address)
    return savable


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Wait until a file, or the list of files of a folder, is on the disk itself."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
