"""What a person may say about a source, and one item on its way into the workspace."""

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[str, int, int], None]
"""Called with the stage in words, how many are done, and how many there are."""


@dataclass(frozen=True)
class ImportOptions:
    """Corrections to what is found in a source; "" (and None for `header`) means: find it."""

    name: str = ""
    text_column: str = ""
    label_column: str = ""
    delimiter: str = ""
    encoding: str = ""
    header: bool | None = None
    group_column: str = ""
    split_column: str = ""


FIND_ALL = ImportOptions()


@dataclass(frozen=True)
class RawItem:
    """One item of a source. `read` gives the bytes of an image or text file; without it `text` is the item.

    `read` raises DataError, with the reason alone as its message, where the bytes cannot be had.
    """

    id: str
    label: str
    given: str = ""
    group: str = ""
    text: str = ""
    read: Callable[[], bytes] | None = None


def silent(stage: str, done: int, total: int) -> None:
    """Report progress to nobody."""
