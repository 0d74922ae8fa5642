"""Values of typed tables as the text that a cell of a CSV would hold."""

import datetime
import json
import math
from typing import Any

from tl_core.data.sources.manifest import utf8


def cell(value: Any) -> str:
    """Return a value as text: nothing for none, true and false, plain numbers, ISO dates, JSON for what is nested."""
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
        return clean(value.decode("utf-8", "replace"))
    if isinstance(value, list | tuple | dict):
        return clean(json.dumps(value, ensure_ascii=False, default=cell))
    return str(value)


def clean(text: str) -> str:
    """Return a text that can be stored, without NUL characters."""
    return utf8(text.replace("\0", ""))
