"""What a person may say about a source, and one item on its way into the workspace."""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan

OnProgress = Callable[[str, int, int], None]
"""Called with the stage in words, how many are done, and how many there are."""


NONE = "(none)"
"""In place of a column's name: there is none, and none is to be found."""


@dataclass(frozen=True)
class ImportOptions:
    """Corrections to what is found in a source; "" (and None for `header`) means: find it.

    `group_column` and `split_column` may be NONE.
    Several labels of one item stand in one cell, parted by `separator`, or in `label_columns`, one column a label.
    `path_column` names the pictures of a table that lists them; `subgroup_column` says whom an item is about, for
    measurements by slice; `time_column` when it was made, for a split by time.
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
    path_column: str = ""
    subgroup_column: str = ""
    time_column: str = ""
    sheet: str = ""


AUTO_DETECT = ImportOptions()


@dataclass(frozen=True)
class RawItem:
    """One item of a source. `read` gives the bytes of an image or text file; without it `text` is the item.

    `labels` are those of an item that may have several, or none: then `label` is "". `time` is in seconds since 1970,
    nan where nothing says when.
    `read` raises DataError, with the reason alone as its message, where the bytes cannot be had.
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
    """Report progress to nobody."""
