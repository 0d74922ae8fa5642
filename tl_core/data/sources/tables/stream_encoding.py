"""Guessing the encoding of a text file that is too long to read at once."""

import codecs
from dataclasses import dataclass
from functools import partial

from tl_core.data.sources.tables.table_file import TableFile
from tl_core.data.sources.text_encoding import SAMPLE, guess_legacy_encoding, marked_encoding, require_text
from tl_core.errors import DataError

_CHUNK = 1 << 20
_RARE = 0.1  # share of invalid bytes, among non-ASCII ones, up to which a text still counts as UTF-8
_REPAIR = "graft-cp1252"
_ASCII = bytes(range(128))


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_REPAIR, _as_cp1252)


@dataclass(frozen=True)
class Encoding:
    """An encoding by name; `mixed` where some bytes are not in it and are read as Windows-1252."""

    name: str
    mixed: bool = False

    @property
    def errors(self) -> str:
        """Return the name of the error handler for decoding."""
        return _REPAIR if self.mixed else "strict"


def guess_stream_encoding(file: TableFile, encoding: str = "") -> Encoding:
    """Return the encoding of a file: the one that is named, else one that fits all of its bytes.

    Raises DataError, with the bare reason as message, where the bytes are not text in the encoding named.
    """
    head = file.head(SAMPLE)
    name = encoding or marked_encoding(head) or "utf-8"
    try:
        if codecs.lookup(name).name == "utf-8":
            invalid, high = _count_invalid(file)
            if not invalid:
                return Encoding(name)
            if invalid <= _RARE * high:
                return Encoding(name, mixed=True)
            if not encoding:
                name = guess_legacy_encoding(head)
        _decode_all(file, name)
    except LookupError as error:
        raise DataError(f"there is no encoding named {name!r}") from error
    except UnicodeError as error:
        if encoding:
            raise DataError(f"it is not text in the encoding {encoding}") from error
        return Encoding("latin-1")
    return Encoding(name)


def check_text(file: TableFile, encoding: Encoding) -> None:
    """Raise DataError, with the bare reason as message, where the beginning of a file is not text."""
    decoder = codecs.getincrementaldecoder(encoding.name)(encoding.errors)
    require_text(decoder.decode(file.head(SAMPLE)))


def _count_invalid(file: TableFile) -> tuple[int, int]:
    """Return how many bytes of a file are not valid UTF-8, and how many are not ASCII."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    invalid = high = 0
    with file.open() as stream:
        for chunk in iter(partial(stream.read, _CHUNK), b""):
            if chunk.isascii() and not decoder.getstate()[0]:
                continue
            high += len(chunk.translate(None, _ASCII))
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                invalid += chunk.decode("utf-8", "replace").count("\ufffd")
                decoder.reset()
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        invalid += 1
    return invalid, high


def _decode_all(file: TableFile, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    with file.open() as stream:
        for chunk in iter(partial(stream.read, _CHUNK), b""):
            decoder.decode(chunk)
    decoder.decode(b"", final=True)
