"""Which column of a data set of the hub is what, by the types that it declares."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from math import nan
from pathlib import PurePosixPath
from typing import Any

from tl_core.data.options import NONE, ImportOptions
from tl_core.data.sources.table_preview import PREVIEW_CELL, TablePreview
from tl_core.data.sources.tables.cell_text import cell
from tl_core.data.sources.tables.column_guesses import GROUP_NAMES
from tl_core.data.sources.tables.label_reader import says_yes, split_labels
from tl_core.data.sources.tables.table_rows import MISSING
from tl_core.data.sources.tables.timestamps import TimeReader, time_reader
from tl_core.errors import DataError
from tl_core.types import Finding, Modality

_TEXT: tuple[str, ...] = (
    "text",
    "sentence",
    "review",
    "content",
    "body",
    "comment",
    "message",
    "document",
    "tweet",
    "utterance",
)
_TEXT += ("question", "article")
_LABEL: tuple[str, ...] = (
    "label",
    "labels",
    "class",
    "category",
    "target",
    "sentiment",
    "topic",
    "intent",
    "emotion",
    "fine_label",
)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class HubColumns:
    """What a row says: `item` is the picture or the text, `label` what it is; "" where there is no such column."""

    modality: Modality
    item: str
    label: str
    several: tuple[str, ...]
    names: tuple[str, ...] | None
    separator: str = ""
    group: str = ""
    subgroup: str = ""
    time: str = ""
    times: TimeReader | None = None

    def labels(self, row: Row) -> str | tuple[str, ...]:
        """Return the label of a row, or its labels where it may have several. Raises ValueError that says why not."""
        if self.several:
            return tuple(name for name in self.several if says_yes(cell(row[name]), name))
        value = row[self.label]
        if isinstance(value, (list, tuple)):
            return tuple(word for each in value if (word := self._label(each)))
        word = self._label(value)
        if self.separator:
            return split_labels(word, self.separator)
        if not word:
            raise ValueError("it has no label")
        return word

    def word(self, row: Row, column: str) -> str:
        """Return what a column says in a row, as text."""
        return "" if not column or row[column] is None else str(row[column]).strip()

    def seconds(self, row: Row) -> float:
        """Return when an item was made, in seconds since 1970; nan where nothing says so."""
        value = row[self.time] if self.time else None
        if value is None or self.times is None:
            return nan
        if isinstance(value, str):
            with suppress(ValueError):
                value = datetime.fromisoformat(value)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        return _seconds(self.times, cell(value))

    def _label(self, value: Any) -> str:
        if self.names is not None and isinstance(value, int):
            return self.names[value] if 0 <= value < len(self.names) else ""
        word = cell(value).strip()
        if isinstance(value, float):
            word = word.removesuffix(".0")
        return "" if word in MISSING else word


def choose(features: Any, sample: Callable[[], list[Row]], options: ImportOptions, repo: str) -> HubColumns:
    """Return the columns that `options` names, the others by their types and names.

    `features` are those that the data set declares, None where it declares none; `sample` gives its first rows.
    Raises DataError where a column is named that is not there, and where nothing can be read or learned.
    """
    kinds = _kinds(features, sample)
    group = "" if options.group_column == NONE else options.group_column
    asked = (options.text_column, options.label_column, group, options.path_column)
    for name in (*asked, *options.label_columns, options.subgroup_column, options.time_column):
        if name and name not in kinds:
            raise DataError(f"{repo} has no column {name}.", f"It has {_listed(kinds)}.")
    pictures = [name for name, kind in kinds.items() if kind == "image"]
    image = options.path_column or ("" if options.text_column else next(iter(pictures), ""))
    if image and image not in pictures:
        raise DataError(f"The column {image} of {repo} holds no pictures.", f"It has {_listed(kinds)}.")
    taken = {options.label_column, *options.label_columns, options.group_column, options.subgroup_column, image}
    text = "" if image else options.text_column or _text_column(kinds, sample, taken)
    if not image and not text:
        raise DataError(f"No column of {repo} holds pictures or texts.", f"It has {_listed(kinds)}.")
    label = options.label_column or ("" if options.label_columns else _label_column(kinds, {image, text}))
    if not label and not options.label_columns:
        raise DataError(f"No column of {repo} looks like a label.", f"Choose one: it has {_listed(kinds)}.")
    if label == text and label:
        raise DataError(f"The column {label} cannot be both the text and the label.", "Choose two different ones.")
    group = options.group_column or next((n for n in GROUP_NAMES if n in kinds), "")
    return HubColumns(
        "image" if image else "text", image or text, label, options.label_columns, _class_names(features, label),
        options.separator, "" if group == NONE else group,
        options.subgroup_column, options.time_column, _times(options.time_column, sample),
    )  # fmt: skip


def preview(features: Any, rows: Sequence[Row], options: ImportOptions, repo: str, total: int) -> TablePreview:
    """Return the first rows and the columns that are proposed; where none can be, why, for a person to choose."""
    kinds, findings = _kinds(features, lambda: list(rows)), []
    try:
        found = choose(features, lambda: list(rows), options, repo)
    except DataError as error:
        findings.append(Finding("stop", "hub-columns", error.message, "Choose the columns."))
        image = "" if options.text_column else next((name for name, kind in kinds.items() if kind == "image"), "")
        item = options.path_column or image or options.text_column or _text_column(kinds, lambda: list(rows), set())
        modality: Modality = "image" if kinds.get(item) == "image" else "text"
        found = HubColumns(modality, item, options.label_column, options.label_columns, None)
    image = found.item if found.modality == "image" else ""
    shown = tuple(tuple(_shown(row.get(name), _class_names(features, name)) for name in kinds) for row in rows)
    return TablePreview(
        *(tuple(kinds), shown, "", "", True, "" if image else found.item, found.label, tuple(findings), total or None),
        group_column=NONE if options.group_column == NONE else found.group,
        path_column=image,
        separator=found.separator,
        label_columns=found.several,
        subgroup_column=found.subgroup,
        time_column=found.time,
        declared=True,
    )


def _shown(value: Any, names: tuple[str, ...] | None) -> str:
    """Return a value as a person reads it: the name of a class or of a picture's file."""
    if isinstance(value, dict) and "bytes" in value:
        return PurePosixPath(value.get("path") or "a picture").name
    if names is not None and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return cell(value)[:PREVIEW_CELL]


def _times(column: str, sample: Callable[[], list[Row]]) -> TimeReader | None:
    """Return how the times of a column are written, as a sample shows; None where no column is named."""
    return time_reader([cell(row.get(column)) for row in sample()]) if column else None


@lru_cache(maxsize=2**16)
def _seconds(times: TimeReader, word: str) -> float:
    return float(times.read([word])[0])


def _kinds(features: Any, sample: Callable[[], list[Row]]) -> dict[str, str]:
    """Return what each column holds: "image", "class", "classes", "text", "number", or "" for anything else."""
    if features is None:
        rows = sample()
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: _kind_of_values([row.get(name) for row in rows]) for name in names}
    return {name: _kind_of_feature(feature) for name, feature in features.items()}


def _kind_of_feature(feature: Any) -> str:
    from datasets import ClassLabel, Image, Value

    if isinstance(feature, Image):
        return "image"
    if isinstance(feature, ClassLabel):
        return "class"
    if isinstance(feature, Value):
        return "text" if "string" in feature.dtype else "number"
    inner = _inner(feature)
    if isinstance(inner, ClassLabel) or (isinstance(inner, Value) and "string" in inner.dtype):
        return "classes"
    return ""


def _inner(feature: Any) -> Any:
    return feature[0] if isinstance(feature, list) and feature else getattr(feature, "feature", None)


def _kind_of_values(values: list[Any]) -> str:
    values = [value for value in values if value is not None]
    if values and all(isinstance(value, str) for value in values):
        return "text"
    if values and all(isinstance(value, list) and all(isinstance(each, str) for each in value) for value in values):
        return "classes"
    return "number" if values and all(isinstance(value, (int, float)) for value in values) else ""


def _class_names(features: Any, label: str) -> tuple[str, ...] | None:
    feature = features.get(label) if features is not None else None
    names = getattr(feature, "names", None) or getattr(_inner(feature), "names", None)
    return tuple(names) if names else None


def _text_column(kinds: dict[str, str], sample: Callable[[], list[Row]], taken: set[str]) -> str:
    """Return the column of texts: by its name, else the one with the longest in the sample."""
    texts = [name for name, kind in kinds.items() if kind == "text" and name not in taken]
    named = [name for name in texts if name.lower() in _TEXT]
    if named:
        return min(named, key=lambda name: _TEXT.index(name.lower()))
    unlike = [name for name in texts if name.lower() not in _LABEL] or texts
    if len(unlike) < 2:
        return unlike[0] if unlike else ""
    rows = sample()
    return max(unlike, key=lambda name: sum(len(row.get(name) or "") for row in rows))


def _label_column(kinds: dict[str, str], taken: set[str]) -> str:
    """Return the column of labels: a declared class, else one that is named so."""
    free = {name: kind for name, kind in kinds.items() if name not in taken}
    for kind in ("class", "classes"):
        declared = [name for name in free if free[name] == kind]
        if declared:
            return min(declared, key=lambda n: _LABEL.index(n.lower()) if n.lower() in _LABEL else len(_LABEL))
    return next((name for wanted in _LABEL for name in free if name.lower() == wanted and free[name]), "")


def _listed(kinds: dict[str, str]) -> str:
    names = list(kinds)
    return ", ".join(names[:15]) + (f" and {len(names) - 15:,} more" if len(names) > 15 else "")
