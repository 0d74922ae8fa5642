"""Forms made from dataclasses: the type and metadata of a field determine its widget.

Metadata keys: `label`, `help`, `min`, `max`, `step`, `choices` (values, or a mapping of value to title), `last` (shown
after the others), `modality` (shown only for this modality). A label that begins with a term of the glossary gets
the meaning of the term in its tooltip.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin, get_type_hints

import streamlit as st

from tl_core.types import PARTS, Modality
from ui import glossary

COLUMN = 260
Choices = Mapping[str, Mapping[Any, str]]


def form(
    cls: type, values: Mapping[str, Any], prefix: str, modality: Modality | None = None, choices: Choices | None = None
) -> dict[str, Any]:
    """Draw one widget for each field of a dataclass, and return their values by field name.

    `values` override the defaults; `prefix` starts the key of every widget. Fields for another modality than
    `modality` are left out. `choices` gives the choices of a field, by name, that its metadata cannot know.
    """
    hints, result = get_type_hints(cls), {}
    shown = [item for item in dataclasses.fields(cls) if item.metadata.get("label")]
    shown = [
        item for item in shown if not modality or item.metadata.get("modality") in (None, modality, *PARTS[modality])
    ]
    shown.sort(key=lambda item: bool(item.metadata.get("last")))
    if shown:
        with st.grid("auto", min_column_width=COLUMN, gap="medium", key=f"{prefix}_grid"):
            for item in shown:
                value = values.get(item.name, default(item))
                key, meta = f"{prefix}_{item.name}", item.metadata
                if choices and item.name in choices:
                    result[item.name] = _pick(
                        meta["label"], glossary.tip_for(meta["label"], meta.get("help")), choices[item.name], value, key
                    )
                else:
                    result[item.name] = widget(item, hints[item.name], value, key)
    return result


def default(item: dataclasses.Field) -> Any:
    """Return the default of a field."""
    return item.default_factory() if item.default_factory is not dataclasses.MISSING else item.default


def widget(item: dataclasses.Field, hint: Any, value: Any, key: str) -> Any:
    """Draw the widget of a field, and return its value."""
    meta, (kind, optional) = item.metadata, _unwrap(hint)
    label, tip = meta["label"], glossary.tip_for(meta["label"], meta.get("help"))
    choices = _choices(meta.get("choices"), kind)
    if choices:
        return _pick(label, tip, choices, value, key)
    if kind is bool:
        return st.toggle(label, value=bool(value), help=tip, key=key)
    if kind in (int, float):
        number = None if value is None else kind(value)
        picked = st.number_input(
            label,
            value=number,
            min_value=_as(kind, meta.get("min")),
            max_value=_as(kind, meta.get("max")),
            step=_as(kind, meta.get("step")) or _step(kind, number),
            format="%d" if kind is int else "%g",
            placeholder="off" if optional else None,
            help=tip,
            key=key,
        )
        return picked if picked is not None or optional else value
    return st.text_input(label, value=value or "", help=tip, key=key)


def _pick(label: str, tip: str | None, choices: Mapping[Any, str], value: Any, key: str) -> Any:
    keys = list(choices)
    at = keys.index(value) if value in keys else 0
    if len(keys) <= 4:
        picked = st.segmented_control(
            label, keys, default=keys[at], required=True, format_func=lambda key: choices[key], help=tip, key=key
        )
        return keys[at] if picked is None else picked
    return st.selectbox(label, keys, index=at, format_func=lambda key: choices[key], help=tip, key=key)


def _choices(declared: Mapping[Any, str] | Sequence[Any] | None, kind: Any) -> dict[Any, str]:
    if isinstance(declared, Mapping):
        return dict(declared)
    values = declared or (get_args(kind) if get_origin(kind) is typing.Literal else ())
    return {value: str(value).replace("_", " ").replace("+", " and ") for value in values}


def _unwrap(hint: Any) -> tuple[Any, bool]:
    """Return the type behind `X | None`, and whether None is allowed."""
    if get_origin(hint) in (typing.Union, types.UnionType):
        inner = [part for part in get_args(hint) if part is not type(None)]
        return inner[0], len(inner) < len(get_args(hint))
    return hint, False


def _as(kind: type, value: Any) -> Any:
    return None if value is None else kind(value)


def _step(kind: type, value: float | None) -> Any:
    """Return a step that suits a value: 1 for whole numbers, else half the power of ten at or below it."""
    if kind is int:
        return 1
    return 10.0 ** int(f"{value or 1.0:e}".split("e")[1]) / 2
