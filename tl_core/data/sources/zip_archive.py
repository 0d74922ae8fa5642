"""A zip archive as one list of files, read one at a time and never unpacked to disk."""

import lzma
import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from tl_core.data.sources.file_tree import RATIO_MATTERS, UNPACK_HINT, ArchiveEntry, Tree, check_size
from tl_core.errors import DataError
from tl_core.workspace import Limits

_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error)
_ENCRYPTED = 0x1
_UTF8 = 0x800


@contextmanager
def open_zip(path: Path, limits: Limits) -> Iterator[Tree]:
    """List a zip archive; its entries can be read inside the block. See `open_tree`."""
    with path.open("rb") as file:
        _check_count(_members(file, limits.members), path.name, limits)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise DataError(
            f"{path.name} is not a zip file, or it is damaged.", "Make the zip again, or give the folder itself."
        ) from error
    with archive:
        yield _list_zip(archive, path.name, limits)


def _members(file: IO[bytes], most: int) -> int:
    """Count the members in the directory at the end of a zip, up to `most` + 1, without keeping any of them."""
    end = file.seek(0, os.SEEK_END)
    start = file.seek(max(0, end - 2**16 - 100))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + 22:
        return 0
    size, past = int.from_bytes(tail[at + 12 : at + 16], "little"), start + at
    if at >= 76 and tail[at - 76 : at - 72] == b"PK\6\6":
        size, past = int.from_bytes(tail[at - 36 : at - 28], "little"), past - 76
    file.seek(max(0, past - size))
    count = 0
    while count <= most and file.tell() < past and (head := file.read(46)).startswith(b"PK\1\2") and len(head) == 46:
        file.seek(sum(struct.unpack("<HHH", head[28:34])), os.SEEK_CUR)
        count += 1
    return count


def _list_zip(archive: zipfile.ZipFile, name: str, limits: Limits) -> Tree:
    infos = archive.infolist()
    _check_bomb(infos, name, limits)
    tree, encoding = Tree(), _legacy_name_encoding(infos)
    locked = 0
    for info in infos:
        path = _clean_name(info, encoding)
        if not path:
            tree.skip("an entry without a name", "nothing says what it is")
        elif path.endswith("/"):
            tree.add_folder(path)
        elif tree.wants(path, _problem(info)):
            tree.entries.append(ArchiveEntry(path, info.file_size, _zip_reader(archive, info)))
        else:
            locked += bool(info.flag_bits & _ENCRYPTED)
    if locked and not tree.entries:
        raise DataError(f"{name} is protected by a password.", "Unpack it, and zip it again without a password.")
    if not tree.entries:
        raise DataError(f"{name} holds no files.", "Zip the folder that holds one folder per class.")
    return tree.finish()


def _problem(info: zipfile.ZipInfo) -> str:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link, not a file"
    return "protected by a password" if info.flag_bits & _ENCRYPTED else ""


def _check_count(members: int, name: str, limits: Limits) -> None:
    if members > limits.members:
        raise DataError(f"{name} holds more than {limits.members:,} files, the most that are read.", UNPACK_HINT)


def _check_bomb(infos: list[zipfile.ZipInfo], name: str, limits: Limits) -> None:
    _check_count(len(infos), name, limits)
    unpacked = sum(info.file_size for info in infos)
    if unpacked > limits.unpacked:
        raise DataError(
            f"{name} would unpack to {unpacked / 2**30:.1f} GB; at most {limits.unpacked / 2**30:.1f} GB are read.",
            UNPACK_HINT,
        )
    packed = max(1, sum(info.compress_size for info in infos))
    if unpacked > RATIO_MATTERS and unpacked / packed > limits.ratio:
        raise DataError(
            f"{name} would unpack to {unpacked / packed:,.0f} times its size, as harmful archives do.", UNPACK_HINT
        )


def _legacy_name_encoding(infos: list[zipfile.ZipInfo]) -> str:
    """Return the encoding of names that are not UTF-8: Shift-JIS, as from Japanese Windows, or the zip's own cp437.

    European names can often be decoded as Shift-JIS too, but then most second bytes of its characters are letters.
    """
    try:
        characters = [char.encode("cp932") for info in infos for char in _undeclared_name(info).decode("cp932")]
    except UnicodeError:
        return "cp437"
    wide = [char for char in characters if len(char) == 2]
    return "cp932" if wide and 2 * sum(not char[1:].isalpha() for char in wide) >= len(wide) else "cp437"


def _undeclared_name(info: zipfile.ZipInfo) -> bytes:
    """Return the bytes of a name that is neither declared as UTF-8 nor valid UTF-8; b"" for other names."""
    if info.flag_bits & _UTF8:
        return b""
    try:
        name = info.filename.encode("cp437")
    except UnicodeError:
        return b""
    try:
        name.decode("utf-8")
    except UnicodeError:
        return name
    return b""


def _clean_name(info: zipfile.ZipInfo, encoding: str) -> str:
    """Return the member's path with forward slashes; `encoding` is that of names with an undeclared one."""
    name, undeclared = info.filename, _undeclared_name(info)
    if undeclared:
        name = undeclared.decode(encoding)
    elif not info.flag_bits & _UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _zip_reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        check_size(info.file_size)
        try:
            with archive.open(info) as file:
                return file.read(info.file_size + 1)
        except NotImplementedError as error:
            raise DataError("it is packed in a way that cannot be read") from error
        except (*_DAMAGE, EOFError, OSError, ValueError, RuntimeError) as error:
            raise DataError("it is damaged inside the zip file") from error

    return read
