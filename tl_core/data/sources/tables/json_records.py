"""JSON tables: one object a line, or one array of objects, perhaps under a name; read as a stream."""

import codecs
import io
import json
import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

from tl_core.data.options import ImportOptions
from tl_core.data.sources.tables.cell_text import cell, clean
from tl_core.data.sources.tables.stream_encoding import Encoding, check_text, find_stream_encoding
from tl_core.data.sources.tables.table_file import TableFile
from tl_core.data.sources.tables.table_rows import MOST_COLUMNS, Record, Table, check_width
from tl_core.errors import DataError

LONGEST = 128 * 2**20
"""Characters of one line, or of one object of an array."""
_CHUNK = 1 << 18
_MEMBER = re.compile(r'[\s,]*"((?:[^"\\]|\\.)*)"\s*:\s*')  # the name of a value, up to that value
_LIST = re.compile(r"\[\s*\{")
_BROKEN = (ValueError, RecursionError)
_NO_OBJECT = "it is not an object in braces, with a name for each value"
_SHAPE = "Give one object a line, or one array of objects, each with a text and a label."
_UTF8 = codecs.lookup("utf-8").name


def open_objects(file: TableFile, options: ImportOptions, most_chars: int | None = None) -> Table:
    """Return a table of JSON objects, one a line or in one array; its columns are the names that objects use.

    Names are looked for in the first `most_chars` characters. Raises DataError where there is no text or no object.
    """
    try:
        encoding = find_stream_encoding(file, options.encoding)
        check_text(file, encoding)
    except DataError as error:
        if error.hint:
            raise
        raise DataError(f"{file.name} cannot be read as JSON: {error.message}.", "Save it in UTF-8.") from error
    first = _first_mark(file, encoding)
    if not first:
        raise DataError(f"{file.name} is empty.", _SHAPE)
    begin = _inside(file, encoding) if first == "{" else 0 if first == "[" and not _is_lines(file, encoding) else None
    values = partial(_objects, file, encoding) if begin is None else partial(_array, file, encoding, begin)
    columns = _columns(values, most_chars)
    if not columns:
        why = next((f" Row {n}: {value}." for n, value in islice(values(), 1) if isinstance(value, str)), "")
        raise DataError(f"{file.name} holds no list of objects.{why}", _SHAPE)
    check_width(file.name, len(columns))

    def records() -> Iterator[Record]:
        for number, value in values():
            if isinstance(value, str):
                yield number, value
            else:
                named = {_name(key): cell(content) for key, content in value.items()}
                yield number, [named.get(column, "") for column in columns]

    said = "" if codecs.lookup(encoding.name).name == _UTF8 else encoding.name
    return Table(file.name, columns, records, encoding=said, mixed=encoding.mixed)


def _columns(values: Any, most_chars: int | None) -> tuple[str, ...]:
    names: dict[str, None] = {}
    chars = 0
    for _, value in values():
        if isinstance(value, str):
            continue
        names |= dict.fromkeys(map(_name, value))
        if most_chars is not None:
            chars += sum(len(content) if isinstance(content, str) else 1 for content in value.values())
        if len(names) > MOST_COLUMNS or (most_chars is not None and chars > most_chars):
            break
    return tuple(names)


def _name(key: str) -> str:
    return " ".join(clean(key).split()) or "column"


def _text(file: TableFile, encoding: Encoding) -> io.TextIOWrapper:
    return io.TextIOWrapper(file.open(), encoding=encoding.name, errors=encoding.errors)


def _first_mark(file: TableFile, encoding: Encoding) -> str:
    with _text(file, encoding) as text:
        for part in iter(partial(text.read, _CHUNK), ""):
            if mark := part.lstrip("\ufeff \t\r\n")[:1]:
                return mark
    return ""


def _is_lines(file: TableFile, encoding: Encoding) -> bool:
    """Return whether a text that begins with a bracket is one array a line, so that no line is an object."""
    with _text(file, encoding) as text:
        lines = [line for line in (text.readline(_CHUNK).strip() for _ in range(2)) if line]
    return len(lines) == 2 and all(line.startswith("[") and line.endswith("]") and line[1:2] != "{" for line in lines)


def _inside(file: TableFile, encoding: Encoding) -> int | None:
    """Return where a list of objects begins in a text that is one object: the one named data, else the first.

    None where there is none in the beginning of the text, or where each line is an object.
    """
    with _text(file, encoding) as text:
        head = text.read(_CHUNK)
    decoder, place, found = json.JSONDecoder(), head.index("{") + 1, None
    while member := _MEMBER.match(head, place):
        value = member.end()
        if _LIST.match(head, value):
            found = value if found is None or member[1] == "data" else found
        place = _decoded(decoder, head, value)[1]
        if place == value or (member[1] == "data" and found == value):
            break
    return None if found is None or _whole_lines(file, encoding) else found


def _whole_lines(file: TableFile, encoding: Encoding) -> bool:
    """Return whether the first line is an object and another one follows."""
    with _text(file, encoding) as text:
        lines = (line for line in iter(partial(text.readline, LONGEST), "") if line.strip("\ufeff \t\r\n\0"))
        first = next(lines, "")
        return bool(next(lines, "")) and isinstance(_loaded(first.strip("\ufeff \t\r\n\0")), dict)


def _objects(file: TableFile, encoding: Encoding) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the number of each line that is not blank, and its object, or why there is none."""
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
                yield number, _loaded(line)


def _loaded(text: str) -> dict[str, Any] | str:
    try:
        value = json.loads(text)
    except _BROKEN as error:
        return f"it is not JSON ({error.msg.lower()})" if isinstance(error, json.JSONDecodeError) else "it is not JSON"
    return value if isinstance(value, dict) else _NO_OBJECT


def _array(file: TableFile, encoding: Encoding, begin: int) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the number and the value of each element of the array at a place; a few at a time are held in memory.

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
            value, after = _decoded(decoder, buffer, place)
            if after < len(buffer) and after > place:  # a number at the very end could go on
                number, place, need = number + 1, after, _CHUNK
                yield number, value if isinstance(value, dict) else _NO_OBJECT
                continue
            more = "" if ended else text.read(need)
            ended, need = not more, need * 2  # twice as much each time, so that a long object costs linear time
            buffer, place = buffer[place:] + more, 0
            if ended or len(buffer) > LONGEST:
                raise DataError(
                    f"{file.name} cannot be read as JSON: it is damaged after its first {number:,} objects.",
                    "Make it again, or give one object a line: then a broken line costs that line alone.",
                )


def _decoded(decoder: json.JSONDecoder, buffer: str, place: int) -> tuple[Any, int]:
    """Return the value at a place and where it ends; that place itself where there is no whole value."""
    try:
        return decoder.raw_decode(buffer, place)
    except _BROKEN:
        return None, place
