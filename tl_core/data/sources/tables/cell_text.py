"""Typed values as text, in the form that a cell of a CSV file would have."""

import datetime
import json
import math
from typing import Any

from tl_core.data.sources.manifest import utf8


def cell_text(value: Any) -> str:
    """Return a value as text: true or false, a plain number, an ISO date, JSON for nested values.

    None, nan and bytes that are not text, such as a picture's, become "".
    """
    if isinstance(value, str):
        return without_nul(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return without_nul(_decoded(value))
    if isinstance(value, dict) and any(isinstance(part, bytes) and not _decoded(part) for part in value.values()):
        return ""
    if isinstance(value, list | tuple | dict):
        return without_nul(json.dumps(value, ensure_ascii=False, default=cell_text))
    return str(value)


def _decoded(data: bytes) -> str:
    """Return bytes as UTF-8 text; "" where more than 5 % of the characters are invalid or control characters."""
    text = data.decode("utf-8", "replace")
    odd = sum(c == "\ufffd" or (c < " " and c not in "\t\n\r\f\v") for c in text)
    return "" if odd > 0.05 * len(text) else text


def without_nul(text: str) -> str:
    """Return a text that can be stored: valid UTF-8 without NUL characters."""
    return utf8(text.replace("\0", ""))
