"""Which picture of a source a cell of a table names.

A cell names a picture by its path from the top of the source or from the table's folder; by the longest end of its path
that only one picture has; by its file name; by its file name without suffix; or by that name without leading zeros.
The last three need cells that all differ in that part; where their folders are unknown to the source, only
the file names that several cells share are left out. Case is ignored. Paths of another machine count by their ends.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

from tl_core.data.images import IMAGE_SUFFIXES
from tl_core.data.sources.file_tree import MAX_PATH, ArchiveEntry, climbs
from tl_core.errors import DataError

How = Literal["path", "file name", "name without suffix", "name without leading zeros"]
HOW: tuple[How, ...] = ("path", "file name", "name without suffix", "name without leading zeros")
"""By what a cell and a picture were matched, the surest first."""
TOO_LONG = "it names no picture: the path is too long"
OUTSIDE = "its path leads out of the folder of the data"
_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")

_Names = dict[str, ArchiveEntry | None]
"""Pictures by a name in lower case; None where a name fits two."""


def tidy_cell(cell: str) -> str:
    """Return a cell as a path in POSIX form and NFC."""
    name = unicodedata.normalize("NFC", cell.strip().replace("\\", "/"))
    return name.removeprefix("./")


def is_picture_cell(cell: str) -> bool:
    """Return whether a cell ends like the name of a picture file."""
    return "://" not in cell and PurePosixPath(tidy_cell(cell)).suffix.lower() in IMAGE_SUFFIXES


@dataclass
class PictureNames:
    """The pictures of a tree by every name that a cell may use, and how the cells of one column name them.

    `folder` is the folder of the table. `ways` are the matches that the column allows, `used` counts those made.
    `repeated` are the file names of several cells, which name no picture by themselves.
    """

    pictures: list[ArchiveEntry]
    folder: str = "."
    ways: tuple[How, ...] = HOW[:1]
    used: Counter[How] = field(default_factory=Counter)
    repeated: frozenset[str] = frozenset()

    def for_column(self, cells: Iterable[str]) -> "PictureNames":
        """Allow the ways in which all cells of a column differ: train/1.png and test/1.png have the same file name."""
        paths = list(dict.fromkeys(_local(tidy_cell(cell)).casefold() for cell in cells))
        files = [path.rpartition("/")[2] for path in paths]
        keys = (files, [_stem(file) for file in files], [_plain(file) for file in files])
        self.ways = HOW[:1] + tuple(
            how for how, names in zip(HOW[1:], keys, strict=True) if len(set(names)) == len(names)
        )
        self.repeated = frozenset()
        self.used = Counter()
        if "file name" not in self.ways and not any("/" in path and self.match(path) for path in paths):
            self.ways += ("file name",)
            self.repeated = frozenset(file for file, n in Counter(files).items() if n > 1)
        return self

    def find(self, cell: str) -> ArchiveEntry:
        """Return the picture that a cell names. Raises DataError, with the bare reason as message, if none."""
        match = self.match(cell)
        if match:
            self.used[match[1]] += 1
            return match[0]
        name = tidy_cell(cell)
        if not name:
            raise DataError("it names no picture")
        if len(name) > MAX_PATH:
            raise DataError(TOO_LONG)
        file = PurePosixPath(name.casefold()).name
        if file in self.repeated:
            raise DataError(f"rows with other folders name a picture {file} too")
        if climbs(name):
            raise DataError(OUTSIDE)
        several = name.casefold() in self._ends or ("/" not in name and _stem(file) in self._stems)
        raise DataError(f"several pictures have the name {name}" if several else f"there is no picture {name}")

    def match(self, cell: str) -> tuple[ArchiveEntry, How] | None:
        """Return the picture that a cell names, and by what; None where it names none, or more than one."""
        name = tidy_cell(cell)
        if not name or len(name) > MAX_PATH:
            return None
        if not climbs(name):
            exact = self._paths.get(str(PurePosixPath(self.folder) / name)) or self._paths.get(name)
            if exact:
                return exact, "path"
        folded = _local(name).casefold()
        if picture := self._by_end(folded, climbs(name) or "://" in name):
            return picture, "path"
        file = PurePosixPath(folded).name
        ways: tuple[tuple[How, _Names, str], ...] = (
            ("file name", self._ends, file),
            ("name without suffix", self._stems, _stem(file)),
            ("name without leading zeros", self._plain_stems, _plain(file)),
        )
        for how, names, key in ways:
            bare_name = how == "name without suffix" and "/" not in name and not is_picture_cell(name)
            allowed = bare_name or (how in self.ways and file not in self.repeated)
            if allowed and (picture := names.get(key)):
                return picture, how
        return None

    def _by_end(self, folded: str, foreign: bool) -> ArchiveEntry | None:
        """Return the picture whose path ends like that of a cell, by the longest end that only one picture has."""
        if not foreign and (picture := self._ends.get(folded)):
            return picture
        for end in _ends(folded):
            if (picture := self._ends.get(end)) and ("/" in end or picture.name.casefold() == end) and "/" in folded:
                return picture
        return None

    @cached_property
    def _paths(self) -> dict[str, ArchiveEntry]:
        return {picture.name: picture for picture in self.pictures}

    @cached_property
    def _ends(self) -> _Names:
        return _unique((end, picture) for picture in self.pictures for end in _ends(picture.name.casefold()))

    @cached_property
    def _stems(self) -> _Names:
        return _unique((_stem(PurePosixPath(p.name.casefold()).name), p) for p in self.pictures)

    @cached_property
    def _plain_stems(self) -> _Names:
        return _unique((_plain(PurePosixPath(p.name.casefold()).name), p) for p in self.pictures)


def _unique(pairs: Iterable[tuple[str, ArchiveEntry]]) -> _Names:
    names: _Names = {}
    for name, picture in pairs:
        names[name] = None if name in names else picture
    return names


def _local(name: str) -> str:
    """Return a path of another machine, or an address, without drive, host, query and steps upwards."""
    if "://" in name:
        name = name.split("://", 1)[1]
    name = name.split("?d=", 1)[-1].split("?", 1)[0]
    if len(name) > 1 and name[1] == ":":
        name = name[2:]
    return "/".join(part for part in name.split("/") if part not in ("", ".", ".."))


def _stem(file: str) -> str:
    """Return a file name without the suffix of a picture, or the ".0" that turns an id into a decimal number."""
    path = PurePosixPath(file)
    return path.stem if path.suffix in IMAGE_SUFFIXES or (path.suffix == ".0" and path.stem.isdigit()) else file


def _plain(file: str) -> str:
    return _ZEROS.sub("", _stem(file))


def _ends(path: str) -> Iterator[str]:
    """Yield a path, then the path without its first folder, without its first two, and so on."""
    yield path
    while "/" in path:
        path = path.split("/", 1)[1]
        yield path
