"""A tar archive, compressed or not, as one list of files, read once from start to end in bounded memory."""

import bz2
import lzma
import struct
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tarfile import ReadError
from typing import IO, Any, Protocol, Self

from tl_core.data.options import OnProgress
from tl_core.data.sources.file_tree import (
    MAX_FILE,
    RATIO_MATTERS,
    UNPACK_HINT,
    ArchiveEntry,
    Tree,
    check_size,
    readable,
)
from tl_core.data.sources.manifest import disk_errors
from tl_core.data.sources.tables.table_file import has_table_name
from tl_core.errors import DataError
from tl_core.workspace import Limits

_CHUNK = 2**20
_IN_MEMORY = 64 * _CHUNK  # for tables that are only previewed
_HEADER = 2**20  # most bytes of a header that only gives a long name
_XZ_MEMORY = 256 * _CHUNK
_DAMAGE = (tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError, RecursionError)
_NO_HEADER = (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError, tarfile.EmptyHeaderError)  # type: ignore[attr-defined]
_NAMES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.xz", ".txz")
_LONG = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


class _Decompressor(Protocol):
    """The interface that the decompressors of bz2 and lzma share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, most: int, /) -> bytes: ...


class _GzipDecompressor:
    """zlib's gzip decompressor with the interface of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(31)

    def decompress(self, data: bytes, most: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail or data, most)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


def _xz_decompressor() -> _Decompressor:
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)


_COMPRESSIONS: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": _GzipDecompressor,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ": _xz_decompressor,
}


def is_tar(path: Path) -> bool:
    """Return whether a file is a tar archive, compressed or not, by its first bytes or else by its name."""
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"PK"):
        return False
    return head.startswith(tuple(_COMPRESSIONS)) or head[257:262] == b"ustar" or path.name.lower().endswith(_NAMES)


@contextmanager
def open_tar(path: Path, limits: Limits, cache: Path | None, progress: OnProgress) -> Iterator[Tree]:
    """List a tar archive; its entries can be read inside the block. See `open_tree`."""
    with path.open("rb") as file, _temporary_file(cache) as spool:
        tree = Tree()
        reader = _TarReader(path.name, tree, file, spool, cache is None)
        head = file.read(8)
        file.seek(0)
        make = next((make for magic, make in _COMPRESSIONS.items() if head.startswith(magic)), None)
        stream = _CountedStream(_decompressed(file, make) if make else _chunks(file), path, limits, progress)
        try:
            reader.read(stream, packed=make is not None, most=limits.members)
        except _DAMAGE as error:
            if not tree.entries:
                raise _unusable(path, stream.count) from error
            files = f"{len(tree.entries):,} file{'s' * (len(tree.entries) != 1)}"
            tree.skip(path.name, f"the archive is damaged or cut off after {files}; what follows could not be read")
        if not tree.entries:
            raise DataError(f"{path.name} holds no files.", "Pack the folder that holds one folder per class.")
        yield tree.finish()


def _unusable(path: Path, unpacked: int) -> DataError:
    if unpacked and PurePosixPath(path.stem).suffix.lower() != ".tar" and path.suffix.lower() in (".gz", ".bz2", ".xz"):
        return DataError(
            f"{path.name} is a compressed file without a tar archive inside.", "Decompress it, and give the file."
        )
    return DataError(
        f"{path.name} is not a tar archive, or it is damaged.", "Make the archive again, or give the folder itself."
    )


def _temporary_file(folder: Path | None) -> IO[bytes]:
    """Return an unnamed file that disappears with the process."""
    with disk_errors():
        return tempfile.TemporaryFile(dir=folder) if folder else tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)


class _TarReader:
    """Reads an archive member by member, and copies to `spool` what cannot be read again later."""

    def __init__(self, name: str, tree: Tree, file: IO[bytes], spool: IO[bytes], only_tables: bool) -> None:
        self._name = name
        self._tree = tree
        self._file = file
        self._spool = spool
        self._only_tables = only_tables

    def read(self, stream: "_CountedStream", packed: bool, most: int) -> None:
        """Fill the tree. Raises one of _DAMAGE where the archive breaks off."""
        options: dict[str, Any] = {"fileobj": stream, "mode": "r|", "bufsize": _CHUNK, "tarinfo": _Info}
        with tarfile.open(**options, encoding="utf-8", errors="surrogateescape") as archive:
            count = 0
            while (info := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # else they accumulate
                stream.check(archive.offset)  # the claimed place of the next header
                count += 1
                if count > most:
                    raise DataError(
                        f"{self._name} holds more than {most:,} files, the most that are read.", UNPACK_HINT
                    )
                if info.issparse():
                    stream.spend(info.size)  # a header alone can claim any number of zeros
                self._take(archive, info, packed)

    def _take(self, archive: tarfile.TarFile, info: tarfile.TarInfo, packed: bool) -> None:
        path = readable(info.name.encode("utf-8", "surrogateescape"))
        path = path if path.startswith("/") else str(PurePosixPath(path))
        if info.isdir():
            if path != ".":
                self._tree.add_folder(path)
            return
        if not self._tree.wants(path, _problem(info)):
            return
        entry = ArchiveEntry(path, info.size, _never)
        readable_later = info.size <= MAX_FILE and not (self._only_tables and not has_table_name(path))
        if not packed and not info.issparse():
            entry = ArchiveEntry(path, info.size, _reader(self._file, info.offset_data, info.size))
        elif readable_later:
            start = self._spool.seek(0, 2)
            content = archive.extractfile(info)
            while content and (data := content.read(_CHUNK)):
                with disk_errors():
                    self._spool.write(data)
            entry = ArchiveEntry(path, info.size, _reader(self._spool, start, info.size))
        elif info.size > MAX_FILE:
            entry = ArchiveEntry(path, info.size, _reader(self._spool, 0, info.size))
        self._tree.entries.append(entry)


class _Info(tarfile.TarInfo):
    """A header that never ends an archive silently and never takes much memory."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        """Return the next header. Raises ReadError for a damaged header and a missing end mark."""
        try:
            return super().fromtarfile(tarfile)
        except _NO_HEADER as error:
            raise ReadError("damaged") from error

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return a header. Raises ReadError where it claims an impossible size."""
        info = super().frombuf(buf, encoding, errors)
        if info.size < 0 or (info.type in _LONG and info.size > _HEADER):
            raise ReadError("damaged")
        return info


class _CountedStream:
    """The decompressed archive, with its bytes counted. Reading raises DataError beyond the limits."""

    def __init__(self, chunks: Iterator[bytes], path: Path, limits: Limits, progress: OnProgress) -> None:
        self.count = 0
        self._chunks = chunks
        self._path = path
        self._limits = limits
        self._progress = progress
        self._packed = path.stat().st_size
        self._reported = 0.0

    def read(self, size: int) -> bytes:
        """Return the next bytes, at most `size` >= 1 MB, or none at the end. Raises DataError beyond the limits."""
        data = next(self._chunks, b"")
        self.spend(len(data))
        if time.monotonic() - self._reported > 0.1:
            self._reported = time.monotonic()
            self._progress("Unpacking, in MB", self.count // _CHUNK, 0)
        return data

    def spend(self, size: int) -> None:
        """Count decompressed bytes. Raises DataError beyond the limits."""
        self.count += size
        self.check(self.count)
        if self.count > max(RATIO_MATTERS, self._limits.ratio * self._packed):
            ratio = f"{self._limits.ratio:,.0f}"
            raise DataError(
                f"{self._path.name} unpacks to more than {ratio} times its size, as harmful archives do.",
                UNPACK_HINT,
            )

    def check(self, size: int) -> None:
        """Raise DataError where the archive unpacks, or claims to unpack, to more bytes than the limit."""
        if not 0 <= size <= self._limits.unpacked:
            most = f"{self._limits.unpacked / 2**30:.1f}"
            raise DataError(f"{self._path.name} unpacks to more than {most} GB, the most that is read.", UNPACK_HINT)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while data := file.read(_CHUNK):
        yield data


def _decompressed(file: IO[bytes], make: Callable[[], _Decompressor]) -> Iterator[bytes]:
    """Decompress a file of one or more compressed streams. Raises EOFError where it is cut off."""
    data = file.read(_CHUNK)
    magic = data[:2]
    while data.startswith(magic):
        decompressor = make()
        while not decompressor.eof:
            unpacked = decompressor.decompress(data, _CHUNK)
            if unpacked:
                yield unpacked
            data = b""
            if decompressor.needs_input and not decompressor.eof:
                data = file.read(_CHUNK)
                if not (data or unpacked):
                    raise EOFError
        data = decompressor.unused_data or file.read(_CHUNK)
        while data and not (data := data.lstrip(b"\0")):  # padding
            data = file.read(_CHUNK)


def _problem(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return "a link, not a file"
    return "" if info.isreg() else "not an ordinary file"


def _reader(file: IO[bytes], start: int, size: int) -> Callable[[], bytes]:
    def read() -> bytes:
        check_size(size)
        file.seek(start)
        data = file.read(size)
        if len(data) < size:
            raise DataError("it is damaged inside the archive")
        return data

    return read


def _never() -> bytes:
    raise DataError("it was not copied")
