"""Where the columns of a hub data set are guessed: by the types that it declares, and by their names."""

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
from tl_core.data.sources.tables.cell_text import cell_text
from tl_core.data.sources.tables.column_roles import group_kind
from tl_core.data.sources.tables.label_cells import split_labels
from tl_core.data.sources.tables.label_reader import is_yes
from tl_core.data.sources.tables.table_rows import MISSING
from tl_core.data.sources.tables.timestamps import TimeReader, guess_time_reader
from tl_core.errors import DataError
from tl_core.types import Finding, Modality

_TEXT_NAMES: tuple[str, ...] = (
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
_TEXT_NAMES += ("question", "article")
_LABEL_NAMES: tuple[str, ...] = (
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
    """The columns of a hub data set: `item` holds the picture or text, `label` its label; "" where there is none."""

    modality: Modality
    item: str
    label: str
    label_columns: tuple[str, ...]
    class_names: tuple[str, ...] | None
    separator: str = ""
    group: str = ""
    subgroup: str = ""
    time: str = ""
    times: TimeReader | None = None

    def labels(self, row: Row) -> str | tuple[str, ...]:
        """Return the label of a row, or its labels where it may have several. Raises ValueError with the reason."""
        if self.label_columns:
            return tuple(name for name in self.label_columns if is_yes(cell_text(row[name]), name))
        value = row[self.label]
        if isinstance(value, (list, tuple)):
            return tuple(label for part in value if (label := self._label(part)))
        label = self._label(value)
        if self.separator:
            return split_labels(label, self.separator)
        if not label:
            raise ValueError("it has no label")
        return label

    def text(self, row: Row, column: str) -> str:
        """Return the cell of a row as text; "" where there is no such column."""
        return "" if not column or row[column] is None else str(row[column]).strip()

    def seconds(self, row: Row) -> float:
        """Return when an item was made, in seconds since 1970; nan where it is unknown."""
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
        return _seconds(self.times, cell_text(value))

    def _label(self, value: Any) -> str:
        if self.class_names is not None and isinstance(value, int):
            return self.class_names[value] if 0 <= value < len(self.class_names) else ""
        label = cell_text(value).strip()
        if isinstance(value, float):
            label = label.removesuffix(".0")
        return "" if label in MISSING else label


def choose_hub_columns(features: Any, sample: Callable[[], list[Row]], options: ImportOptions, repo: str) -> HubColumns:
    """Return the columns that `options` names, and guess the others by type and name.

    `features` are those that the data set declares, or None; `sample` returns its first rows.
    Raises DataError where a named column does not exist, and where no item or no label column is columns.
    """
    kinds = _kinds(features, sample)
    group = "" if options.group_column == NONE else options.group_column
    requested = (options.text_column, options.label_column, group, options.path_column)
    for name in (*requested, *options.label_columns, options.subgroup_column, options.time_column):
        if name and name not in kinds:
            raise DataError(f"{repo} has no column {name}.", f"It has {_listed(kinds)}.")
    pictures = [name for name, kind in kinds.items() if kind == "image"]
    image = options.path_column or ("" if options.text_column else next(iter(pictures), ""))
    if image and image not in pictures:
        raise DataError(f"The column {image} of {repo} holds no pictures.", f"It has {_listed(kinds)}.")
    excluded = {options.label_column, *options.label_columns, options.group_column, options.subgroup_column, image}
    text = "" if image else options.text_column or _guess_text_column(kinds, sample, excluded)
    if not image and not text:
        raise DataError(f"No column of {repo} holds pictures or texts.", f"It has {_listed(kinds)}.")
    label = options.label_column or ("" if options.label_columns else _guess_label_column(kinds, {image, text}))
    if not label and not options.label_columns:
        raise DataError(f"No column of {repo} looks like a label.", f"Choose one: it has {_listed(kinds)}.")
    if label == text and label:
        raise DataError(f"The column {label} cannot be both the text and the label.", "Choose two different ones.")
    group = options.group_column or next((n for n in kinds if group_kind(n) == "sure"), "")
    return HubColumns(
        "image" if image else "text", image or text, label, options.label_columns, _class_names(features, label),
        options.separator, "" if group == NONE else group,
        options.subgroup_column, options.time_column, _times(options.time_column, sample),
    )  # fmt: skip


def preview_hub_rows(features: Any, rows: Sequence[Row], options: ImportOptions, repo: str, total: int) -> TablePreview:
    """Return the first rows and the guessed columns; where the guess fails, a finding with the reason instead."""
    kinds, findings = _kinds(features, lambda: list(rows)), []
    try:
        columns = choose_hub_columns(features, lambda: list(rows), options, repo)
    except DataError as error:
        findings.append(Finding("stop", "hub-columns", error.message, "Choose the columns."))
        image = "" if options.text_column else next((name for name, kind in kinds.items() if kind == "image"), "")
        item = (
            options.path_column or image or options.text_column or _guess_text_column(kinds, lambda: list(rows), set())
        )
        modality: Modality = "image" if kinds.get(item) == "image" else "text"
        columns = HubColumns(modality, item, options.label_column, options.label_columns, None)
    image = columns.item if columns.modality == "image" else ""
    shown = tuple(tuple(_shown(row.get(name), _class_names(features, name)) for name in kinds) for row in rows)
    return TablePreview(
        *(
            tuple(kinds),
            shown,
            "",
            "",
            True,
            "" if image else columns.item,
            columns.label,
            tuple(findings),
            total or None,
        ),
        group_column=NONE if options.group_column == NONE else columns.group,
        path_column=image,
        separator=columns.separator,
        label_columns=columns.label_columns,
        subgroup_column=columns.subgroup,
        time_column=columns.time,
        declared=True,
    )


def _shown(value: Any, names: tuple[str, ...] | None) -> str:
    """Return a value as a person reads it: with the name of its class or of its picture file."""
    if isinstance(value, dict) and "bytes" in value:
        return PurePosixPath(value.get("path") or "a picture").name
    if names is not None and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return cell_text(value)[:PREVIEW_CELL]


def _times(column: str, sample: Callable[[], list[Row]]) -> TimeReader | None:
    """Return a reader for the time format of a column, from a sample; None where no column is named."""
    return guess_time_reader([cell_text(row.get(column)) for row in sample()]) if column else None


@lru_cache(maxsize=2**16)
def _seconds(times: TimeReader, text: str) -> float:
    return float(times.read([text])[0])


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
    if values and all(isinstance(value, list) and all(isinstance(part, str) for part in value) for value in values):
        return "classes"
    return "number" if values and all(isinstance(value, (int, float)) for value in values) else ""


def _class_names(features: Any, label: str) -> tuple[str, ...] | None:
    feature = features.get(label) if features is not None else None
    names = getattr(feature, "names", None) or getattr(_inner(feature), "names", None)
    return tuple(names) if names else None


def _guess_text_column(kinds: dict[str, str], sample: Callable[[], list[Row]], excluded: set[str]) -> str:
    """Guess the text column: by its name, else the string column with the longest texts in the sample."""
    texts = [name for name, kind in kinds.items() if kind == "text" and name not in excluded]
    named = [name for name in texts if name.lower() in _TEXT_NAMES]
    if named:
        return min(named, key=lambda name: _TEXT_NAMES.index(name.lower()))
    candidates = [name for name in texts if name.lower() not in _LABEL_NAMES] or texts
    if len(candidates) < 2:
        return candidates[0] if candidates else ""
    rows = sample()
    return max(candidates, key=lambda name: sum(len(row.get(name) or "") for row in rows))


def _guess_label_column(kinds: dict[str, str], excluded: set[str]) -> str:
    """Guess the label column: one declared as a class label, else one with a name for labels."""
    free = {name: kind for name, kind in kinds.items() if name not in excluded}
    for kind in ("class", "classes"):
        declared = [name for name in free if free[name] == kind]
        if declared:
            return min(
                declared,
                key=lambda n: _LABEL_NAMES.index(n.lower()) if n.lower() in _LABEL_NAMES else len(_LABEL_NAMES),
            )
    return next((name for wanted in _LABEL_NAMES for name in free if name.lower() == wanted and free[name]), "")


def _listed(kinds: dict[str, str]) -> str:
    names = list(kinds)
    return ", ".join(names[:15]) + (f" and {len(names) - 15:,} more" if len(names) > 15 else "")
