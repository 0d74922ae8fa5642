"""Bytes to text, whatever wrote them."""

import codecs

from charset_normalizer import from_bytes

from tl_core.errors import DataError

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAMPLE = 200_000
"""Bytes from which an encoding is guessed."""
_BINARY = 0.05  # share of control characters from which a file is not text
_LEGACY = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r"]
_LEGACY += ["shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"]


def decode(data: bytes, encoding: str = "") -> tuple[str, str]:
    """Return the text and the encoding it was read with; `encoding` "" finds it.

    Raises DataError, with the reason alone as its message, where the bytes are not text in that encoding.
    """
    name = encoding or find_encoding(data)
    try:
        text = data.decode(name)
    except LookupError as error:
        raise DataError(f"there is no encoding named {name!r}") from error
    except UnicodeDecodeError as error:
        if encoding:
            raise DataError(f"it is not text in the encoding {encoding}") from error
        name, text = "latin-1", data.decode("latin-1")
    text = text.removeprefix("\ufeff")
    require_text(text[:SAMPLE])
    return text, name


def require_text(sample: str) -> None:
    """Raise DataError, with the reason alone as its message, where control characters say that this is no text."""
    if sum(c < " " and c not in "\t\n\r\f\v" for c in sample) > _BINARY * len(sample):
        raise DataError("it is not text")


def tidy(text: str, most: int) -> tuple[str, str]:
    """Return a text without outer blanks, at most `most` characters of it, and what was changed ("" for nothing).

    Raises DataError, with the reason alone as its message, where nothing is left.
    """
    text = text.replace("\0", "").strip()
    if not text:
        raise DataError("the text is empty")
    if len(text) <= most:
        return text, ""
    return text[:most].rstrip(), f"the text was cut from {len(text):,} to {most:,} characters"


def find_encoding(data: bytes) -> str:
    """Return the encoding of some bytes: by their byte-order mark, as UTF-8, by UTF-16's zeros, else by statistics."""
    if found := marked_encoding(data):
        return found
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return legacy_encoding(data[:SAMPLE])
    return "utf-8"


def marked_encoding(data: bytes) -> str:
    """Return the encoding that a byte-order mark or the zeros of UTF-16 tell, "" where neither does."""
    for bom, name in _BOMS:
        if data.startswith(bom):
            return name
    sample = data[:SAMPLE]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if even + odd > len(sample) / 5:
        return "utf-16-be" if even > odd else "utf-16-le"
    return ""


def legacy_encoding(sample: bytes) -> str:
    """Return which of the encodings older than Unicode some bytes are most likely in."""
    return "cp1252" if _looks_western(sample) else _guess(sample)


def _looks_western(sample: bytes) -> bool:
    """Return whether bytes above ASCII are rare and read, as Windows-1252, as the accents of Western Europe."""
    common = set("äöüßÄÖÜéèêëàâçîïôùûœæáíóúñ¿¡ãõåøÅØÆÉÈÀÇÑ«»„“”‘’–—…€£§°·•´©®™")
    high = [c for c in sample.decode("cp1252", "replace") if c > "\x7f"]
    return len(high) < len(sample) / 5 and sum(c in common for c in high) >= 0.9 * len(high)


def _guess(sample: bytes) -> str:
    best = from_bytes(sample, cp_isolation=_LEGACY).best()
    return best.encoding if best else "cp1252"
