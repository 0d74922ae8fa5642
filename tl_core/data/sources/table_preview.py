"""What a person checks before a table, or folders that can be read in several ways, are imported."""

from dataclasses import dataclass

from tl_core.data.options import AUTO_DETECT, ImportOptions
from tl_core.types import Finding

PREVIEW_CELL = 500
"""Characters of a cell that a preview shows."""
MOST_CLASSES = 12
"""Classes that a way to read folders names."""


@dataclass(frozen=True)
class TablePreview:
    """The first rows of a table, how it was read, and the guessed columns. A person can correct all of it.

    `text_column` and `label_column` are "" where a person has to choose: there is none, or it is not clear which it is.
    `delimiter`, `encoding` and `sheet` are "" where the format has none. `n_rows` is None where not all rows were read.
    `path_column` names the pictures of a table that lists them. `separator`, `subgroup_column` and `time_column` are
    those of the options, `label_columns` and `one_of` too if one column is not the label; what the table seems to have
    beyond them is in `proposed`, and is used only if a person says so. `split_column` and `group_column` are NONE where
    the options say so. `declared` says that the
    source itself declares format and split, so that only columns can be chosen; `path_column` then holds the pictures.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    delimiter: str
    encoding: str
    header: bool
    text_column: str
    label_column: str
    findings: tuple[Finding, ...]
    n_rows: int | None = 0
    split_column: str = ""
    group_column: str = ""
    path_column: str = ""
    separator: str = ""
    label_columns: tuple[str, ...] = ()
    one_of: bool = False
    subgroup_column: str = ""
    time_column: str = ""
    sheet: str = ""
    sheets: tuple[str, ...] = ()
    proposed: ImportOptions = AUTO_DETECT
    declared: bool = False


@dataclass(frozen=True)
class FolderWay:
    """One way to read folders: the options that say it, a sentence, the first classes, and the items of each split."""

    options: ImportOptions
    title: str
    classes: tuple[str, ...]
    n_classes: int
    splits: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class FolderPreview:
    """The ways to read folders, the likeliest first. `question` says what is not clear; "" where the first way is."""

    ways: tuple[FolderWay, ...]
    question: str = ""


Preview = TablePreview | FolderPreview
