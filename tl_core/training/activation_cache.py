"""Where the activations at a frozen boundary are kept: in memory while they fit, then in a file, else nowhere."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import torch

from tl_core.backbones import prepared
from tl_core.backbones.staged import State

ALIGN = 64
"""Each tensor's part of the file begins at a multiple of so many bytes, which every kind of number can be read at."""
CHUNK = 2**20
"""Bytes written at once where the system cannot reserve a file's space by itself."""


@dataclass(frozen=True)
class CacheBudget:
    """Bytes that activations may take in memory, else in a file in `folder`; no memory means no file either."""

    memory: int
    disk: int
    folder: Path


class ActivationCache(Protocol):
    """States of items by row: a tuple of tensors each, for a text `[T, ...]` without its padding."""

    on_disk: int
    """Bytes of disk that are taken."""

    def put(self, row: int, state: State) -> None:
        """Keep the state of an item."""
        ...

    def get(self, row: int) -> State | None:
        """Return the state of an item, on whatever device it is kept; None where it was never put."""
        ...


class InMemory:
    """States where the model computes them."""

    on_disk = 0

    def __init__(self) -> None:
        self._states: dict[int, State] = {}

    def put(self, row: int, state: State) -> None:
        """Keep the state of an item."""
        self._states[row] = tuple(tensor.clone() for tensor in state)

    def get(self, row: int) -> State | None:
        """Return the state of an item; None where it was never put."""
        return self._states.get(row)


class StateFile:
    """States in a memory-mapped file: pictures as records of one size, texts end to end, with the bits they have.

    The file has no name, so the system takes its space back once nobody holds it: after a killed process too.
    """

    def __init__(self, folder: Path, like: State, units: int, texts: bool) -> None:
        """Reserve room for `units` pictures, or tokens of all texts, of a batch's state. Raises OSError for want of it.

        `like` is `[B, ...]` of pictures, or `[B, T, ...]` of `texts`.
        """
        samples = [tensor[0, 0].clone() if texts else tensor[0].clone() for tensor in like]  # keep their strides
        ends = np.cumsum([-(-units * sample.nbytes // ALIGN) * ALIGN for sample in samples])
        self.on_disk = int(ends[-1])
        self._texts = texts
        self._places: dict[int, slice] = {}
        self._end = 0
        with tempfile.TemporaryFile(dir=folder) as file:
            _reserve(file, self.on_disk)
            whole = torch.from_numpy(np.memmap(file, dtype=np.uint8, mode="r+", shape=(self.on_disk,)))
        begins = [0, *ends[:-1].tolist()]
        self._parts = [_part(whole[begin:], sample, units) for begin, sample in zip(begins, samples, strict=True)]

    def put(self, row: int, state: State) -> None:
        """Write the state of an item behind the last one's."""
        count = len(state[0]) if self._texts else 1
        place = slice(self._end, self._end + count)
        for part, tensor in zip(self._parts, state, strict=True):
            part[place] = tensor if self._texts else tensor[None]
        self._places[row], self._end = place, place.stop

    def get(self, row: int) -> State | None:
        """Return the state of an item, a view of the file; None where it was never put."""
        place = self._places.get(row)
        if place is None:
            return None
        return tuple(part[place] if self._texts else part[place.start] for part in self._parts)


def keep(room: CacheBudget, like: State, rows: np.ndarray, lengths: np.ndarray | None) -> ActivationCache | None:
    """Return where the states of `rows` fit, None where they do not; `like` is the state of some batch of them.

    `lengths` are the tokens of each row of the item space, None for pictures. What a batch of texts is padded to must
    be its longest text. The last SPARE bytes of free disk stay free.
    """
    units = len(rows) if lengths is None else int(lengths[rows].sum())
    need = units * sum(_unit(tensor, lengths is not None) for tensor in like)
    if need <= room.memory:
        return InMemory()
    need += ALIGN * len(like)
    if not room.memory or need > room.disk:
        return None
    try:
        room.folder.mkdir(parents=True, exist_ok=True)
        if need > shutil.disk_usage(room.folder).free - prepared.SPARE:
            return None
        return StateFile(room.folder, like, units, lengths is not None)
    except OSError:
        return None


def pad(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the tensors as one batch, padded with zeros behind where they differ in length."""
    if all(t.shape == tensors[0].shape for t in tensors):
        return torch.stack(list(tensors))
    return torch.nn.utils.rnn.pad_sequence(list(tensors), batch_first=True)


def _unit(tensor: torch.Tensor, texts: bool) -> int:
    """Return the bytes of one picture, or one token."""
    return tensor.nbytes // (tensor.shape[0] * (tensor.shape[1] if texts else 1))


def _reserve(file: IO[bytes], size: int) -> None:
    """Take the space now: a full disk is an error here, and would be a crash once the file is mapped."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for begin in range(0, size, CHUNK):
        file.write(bytes(min(CHUNK, size - begin)))
    file.flush()


def _part(memory: torch.Tensor, sample: torch.Tensor, units: int) -> torch.Tensor:
    """Return the beginning of `memory` (uint8) as `[units, *sample.shape]`, each unit laid out as the sample is."""
    numbers = memory[: units * sample.nbytes].view(sample.dtype)
    return numbers.as_strided((units, *sample.shape), (sample.numel(), *sample.stride()), numbers.storage_offset())
