"""Prepared items, cached where that saves work: decoding pictures again in every epoch is slow."""

import os
import shutil
import threading
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from tl_core.backbones.preprocess import ImagePreprocessor, PairPreprocessor, Preprocessor
from tl_core.data.dataset import Dataset
from tl_core.errors import DataError, WorkspaceError

SPARE = 2**30
"""Bytes of free disk that a cache never touches."""
CHECK = 4
"""Bytes of checksum after each item."""


def unique_items(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the first row of each distinct content `[U]`, and for every row the index of its content `[N]`."""
    _, first, index = np.unique(dataset.items["digest"].to_numpy(dtype=str), return_index=True, return_inverse=True)
    return first, index


class PreparedTexts(Sequence[torch.Tensor]):
    """Token ids of every text, in memory, end to end."""

    def __init__(self, dataset: Dataset, prepare: Preprocessor) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # tokenizers let other threads run meanwhile
            parts = [ids.numpy() for ids in pool.map(prepare.prepare, dataset.items["text"])]
        self.lengths = np.array([len(part) for part in parts], dtype=np.int64)
        self._ends = np.cumsum(self.lengths)
        self._ids = np.concatenate([np.zeros(0, dtype=np.int32), *parts])

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> torch.Tensor:  # type: ignore[override]
        end = self._ends[row]
        return torch.from_numpy(self._ids[end - self.lengths[row] : end])


class PreparedPairs(Sequence[torch.Tensor]):
    """Pictures with their texts, as `PairPreprocessor` joins them."""

    def __init__(self, pictures: "PreparedImages", texts: PreparedTexts, prepare: PairPreprocessor) -> None:
        self._pictures, self._texts, self._prepare = pictures, texts, prepare
        self.lengths = texts.lengths
        """Tokens of each text `[N]`."""

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, row: int) -> torch.Tensor:  # type: ignore[override]
        return self._prepare.join(self._pictures[row], self._texts[row])


class PreparedImages(Sequence[torch.Tensor]):
    """Pictures as uint8 `[3, S, S]`: decoded on first use, then read from a record file if there is one."""

    def __init__(self, dataset: Dataset, prepare: ImagePreprocessor, cache: "RecordFile | None") -> None:
        self._paths = dataset.items["path"].tolist()
        self._names = dataset.items["id"].tolist()
        self._folder = dataset.folder
        self._prepare = prepare
        self._cache = cache
        self._index = unique_items(dataset)[1]

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> torch.Tensor:  # type: ignore[override]
        record = int(self._index[row])
        if self._cache is not None and (kept := self._cache.read(record)) is not None:
            size = self._prepare.input.size
            return torch.from_numpy(kept).view(3, size, size)
        try:
            made = self._prepare.prepare(self._folder / self._paths[row])
        except DataError as error:
            raise DataError(
                f"The picture {self._names[row]} cannot be read any more: {error.message}.",
                "Import the data set again; its stored copy was damaged.",
            ) from error
        if self._cache is not None:
            self._cache.write(record, made.numpy())
        return made


def token_lengths(items: Sequence[torch.Tensor]) -> np.ndarray:
    """Return the tokens of each prepared text, or of the text of each prepared pair, int64 `[N]`."""
    if isinstance(items, (PreparedTexts, PreparedPairs)):
        return items.lengths
    return np.array([len(item) for item in items], dtype=np.int64)


class RecordFile:
    """Records of equal size in a file, each with a checksum. A record that is missing or half written reads as None.

    Several threads and processes may use the same file, because equal records hold equal content.
    """

    def __init__(self, path: Path, count: int, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        path.touch()
        self._file = open(path, "r+b", buffering=0)  # noqa: SIM115 (lives as long as this object)
        self._file.truncate(count * (size + CHECK))

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def read(self, record: int) -> np.ndarray | None:
        """Return the bytes of a record as uint8, or None if it is missing."""
        data = bytearray(self._size + CHECK)
        with self._lock:
            self._file.seek(record * len(data))
            read = self._file.readinto(data)
        body = memoryview(data)[: self._size]
        whole = read == len(data) and zlib.crc32(body) == int.from_bytes(data[self._size :], "little")
        return np.frombuffer(body, dtype=np.uint8) if whole else None

    def write(self, record: int, body: np.ndarray) -> None:
        """Write a record; a full disk skips it without an error."""
        data = body.tobytes()
        data += zlib.crc32(data).to_bytes(CHECK, "little")
        try:
            with self._lock:
                self._file.seek(record * len(data))
                self._file.write(data)
        except OSError:
            pass


def open_cache(root: Path, path: Path, count: int, size: int, budget: int) -> RecordFile | None:
    """Open the record file at `path`; remove the least recently used files if space is short.

    `budget` caps the bytes of all record files below `root`. Returns None if this file does not fit.
    """
    need = count * (size + CHECK)
    others = [p for p in root.glob(f"*/*{path.suffix}") if p != path]
    others.sort(key=lambda other: other.stat().st_mtime)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        room = shutil.disk_usage(path.parent).free - SPARE
        if need > min(budget, room) and not path.exists():
            return None
        total = sum(other.stat().st_size for other in others)
        while others and total + need > budget:
            oldest = others.pop(0)
            total -= oldest.stat().st_size
            oldest.unlink(missing_ok=True)
        return RecordFile(path, count, size)
    except OSError as error:
        raise WorkspaceError(
            f"The workspace cannot be written ({error.strerror}).", "Check the free space of the workspace folder."
        ) from error
