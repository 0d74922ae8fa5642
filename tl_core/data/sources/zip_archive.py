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

from tl_core.data.sources.file_tree import ArchiveEntry, Tree, check_size
from tl_core.errors import DataError
from tl_core.workspace import Limits

_RATIO_MATTERS = 32 * 2**20  # below this many unpacked bytes no ratio hurts: blank pictures pack 1000 to 1
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error)
_REALLY = "If this is really your data, unpack it and give the folder itself."
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
    """Count what the directory at the end of a zip lists, up to `most` + 1, without keeping any of it."""
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
    tree, encoding = Tree(), _old_encoding(infos)
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
        raise DataError(f"{name} holds more than {limits.members:,} files, the most that are read.", _REALLY)


def _check_bomb(infos: list[zipfile.ZipInfo], name: str, limits: Limits) -> None:
    _check_count(len(infos), name, limits)
    unpacked = sum(info.file_size for info in infos)
    if unpacked > limits.unpacked:
        raise DataError(
            f"{name} would unpack to {unpacked / 2**30:.1f} GB; at most {limits.unpacked / 2**30:.1f} GB are read.",
            _REALLY,
        )
    packed = max(1, sum(info.compress_size for info in infos))
    if unpacked > _RATIO_MATTERS and unpacked / packed > limits.ratio:
        raise DataError(
            f"{name} would unpack to {unpacked / packed:,.0f} times its size, as archives made to do harm do.", _REALLY
        )


def _old_encoding(infos: list[zipfile.ZipInfo]) -> str:
    """Return in what the names are that are not UTF-8: Shift-JIS, as of Japanese Windows, or the zip's own cp437.

    European names can often be read as Shift-JIS too; then most of the second halves of its characters are letters.
    """
    try:
        signs = [sign.encode("cp932") for info in infos for sign in _unsaid(info).decode("cp932")]
    except UnicodeError:
        return "cp437"
    wide = [sign for sign in signs if len(sign) == 2]
    return "cp932" if wide and 2 * sum(not sign[1:].isalpha() for sign in wide) >= len(wide) else "cp437"


def _unsaid(info: zipfile.ZipInfo) -> bytes:
    """Return the bytes of a name of which neither the zip nor they themselves say that it is UTF-8, b"" elsewhere."""
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
    """Return the member's path with forward slashes; `encoding` is that of names of which nothing says it."""
    name, unsaid = info.filename, _unsaid(info)
    if unsaid:
        name = unsaid.decode(encoding)
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
