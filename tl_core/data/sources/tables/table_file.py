"""A table as bytes: of a file or an archive member, gzipped or not; and which format they are in."""

import gzip
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, cast

from tl_core.data.sources.file_tree import RATIO_MATTERS, ArchiveEntry, read_whole
from tl_core.errors import DataError
from tl_core.workspace import Limits

Kind = Literal["delimited", "jsonl", "json", "parquet", "xlsx"]
KINDS: dict[str, Kind] = {
    **dict.fromkeys((".csv", ".tsv", ".tab"), "delimited"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    ".parquet": "parquet",
    ".xlsx": "xlsx",
    ".json": "json",
}
"""The kind that each suffix means. Among several kinds in one source, the earlier is likelier to hold the data."""

_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DAMAGE = (OSError, EOFError, zlib.error)


@dataclass(frozen=True)
class TableFile:
    """A table's name, a function that opens its bytes, and the limits for reading it.

    `parts` are the (split, table) pairs that are read as one table.
    """

    name: str
    open: Callable[[], BinaryIO]
    limits: Limits
    parts: tuple[tuple[str, "TableFile"], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all files that the table is read from."""
        return tuple(file.name for _, file in self.parts) or (self.name,)

    @property
    def suffix(self) -> str:
        """Return the lower-case suffix, with its dot."""
        return PurePosixPath(self.name).suffix.lower()

    def head(self, size: int) -> bytes:
        """Return the first bytes."""
        with self.open() as stream:
            return stream.read(size)


def kind_of_name(name: str) -> Kind | None:
    """Return the kind of table that a file name means, gzipped or not; None for other names, `.txt` among them."""
    path = PurePosixPath(name.lower())
    return KINDS.get(PurePosixPath(path.stem).suffix if path.suffix == ".gz" else path.suffix)


def has_table_name(name: str) -> bool:
    """Return whether a file name is that of a table."""
    return kind_of_name(name) is not None


def best_tables(entries: list[ArchiveEntry]) -> list[ArchiveEntry]:
    """Return the tables among files. If there are several formats, only those of the format most common for data."""
    with_kind = [(entry, kind_of_name(entry.name)) for entry in entries]
    kinds = tuple(dict.fromkeys(KINDS.values()))
    best = min((kinds.index(kind) for _, kind in with_kind if kind), default=None)
    return [] if best is None else [entry for entry, kind in with_kind if kind == kinds[best]]


def file_table(path: Path, limits: Limits) -> TableFile:
    """Return the table in a file on disk."""

    def open_bytes() -> BinaryIO:
        try:
            return path.open("rb")
        except OSError as error:
            raise DataError(f"{path.name} cannot be read: it cannot be opened ({error.strerror}).") from error

    return _decompressed(TableFile(path.name, open_bytes, limits))


def entry_table(entry: ArchiveEntry, limits: Limits) -> TableFile:
    """Return the table in an archive member. Its bytes are read once."""
    content: list[bytes] = []

    def open_bytes() -> BinaryIO:
        if not content:
            content.append(read_whole(entry))
        return io.BytesIO(content[0])

    return _decompressed(TableFile(entry.name, open_bytes, limits))


def kind_of(file: TableFile) -> Kind:
    """Return the format of a table: by its first bytes if they show it, else by its name.

    Raises DataError for a spreadsheet that is protected or in the old format.
    """
    head = file.head(8)
    if head == _OLD_OFFICE:
        with file.open() as stream:
            locked = "EncryptedPackage".encode("utf-16-le") in stream.read(64 * 2**20)
        if locked:
            raise DataError(f"{file.name} is protected by a password.", "Save it without a password.")
        raise DataError(f"{file.name} is a spreadsheet in the old XLS format.", "Save it as .xlsx or as CSV.")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        return "xlsx"
    return kind_of_name(file.name) or "delimited"


def _decompressed(file: TableFile) -> TableFile:
    """Return the table inside a gzip file, or the file itself if it is not gzipped."""
    if file.suffix != ".gz" and file.head(2) != b"\x1f\x8b":
        return file
    name = file.name[:-3] if file.suffix == ".gz" else file.name
    if KINDS.get(PurePosixPath(name).suffix.lower()) in ("parquet", "xlsx"):
        raise DataError(f"{file.name} is compressed twice.", "Decompress it with gzip, and give the file inside.")
    return replace(file, name=name, open=lambda: cast(BinaryIO, io.BufferedReader(_LimitedGzip(file), 1 << 20)))


class _LimitedGzip(io.RawIOBase):
    """The bytes inside a gzip file. Reading raises DataError beyond the limits, and where the file is damaged."""

    def __init__(self, file: TableFile) -> None:
        self._file = file
        self._packed = file.open()
        self._stream = gzip.GzipFile(fileobj=self._packed, mode="rb")
        self._done = 0

    def readable(self) -> bool:
        """Return True: the stream can be read."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        """Read the next bytes into a buffer, and return their number."""
        try:
            data = self._stream.read(len(buffer))
        except _DAMAGE as error:
            raise DataError(f"{self._file.name} is damaged.", "Make or download it again.") from error
        self._done += len(data)
        limits = self._file.limits
        if self._done > limits.unpacked:
            raise DataError(
                f"{self._file.name} would unpack to more than {limits.unpacked / 2**30:.1f} GB.",
                "Give a part of it, or unpack it first.",
            )
        if self._done > RATIO_MATTERS and self._done > limits.ratio * max(1, self._packed.tell()):
            raise DataError(
                f"{self._file.name} would unpack to more than {limits.ratio:,.0f} times its size, as harmful files do.",
                "If this is really your data, unpack it first.",
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the gzip stream and the file below it."""
        self._stream.close()
        self._packed.close()
        super().close()
