"""The cache of activations at a frozen boundary: in memory while they fit, else in a file, else nowhere."""

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
"""Each tensor's part of the file begins at a multiple of this many bytes, so that every type of number is aligned."""
CHUNK = 2**20
"""Bytes written at once, on systems that cannot reserve the space of a file."""


@dataclass(frozen=True)
class CacheBudget:
    """Bytes that activations may take in memory, else in a file in `folder`; `memory` 0 allows no file either."""

    memory: int
    disk: int
    folder: Path


class ActivationCache(Protocol):
    """The state of each item by its row: a tuple of tensors, of a text `[T, ...]` without padding."""

    on_disk: int
    """Bytes on disk."""

    def put(self, row: int, state: State) -> None:
        """Cache the state of an item."""
        ...

    def get(self, row: int) -> State | None:
        """Return the state of an item, on the device of the cache; None where it is not cached."""
        ...


class InMemory:
    """States in memory, on the device where the model computes them."""

    on_disk = 0

    def __init__(self) -> None:
        self._states: dict[int, State] = {}

    def put(self, row: int, state: State) -> None:
        """Cache the state of an item."""
        self._states[row] = tuple(tensor.clone() for tensor in state)

    def get(self, row: int) -> State | None:
        """Return the state of an item; None where it is not cached."""
        return self._states.get(row)


class StateFile:
    """States in a memory-mapped file, bit for bit: what each item has once as records, tokens one after the other.

    The file has no name, so the system frees its space once no process has it open, even after a process was killed.
    """

    def __init__(self, folder: Path, like: State, units: Sequence[int], by_token: Sequence[bool]) -> None:
        """Reserve space for as many `units` of each tensor: items, or tokens of all items where `by_token` is true.

        `like` is the state of any batch: `[B, ...]`, or `[B, T, ...]` by token. Raises OSError where the disk has too
        little space.
        """
        pairs = list(zip(like, by_token, strict=True))
        samples = [tensor[0, 0].clone() if tokens else tensor[0].clone() for tensor, tokens in pairs]  # keeps strides
        ends = np.cumsum([-(-n * sample.nbytes // ALIGN) * ALIGN for n, sample in zip(units, samples, strict=True)])
        self.on_disk = int(ends[-1])
        self._by_token = tuple(by_token)
        self._places: dict[int, tuple[int, slice]] = {}
        self._end = 0
        with tempfile.TemporaryFile(dir=folder) as file:
            _reserve(file, self.on_disk)
            whole = torch.from_numpy(np.memmap(file, dtype=np.uint8, mode="r+", shape=(self.on_disk,)))
        begins = [0, *ends[:-1].tolist()]
        self._parts = [_part(whole[at:], sample, n) for at, sample, n in zip(begins, samples, units, strict=True)]

    def put(self, row: int, state: State) -> None:
        """Write the state of an item after the last one."""
        count = next((len(tensor) for tensor, tokens in zip(state, self._by_token, strict=True) if tokens), 0)
        item, place = len(self._places), slice(self._end, self._end + count)
        for part, tensor, tokens in zip(self._parts, state, self._by_token, strict=True):
            part[place if tokens else item] = tensor
        self._places[row], self._end = (item, place), place.stop

    def get(self, row: int) -> State | None:
        """Return the state of an item, a view of the file; None where it is not cached."""
        if row not in self._places:
            return None
        item, place = self._places[row]
        return tuple(part[place if t else item] for part, t in zip(self._parts, self._by_token, strict=True))


def make_cache(
    budget: CacheBudget, like: State, rows: np.ndarray, lengths: np.ndarray | None, by_token: Sequence[bool]
) -> ActivationCache | None:
    """Return a cache that the states of `rows` fit into, None where they exceed the budget.

    `like` is the state of some batch of them, padded to its longest text; `by_token` says which of its tensors have one
    row for each token. `lengths` are the tokens of each row of the item index, None for pictures. The last SPARE bytes
    of free disk stay free.
    """
    tokens = 0 if lengths is None else int(lengths[rows].sum())
    units = [tokens if by else len(rows) for by in by_token]
    size = sum(n * _unit(tensor, by) for n, tensor, by in zip(units, like, by_token, strict=True))
    if size <= budget.memory:
        return InMemory()
    size += ALIGN * len(like)
    if not budget.memory or size > budget.disk:
        return None
    try:
        budget.folder.mkdir(parents=True, exist_ok=True)
        if size > shutil.disk_usage(budget.folder).free - prepared.SPARE:
            return None
        return StateFile(budget.folder, like, units, by_token)
    except OSError:
        return None


def pad(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the tensors as one batch; shorter ones are padded with zeros at the end."""
    if all(t.shape == tensors[0].shape for t in tensors):
        return torch.stack(list(tensors))
    return torch.nn.utils.rnn.pad_sequence(list(tensors), batch_first=True)


def _unit(tensor: torch.Tensor, by_token: bool) -> int:
    """Return the bytes of one item, or of one token."""
    return tensor.nbytes // (tensor.shape[0] * (tensor.shape[1] if by_token else 1))


def _reserve(file: IO[bytes], size: int) -> None:
    """Take the space now: a full disk raises OSError here, but would crash the process once the file is mapped."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for begin in range(0, size, CHUNK):
        file.write(bytes(min(CHUNK, size - begin)))
    file.flush()


def _part(memory: torch.Tensor, sample: torch.Tensor, units: int) -> torch.Tensor:
    """Return the start of `memory` (uint8) as `[units, *sample.shape]`, each unit with the strides of `sample`."""
    numbers = memory[: units * sample.nbytes].view(sample.dtype)
    return numbers.as_strided((units, *sample.shape), (sample.numel(), *sample.stride()), numbers.storage_offset())
