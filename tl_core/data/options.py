"""Options of an import, and one item on its way into the workspace."""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan

OnProgress = Callable[[str, int, int], None]
"""Called with the stage in words, how many are done, and how many there are (0 where unknown)."""

NONE = "(none)"
"""In place of a column name: there is no such column, and none is guessed."""

SKIP = "skip"
"""In place of a split: the items are left out."""


@dataclass(frozen=True)
class ImportOptions:
    """What a person says about a source. "" (and None for `header`) means: guess it.

    `group_column` and `split_column` may be NONE. So may `text_column` and `path_column`, for the pictures or the texts
    alone of a table that has both. Several labels per item are in one cell, separated by `separator`, or in
    `label_columns`, one column per label; with `one_of`, each row has exactly one of these. `path_column` names the
    pictures of a table that lists them. `subgroup_column` says whom an item is about, for scores by subgroup;
    `time_column` when it was made, for a split by time.

    `folders` says what the folders of a path mean, as `folder_layout` describes; `split_names` pairs names of folders
    or cells with the split that they mean, or with SKIP to leave their items out.
    """

    name: str = ""
    text_column: str = ""
    label_column: str = ""
    delimiter: str = ""
    encoding: str = ""
    header: bool | None = None
    group_column: str = ""
    split_column: str = ""
    separator: str = ""
    label_columns: tuple[str, ...] = ()
    one_of: bool = False
    path_column: str = ""
    subgroup_column: str = ""
    time_column: str = ""
    sheet: str = ""
    folders: str = ""
    split_names: tuple[tuple[str, str], ...] = ()


AUTO_DETECT = ImportOptions()


@dataclass(frozen=True)
class RawItem:
    """One item of a source. `read` returns the bytes of an image or text file; without it, `text` is the item.

    A picture with a text has both: `read` for the picture, and `text`.

    `labels` is set for an item that may have several labels, possibly none; then `label` is "". `time` is in seconds
    since 1970, nan where it is unknown.
    `read` raises DataError, with only the reason as its message, where the bytes cannot be read.
    """

    id: str
    label: str
    given: str = ""
    group: str = ""
    text: str = ""
    read: Callable[[], bytes] | None = None
    labels: tuple[str, ...] | None = None
    subgroup: str = ""
    time: float = nan


def no_progress(stage: str, done: int, total: int) -> None:
    """Ignore progress."""
