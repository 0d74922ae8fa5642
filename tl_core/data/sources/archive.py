"""A zip, a tar archive or a folder as one list of files, read one at a time and never unpacked to disk."""

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

from tl_core.data.options import OnProgress, no_progress
from tl_core.data.sources.file_tree import (
    ArchiveEntry,
    Tree,
    check_size,
    is_junk,
    readable,
    strip_enclosing,
    without_enclosing,
)
from tl_core.data.sources.tar_archive import is_tar, open_tar
from tl_core.errors import DataError
from tl_core.workspace import Limits

__all__ = ["ArchiveEntry", "Tree", "is_junk", "open_tree", "read_whole", "strip_enclosing", "without_enclosing"]

_RATIO_MATTERS = 32 * 2**20  # below this many unpacked bytes no ratio hurts: blank pictures pack 1000 to 1
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error)
_REALLY = "If this is really your data, unpack it and give the folder itself."
_DEEPEST = 200  # folders within folders; os.walk calls itself for each
_ENCRYPTED = 0x1
_UTF8 = 0x800


@contextmanager
def open_tree(
    path: Path, limits: Limits, aside: Path | None = None, progress: OnProgress = no_progress
) -> Iterator[Tree]:
    """List a zip, a tar archive or a folder; entries can be read inside the block.

    A packed tar cannot be read out of order, so its files are put in one nameless file in the folder `aside`; without
    that folder only its tables can be read.
    Raises DataError where the archive is damaged, empty, protected by a password, or larger than the limits.
    """
    if path.is_dir():
        yield _list_folder(path, limits)
        return
    if is_tar(path):
        with open_tar(path, limits, aside, progress) as tree:
            yield tree
        return
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


def _list_folder(root: Path, limits: Limits) -> Tree:
    tree = Tree()

    def unreadable(error: OSError) -> None:
        tree.skip(_relative(root, error.filename or ""), f"the folder cannot be opened ({error.strerror})")

    for here, folders, files in os.walk(root, onerror=unreadable):
        for name in list(folders):
            path = Path(here, name)
            relative = _relative(root, path)
            if is_junk(relative):
                tree.junk.append(relative)
                folders.remove(name)
            elif path.is_symlink():
                tree.skip(relative, "a link, not a folder")
                folders.remove(name)
            elif relative.count("/") >= _DEEPEST:
                tree.skip(relative, f"the folder lies more than {_DEEPEST} folders deep")
                folders.remove(name)
            else:
                tree.folders.add(relative)
        for name in files:
            _add_file(tree, root, Path(here, name))
        if len(tree.entries) > limits.members:
            raise DataError(
                f"{root.name} holds more than {limits.members:,} files.", "Name the folder that holds the data alone."
            )
    return tree.finish()


def _add_file(tree: Tree, root: Path, path: Path) -> None:
    relative = _relative(root, path)
    if is_junk(relative):
        tree.junk.append(relative)
        return
    try:
        info = path.lstat()
    except OSError as error:
        tree.skip(relative, f"it cannot be opened ({error.strerror})")
        return
    if stat.S_ISLNK(info.st_mode):
        tree.skip(relative, "a link, not a file")
    elif not stat.S_ISREG(info.st_mode):
        tree.skip(relative, "not an ordinary file")
    elif tree.is_new(relative):  # two ways to write one accent are one name here
        tree.entries.append(ArchiveEntry(relative, info.st_size, file_reader(path)))


def _relative(root: Path, path: str | Path) -> str:
    name = os.path.relpath(os.fsdecode(path), root).replace(os.sep, "/")
    return readable(os.fsencode(name))


def file_reader(path: Path) -> Callable[[], bytes]:
    """Return what reads a file; reading raises DataError, with the reason alone as its message, where it cannot."""

    def read() -> bytes:
        try:
            check_size(path.stat().st_size)
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"it cannot be opened ({error.strerror})") from error

    return read


def read_whole(entry: ArchiveEntry) -> bytes:
    """Return the bytes of a file that everything depends on. Raises DataError, in a whole sentence."""
    try:
        return entry.read()
    except DataError as error:
        hint = error.hint or "Make the file or its archive again, or leave it out."
        raise DataError(f"{entry.name} cannot be read: {error.message}.", hint) from error
