"""The files of a source as one list: of a folder on disk, a zip or a tar archive alike."""

import os
import stat
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from tl_core.data.dataset import ReceiptLine
from tl_core.data.images import IMAGE_SUFFIXES
from tl_core.errors import DataError
from tl_core.workspace import Limits

MAX_FILE = 512 * 2**20
"""Most bytes of one file that are read into memory."""
RATIO_MATTERS = 32 * 2**20
"""Unpacked bytes below which any compression ratio is harmless: blank pictures compress 1000 to 1."""
UNPACK_HINT = "If this is really your data, unpack it and give the folder itself."
"""The hint where an archive is larger than the limits."""
MAX_PATH = 4096
"""Most characters of a path, the limit of operating systems: matching parts of a path takes quadratic time."""
ARCHIVE_SUFFIXES = frozenset(
    [".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar"]
)
LEFT_BEHIND = "a file that the operating system left behind, not data"
"""The reason why junk is skipped."""
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"RIFF")
"""How files of pictures begin, of the common formats."""
_ANY_PICTURE = ".png"  # pictures are decoded by their content, whatever their suffix
_LOOKED = 20  # files without a suffix that are looked into
_DEEPEST = 200  # folders within folders; os.walk calls itself for each
_JUNK = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx"})


@dataclass(frozen=True)
class ArchiveEntry:
    """One file: its path in the source (POSIX, NFC), its size in bytes, and a function that reads it.

    `kind` is the suffix that a file should have, where its name has none.
    """

    name: str
    size: int
    read: Callable[[], bytes]
    kind: str = ""

    @property
    def suffix(self) -> str:
        """Return the lower-case suffix, with its dot, or the kind of a file whose name has none."""
        return PurePosixPath(self.name).suffix.lower() or self.kind


@dataclass
class Tree:
    """The files of a source, its folders (empty ones too), and receipt lines of what was skipped while listing."""

    entries: list[ArchiveEntry] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    lines: list[ReceiptLine] = field(default_factory=list)
    junk: list[str] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set, repr=False)

    def skip(self, item: str, reason: str) -> None:
        """Add a receipt line that `item` was skipped."""
        self.lines.append(ReceiptLine(item, "skipped", reason))

    def add_folder(self, path: str) -> None:
        """Add a folder, which may be empty."""
        if len(path) <= MAX_PATH and not climbs(path) and not is_junk(path):
            self.folders.add(path.rstrip("/"))

    def wants(self, path: str, problem: str = "") -> bool:
        """Return whether a file should be listed. If not, because of its path or `problem`, add a receipt line."""
        if len(path) > MAX_PATH:
            self.skip(f"{path[:100]}...", "its path is too long")
        elif climbs(path):
            self.skip(path, "its path leads out of the archive")
        elif is_junk(path):
            self.junk.append(path)
        elif problem:
            self.skip(path, problem)
        else:
            return self.is_new(path)
        return False

    def is_new(self, path: str) -> bool:
        """Return whether no file of that path was listed before. If one was, add a receipt line."""
        if path in self._seen:
            self.skip(path, "a second file of the same name")
            return False
        self._seen.add(path)
        return True

    def finish(self) -> "Tree":
        """Sort the files, and report the junk in one receipt line."""
        self.entries.sort(key=lambda e: e.name)
        if self.junk:
            more = f" and {len(self.junk) - 1:,} more" if len(self.junk) > 1 else ""
            self.skip(min(self.junk) + more, LEFT_BEHIND)
        return self


def name_pictures(tree: Tree) -> Tree:
    """Take files whose names have no suffix for pictures if no file is named as one, and most of a few begin as one."""
    bare = [entry for entry in tree.entries if not PurePosixPath(entry.name).suffix]
    if not bare or any(entry.suffix in IMAGE_SUFFIXES for entry in tree.entries):
        return tree
    looked = bare[:: max(1, len(bare) // _LOOKED)][:_LOOKED]
    if sum(map(_begins_like_a_picture, looked)) > len(looked) / 2:
        named = {entry.name for entry in bare}
        tree.entries = [replace(e, kind=_ANY_PICTURE) if e.name in named else e for e in tree.entries]
    return tree


def _begins_like_a_picture(entry: ArchiveEntry) -> bool:
    if entry.size > MAX_FILE // 8:
        return False
    try:
        return entry.read()[:12].startswith(_PICTURES)
    except DataError:
        return False


def is_junk(name: str) -> bool:
    """Return whether a path is a leftover of systems and editors: hidden files, __MACOSX, Thumbs.db."""
    return any(part.lower() in _JUNK or part.startswith(".") for part in PurePosixPath(name).parts)


def climbs(path: str) -> bool:
    """Return whether a path leads out of its own folder (zip slip)."""
    parts = PurePosixPath(path).parts
    return path.startswith("/") or ".." in parts or (len(path) > 1 and path[1] == ":" and path[0].isalpha())


def check_size(size: int) -> None:
    """Raise DataError, with the reason alone as its message, where a file is too large to read."""
    if size > MAX_FILE:
        raise DataError(f"it is larger than {MAX_FILE // 2**20:,} MB")


def readable(name: bytes) -> str:
    """Decode a path, each part by itself. Different bytes always give different paths."""
    parts = [_decoded(part) for part in name.replace(b"\\", b"/").split(b"/")]
    return unicodedata.normalize("NFC", "/".join(parts))


def _decoded(part: bytes) -> str:
    for encoding in ("utf-8", "cp1252"):
        try:
            return part.decode(encoding)
        except UnicodeDecodeError:
            continue
    return part.decode("latin-1")


def strip_enclosing(names: list[str], depth: int) -> int:
    """Return how many leading folders all names share, leaving at least `depth` parts of each.

    `depth` 2 keeps a class folder and a file name.
    """
    parts = [PurePosixPath(name).parts for name in names]
    shared = 0
    while parts and all(len(p) > shared + depth for p in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    return shared


def without_enclosing(tree: Tree, entries: list[ArchiveEntry], depth: int) -> list[ArchiveEntry]:
    """Return the entries without the leading folders that all of their names share."""
    shared = strip_enclosing([e.name for e in entries], depth)
    if not shared:
        return entries
    prefix = "/".join(PurePosixPath(entries[0].name).parts[:shared]) + "/"
    tree.folders = {f.removeprefix(prefix) for f in tree.folders if f.startswith(prefix)}
    return [replace(e, name=e.name[len(prefix) :]) for e in entries]


def list_folder(root: Path, limits: Limits) -> Tree:
    """List the files of a folder on disk. Raises DataError where there are more than the limits allow."""
    tree = Tree()

    def unreadable(error: OSError) -> None:
        tree.skip(_relative(root, error.filename or ""), f"the folder cannot be opened ({error.strerror})")

    for parent, folders, files in os.walk(root, onerror=unreadable):
        for name in list(folders):
            path = Path(parent, name)
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
            _add_file(tree, root, Path(parent, name))
        if len(tree.entries) > limits.members:
            raise DataError(
                f"{root.name} holds more than {limits.members:,} files.", "Give the folder that holds only the data."
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
    elif tree.is_new(relative):  # NFC makes two spellings of an accent one name
        tree.entries.append(ArchiveEntry(relative, info.st_size, file_reader(path)))


def _relative(root: Path, path: str | Path) -> str:
    name = os.path.relpath(os.fsdecode(path), root).replace(os.sep, "/")
    return readable(os.fsencode(name))


def file_reader(path: Path) -> Callable[[], bytes]:
    """Return a function that reads a file. It raises DataError, with the bare reason as message."""

    def read() -> bytes:
        try:
            check_size(path.stat().st_size)
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"it cannot be opened ({error.strerror})") from error

    return read


def read_whole(entry: ArchiveEntry) -> bytes:
    """Read a file that the import cannot do without. Raises DataError, in a whole sentence."""
    try:
        return entry.read()
    except DataError as error:
        hint = error.hint or "Make the file or its archive again, or leave it out."
        raise DataError(f"{entry.name} cannot be read: {error.message}.", hint) from error
