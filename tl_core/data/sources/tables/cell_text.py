"""Values of typed tables as the text that a cell of a CSV would hold."""

import datetime
import json
import math
from typing import Any

from tl_core.data.sources.manifest import utf8


def cell(value: Any) -> str:
    """Return a value as text: nothing for none and for bytes that are no text, such as a picture's; true and false,
    plain numbers, ISO dates, JSON for what is nested.
    """
    if isinstance(value, str):
        return clean(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ").removesuffix(" 00:00:00")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return clean(_decoded(value))
    if isinstance(value, dict) and any(isinstance(part, bytes) and not _decoded(part) for part in value.values()):
        return ""
    if isinstance(value, list | tuple | dict):
        return clean(json.dumps(value, ensure_ascii=False, default=cell))
    return str(value)


def _decoded(data: bytes) -> str:
    """Return a text in UTF-8, "" where the bytes are none: more than a few of them cannot be read, or control it."""
    text = data.decode("utf-8", "replace")
    odd = sum(c == "\ufffd" or (c < " " and c not in "\t\n\r\f\v") for c in text)
    return "" if odd > 0.05 * len(text) else text


def clean(text: str) -> str:
    """Return a text that can be stored, without NUL characters."""
    return utf8(text.replace("\0", ""))
