"""What a cell of labels holds: one label, several with a mark between them, a list, or the choices of an annotation."""

import ast
import json

from tl_core.data.sources.tables.table_rows import MISSING, TableSample

LIST = "[]"
"""The separator of labels in a JSON or Python list: ["a", "b"]."""
_LONGEST_LIST = 100_000  # characters


def split_labels(cell: str, separator: str) -> tuple[str, ...]:
    """Split a cell into labels, in order and each once; () for an empty cell."""
    parts = parse_list(cell) if separator == LIST else cell.split(separator)
    if parts is None:
        parts = [cell]
    stripped = (part.strip() for part in parts)
    return tuple(dict.fromkeys(part for part in stripped if part not in MISSING))


def are_wrapped(sample: TableSample, column: str) -> bool:
    """Return whether every label of a column stands alone in a list, or some in an object of choices.

    doccano writes ["a"], Label Studio {"choices": ["a", "b"]}; an empty list is no label.
    """
    values = sample.counts(column)
    if not any(value[0] in "[{" for value in values):
        return False
    lists = [parse_list(value) for value in values]
    if any(_parse_choices(value) is not None for value in values):
        return all(found is not None or value[0] not in "[{" for value, found in zip(values, lists, strict=True))
    return all(found is not None and len(found) < 2 for found in lists) and any(lists)


def holds_choices(sample: TableSample, column: str) -> bool:
    """Return whether a cell of a column holds several choices of Label Studio, as in {"choices": ["a", "b"]}."""
    values = sample.counts(column)
    return any(value.startswith("{") and len(_parse_choices(value) or ()) > 1 for value in values)


def parse_list(cell: str) -> list[str] | None:
    """Return the elements of a list in a cell, None where it holds no list."""
    cell = cell.strip()
    if (choices := _parse_choices(cell)) is not None:
        return choices
    if not (cell.startswith("[") and cell.endswith("]")) or len(cell) > _LONGEST_LIST:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list) and all(isinstance(label, str | int | float) for label in value):
            return [str(label) for label in value]
    return None


def _parse_choices(cell: str) -> list[str] | None:
    """Return the choices in a cell as Label Studio writes several, None for other cells."""
    if not cell.startswith("{") or len(cell) > _LONGEST_LIST:
        return None
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    choices = value.get("choices") if isinstance(value, dict) else None
    return [str(choice) for choice in choices] if isinstance(choices, list) else None
