"""The encoding of a text that is too long to be read at once."""

import codecs
from dataclasses import dataclass
from functools import partial

from tl_core.data.sources.tables.table_file import TableFile
from tl_core.data.sources.text_encoding import SAMPLE, legacy_encoding, marked_encoding, require_text
from tl_core.errors import DataError

_CHUNK = 1 << 20
_RARE = 0.1  # invalid bytes among those above ASCII up to which a text is UTF-8 with a few strangers
_REPAIR = "graft-cp1252"
_ASCII = bytes(range(128))


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_REPAIR, _as_cp1252)


@dataclass(frozen=True)
class Encoding:
    """The name of an encoding; `mixed` where some bytes are not in it, and are read as Windows-1252."""

    name: str
    mixed: bool = False

    @property
    def errors(self) -> str:
        """Return the name of the error handler to decode with."""
        return _REPAIR if self.mixed else "strict"


def find_stream_encoding(file: TableFile, encoding: str = "") -> Encoding:
    """Return the encoding of a file: the one that is named, else the one that all its bytes are in.

    Raises DataError, with the reason alone as its message, where the bytes are not text in the encoding named.
    """
    head = file.head(SAMPLE)
    found = encoding or marked_encoding(head) or "utf-8"
    try:
        if codecs.lookup(found).name == "utf-8":
            invalid, high = _count_invalid(file)
            if not invalid:
                return Encoding(found)
            if invalid <= _RARE * high:
                return Encoding(found, mixed=True)
            if not encoding:
                found = legacy_encoding(head)
        _decode_all(file, found)
    except LookupError as error:
        raise DataError(f"there is no encoding named {found!r}") from error
    except UnicodeError as error:
        if encoding:
            raise DataError(f"it is not text in the encoding {encoding}") from error
        return Encoding("latin-1")
    return Encoding(found)


def check_text(file: TableFile, encoding: Encoding) -> None:
    """Raise DataError, with the reason alone as its message, where the beginning of a file is no text."""
    decoder = codecs.getincrementaldecoder(encoding.name)(encoding.errors)
    require_text(decoder.decode(file.head(SAMPLE)))


def _count_invalid(file: TableFile) -> tuple[int, int]:
    """Return how many bytes of a file are not UTF-8, and how many are above ASCII."""
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
