"""Values of typed tables as the text that a cell of a CSV would hold."""

import datetime
import json
import math
from typing import Any


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
    """Return a text that UTF-8 can hold: halves of character pairs become a replacement mark, NULs go."""
    if "\0" in text:
        text = text.replace("\0", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
