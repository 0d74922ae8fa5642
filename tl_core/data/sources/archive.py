"""A zip or a folder as one list of files, read one at a time and never unpacked to disk."""

import lzma
import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from tl_core.data.dataset import ReceiptLine
from tl_core.errors import DataError
from tl_core.workspace import Limits

MAX_FILE = 512 * 2**20
"""Bytes of one file that are read into memory."""
_RATIO_MATTERS = 32 * 2**20  # below this many unpacked bytes no ratio hurts: blank pictures pack 1000 to 1
_JUNK = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx"})
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error)
_ENCRYPTED = 0x1
_UTF8 = 0x800


@dataclass(frozen=True)
class Entry:
    """One file: its path as the source names it (POSIX, NFC), its size in bytes, and how to get its bytes."""

    name: str
    size: int
    read: Callable[[], bytes]

    @property
    def suffix(self) -> str:
        """Return the lower-case suffix, with its dot."""
        return PurePosixPath(self.name).suffix.lower()


@dataclass
class Tree:
    """The files of a source, its folders (empty ones included), and what was left out while listing them."""

    entries: list[Entry] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    lines: list[ReceiptLine] = field(default_factory=list)
    junk: list[str] = field(default_factory=list)

    def skip(self, item: str, reason: str) -> None:
        """Write down that `item` was left out."""
        self.lines.append(ReceiptLine(item, "skipped", reason))

    def _finish(self) -> "Tree":
        self.entries.sort(key=lambda e: e.name)
        if self.junk:
            more = f" and {len(self.junk) - 1:,} more" if len(self.junk) > 1 else ""
            self.skip(min(self.junk) + more, "a file that the operating system left behind, not data")
        return self


@contextmanager
def open_tree(path: Path, limits: Limits) -> Iterator[Tree]:
    """List a zip file or a folder; entries can be read inside the block.

    Raises DataError where the zip is damaged, empty, protected by a password, or larger than the limits.
    """
    if path.is_dir():
        yield _list_folder(path, limits)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise DataError(
            f"{path.name} is not a zip file, or it is damaged.", "Make the zip again, or give the folder itself."
        ) from error
    with archive:
        yield _list_zip(archive, path.name, limits)


def is_junk(name: str) -> bool:
    """Return whether a path is what systems and editors leave behind: hidden files, __MACOSX, Thumbs.db."""
    return any(part.lower() in _JUNK or part.startswith(".") for part in PurePosixPath(name).parts)


def _list_zip(archive: zipfile.ZipFile, name: str, limits: Limits) -> Tree:
    infos = archive.infolist()
    _check_bomb(infos, name, limits)
    tree = Tree()
    seen: set[str] = set()
    locked = 0
    for info in infos:
        path = _clean_name(info)
        if info.is_dir() or path.endswith("/"):
            if not _climbs(path) and not is_junk(path):
                tree.folders.add(path.rstrip("/"))
        elif _climbs(path):
            tree.skip(path, "its path leads out of the archive")
        elif is_junk(path):
            tree.junk.append(path)
        elif stat.S_ISLNK(info.external_attr >> 16):
            tree.skip(path, "a link, not a file")
        elif info.flag_bits & _ENCRYPTED:
            locked += 1
            tree.skip(path, "protected by a password")
        elif path in seen:
            tree.skip(path, "a second file of the same name")
        else:
            seen.add(path)
            tree.entries.append(Entry(path, info.file_size, _zip_reader(archive, info)))
    if locked and not tree.entries:
        raise DataError(f"{name} is protected by a password.", "Unpack it, and zip it again without a password.")
    if not tree.entries:
        raise DataError(f"{name} holds no files.", "Zip the folder that holds one folder per class.")
    return tree._finish()


def _check_bomb(infos: list[zipfile.ZipInfo], name: str, limits: Limits) -> None:
    hint = "If this is really your data, unpack it and give the folder itself."
    if len(infos) > limits.members:
        raise DataError(f"{name} holds {len(infos):,} files; at most {limits.members:,} are read.", hint)
    unpacked = sum(info.file_size for info in infos)
    if unpacked > limits.unpacked:
        raise DataError(
            f"{name} would unpack to {unpacked / 2**30:.1f} GB; at most {limits.unpacked / 2**30:.1f} GB are read.",
            hint,
        )
    packed = max(1, sum(info.compress_size for info in infos))
    if unpacked > _RATIO_MATTERS and unpacked / packed > limits.ratio:
        raise DataError(
            f"{name} would unpack to {unpacked / packed:,.0f} times its size, as archives made to do harm do.", hint
        )


def _clean_name(info: zipfile.ZipInfo) -> str:
    """Return the member's path with forward slashes, decoded as UTF-8 where the zip only forgot to say so."""
    name = info.filename
    if not info.flag_bits & _UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _climbs(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return path.startswith("/") or ".." in parts or (len(path) > 1 and path[1] == ":" and path[0].isalpha())


def _zip_reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        _check_size(info.file_size)
        try:
            with archive.open(info) as file:
                return file.read(info.file_size + 1)
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
            else:
                tree.folders.add(relative)
        for name in files:
            _add_file(tree, root, Path(here, name))
        if len(tree.entries) > limits.members:
            raise DataError(
                f"{root.name} holds more than {limits.members:,} files.", "Name the folder that holds the data alone."
            )
    return tree._finish()


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
    else:
        tree.entries.append(Entry(relative, info.st_size, _file_reader(path)))


def _relative(root: Path, path: str | Path) -> str:
    name = os.path.relpath(os.fsdecode(path), root).replace(os.sep, "/")
    readable = os.fsencode(name).decode("utf-8", "replace")  # a name in another encoding could not be stored
    return unicodedata.normalize("NFC", readable)


def _file_reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            _check_size(path.stat().st_size)
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"it cannot be opened ({error.strerror})") from error

    return read


def _check_size(size: int) -> None:
    if size > MAX_FILE:
        raise DataError(f"it is larger than {MAX_FILE // 2**20:,} MB")


def read_whole(entry: Entry) -> bytes:
    """Return the bytes of a file that everything depends on. Raises DataError, in a whole sentence."""
    try:
        return entry.read()
    except DataError as error:
        raise DataError(f"{entry.name} cannot be read: {error.message}.") from error


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file that everything depends on. Raises DataError, in a whole sentence."""
    return read_whole(Entry(path.name, 0, _file_reader(path)))


def strip_enclosing(names: list[str], depth: int) -> int:
    """Return how many leading folders all names share, leaving at least `depth` parts to each.

    `depth` 2 keeps a class folder and a file name.
    """
    parts = [PurePosixPath(name).parts for name in names]
    shared = 0
    while parts and all(len(p) > shared + depth for p in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    return shared


def without_enclosing(tree: Tree, entries: list[Entry], depth: int) -> list[Entry]:
    """Return the entries with the folders that enclose them all taken off their names."""
    shared = strip_enclosing([e.name for e in entries], depth)
    if not shared:
        return entries
    prefix = "/".join(PurePosixPath(entries[0].name).parts[:shared]) + "/"
    tree.folders = {f.removeprefix(prefix) for f in tree.folders if f.startswith(prefix)}
    return [replace(e, name=e.name[len(prefix) :]) for e in entries]
