"""JSON tables, streamed: one object per line, or one array of objects, which may be a value of an outer object."""

import codecs
import io
import json
import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from tl_core.data.options import ImportOptions
from tl_core.data.sources.tables.cell_text import cell_text, without_nul
from tl_core.data.sources.tables.stream_encoding import Encoding, check_text, guess_stream_encoding
from tl_core.data.sources.tables.table_file import TableFile
from tl_core.data.sources.tables.table_rows import MOST_COLUMNS, Record, Table, check_width
from tl_core.errors import DataError

LONGEST = 128 * 2**20
"""Most characters of a line, or of an object in an array."""
_CHUNK = 1 << 18
_MEMBER = re.compile(r'[\s,]*"((?:[^"\\]|\\.)*)"\s*:\s*')  # a key, up to its value
_LIST = re.compile(r"\[\s*\{")
_BROKEN = (ValueError, RecursionError)
_NO_OBJECT = "it is not an object in braces, with a name for each value"
_SHAPE = "Give one object per line, or one array of objects, each with a text and a label."
_UTF8 = codecs.lookup("utf-8").name


def open_json(file: TableFile, options: ImportOptions, most_chars: int | None = None) -> Table:
    """Open a table of JSON objects. Its columns are the keys that the objects use.

    Keys are collected from the first `most_chars` characters. Raises DataError where the file is not text or holds no
    object.
    """
    try:
        encoding = guess_stream_encoding(file, options.encoding)
        check_text(file, encoding)
    except DataError as error:
        if error.hint:
            raise
        raise DataError(f"{file.name} cannot be read as JSON: {error.message}.", "Save it in UTF-8.") from error
    first = _first_character(file, encoding)
    if not first:
        raise DataError(f"{file.name} is empty.", _SHAPE)
    begin = (
        _array_start(file, encoding)
        if first == "{"
        else 0
        if first == "[" and not _is_array_per_line(file, encoding)
        else None
    )
    values = partial(_objects, file, encoding) if begin is None else partial(_array, file, encoding, begin)
    columns = _columns(values, most_chars)
    if not columns:
        reason = next((f" Row {n}: {value}." for n, value in islice(values(), 1) if isinstance(value, str)), "")
        raise DataError(f"{file.name} holds no list of objects.{reason}", _SHAPE)
    check_width(file.name, len(columns))

    def records() -> Iterator[Record]:
        for number, value in values():
            if isinstance(value, str):
                yield number, value
            else:
                by_column = {_column_name(key): cell_text(content) for key, content in value.items()}
                yield number, [by_column.get(column, "") for column in columns]

    shown_encoding = "" if codecs.lookup(encoding.name).name == _UTF8 else encoding.name
    return Table(file.name, columns, records, encoding=shown_encoding, mixed=encoding.mixed)


def _columns(values: Any, most_chars: int | None) -> tuple[str, ...]:
    names: dict[str, None] = {}
    chars = 0
    for _, value in values():
        if isinstance(value, str):
            continue
        names |= dict.fromkeys(map(_column_name, value))
        if most_chars is not None:
            chars += sum(len(content) if isinstance(content, str) else 1 for content in value.values())
        if len(names) > MOST_COLUMNS or (most_chars is not None and chars > most_chars):
            break
    return tuple(names)


def _column_name(key: str) -> str:
    return " ".join(without_nul(key).split()) or "column"


def _text(file: TableFile, encoding: Encoding) -> io.TextIOWrapper:
    return io.TextIOWrapper(file.open(), encoding=encoding.name, errors=encoding.errors)


def _first_character(file: TableFile, encoding: Encoding) -> str:
    with _text(file, encoding) as text:
        for part in iter(partial(text.read, _CHUNK), ""):
            if mark := part.lstrip("\ufeff \t\r\n")[:1]:
                return mark
    return ""


def _is_array_per_line(file: TableFile, encoding: Encoding) -> bool:
    """Return whether a text that begins with a bracket has one array per line, so that no line is an object."""
    with _text(file, encoding) as text:
        lines = [line for line in (text.readline(_CHUNK).strip() for _ in range(2)) if line]
    return len(lines) == 2 and all(line.startswith("[") and line.endswith("]") and line[1:2] != "{" for line in lines)


def _array_start(file: TableFile, encoding: Encoding) -> int | None:
    """Return where an array of objects begins in a text that is one object: that under "data", else the first.

    None where the beginning of the text has none, or where each line is an object.
    """
    with _text(file, encoding) as text:
        head = text.read(_CHUNK)
    decoder, place, start = json.JSONDecoder(), head.index("{") + 1, None
    while member := _MEMBER.match(head, place):
        value = member.end()
        if _LIST.match(head, value):
            start = value if start is None or member[1] == "data" else start
        place = _decode_value(decoder, head, value)[1]
        if place == value or (member[1] == "data" and start == value):
            break
    return None if start is None or _is_object_per_line(file, encoding) else start


def _is_object_per_line(file: TableFile, encoding: Encoding) -> bool:
    """Return whether the first line is a complete object and another line follows."""
    with _text(file, encoding) as text:
        lines = (line for line in iter(partial(text.readline, LONGEST), "") if line.strip("\ufeff \t\r\n\0"))
        first = next(lines, "")
        return bool(next(lines, "")) and isinstance(_parse_object(first.strip("\ufeff \t\r\n\0")), dict)


def _objects(file: TableFile, encoding: Encoding) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the number of each line that is not blank, and its object or the reason why there is none."""
    with _text(file, encoding) as text:
        number, long = 0, False
        for line in iter(partial(text.readline, LONGEST), ""):
            ends = line.endswith("\n")
            if long or len(line) >= LONGEST:
                if not long:
                    number += 1
                    yield number, "its line is too long"
                long = not ends
                continue
            number += 1
            line = line.strip("\ufeff \t\r\n\0")
            if line:
                yield number, _parse_object(line)


def _parse_object(text: str) -> dict[str, Any] | str:
    try:
        value = json.loads(text)
    except _BROKEN as error:
        return f"it is not JSON ({error.msg.lower()})" if isinstance(error, json.JSONDecodeError) else "it is not JSON"
    return value if isinstance(value, dict) else _NO_OBJECT


def _array(file: TableFile, encoding: Encoding, begin: int) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the number and the object of each element of the array that begins at `begin`, in bounded memory.

    Raises DataError where the array breaks off.
    """
    decoder = json.JSONDecoder()
    with _text(file, encoding) as text:
        buffer, place, number, need = "", 0, 0, _CHUNK
        text.read(begin)
        buffer = text.read(need).lstrip("\ufeff \t\r\n").removeprefix("[")
        ended = False
        while True:
            while place < len(buffer) and buffer[place] in " \t\r\n,":
                place += 1
            if buffer[place : place + 1] == "]":
                return
            value, after = _decode_value(decoder, buffer, place)
            if after < len(buffer) and after > place:  # a number at the very end may continue
                number, place, need = number + 1, after, _CHUNK
                yield number, value if isinstance(value, dict) else _NO_OBJECT
                continue
            more = "" if ended else text.read(need)
            ended, need = not more, need * 2  # doubled each time, so that a long object takes linear time
            buffer, place = buffer[place:] + more, 0
            if ended or len(buffer) > LONGEST:
                raise DataError(
                    f"{file.name} cannot be read as JSON: it is damaged after its first {number:,} objects.",
                    "Make it again, or give one object per line: then only broken lines are lost.",
                )


def _decode_value(decoder: json.JSONDecoder, buffer: str, place: int) -> tuple[Any, int]:
    """Return the value at a place and where it ends; the place itself where there is no complete value."""
    try:
        return decoder.raw_decode(buffer, place)
    except _BROKEN:
        return None, place
