"""Decoding bytes as text, with the encoding guessed."""

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
"""Bytes that an encoding is guessed from."""
_BINARY = 0.05  # share of control characters above which a file is not text
_LEGACY = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r"]
_LEGACY += ["shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"]


def decode(data: bytes, encoding: str = "") -> tuple[str, str]:
    """Return the text and its encoding; `encoding` "" guesses it.

    Raises DataError, with the bare reason as message, where the bytes are not text in that encoding.
    """
    name = encoding or guess_encoding(data)
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
    """Raise DataError, with the bare reason as message, where control characters show that this is not text."""
    if sum(c < " " and c not in "\t\n\r\f\v" for c in sample) > _BINARY * len(sample):
        raise DataError("it is not text")


def tidy(text: str, most: int) -> tuple[str, str]:
    """Return a text stripped and cut to `most` characters, and what was changed ("" for nothing).

    Raises DataError, with the bare reason as message, where nothing is left.
    """
    text = text.replace("\0", "").strip()
    if not text:
        raise DataError("the text is empty")
    if len(text) <= most:
        return text, ""
    return text[:most].rstrip(), f"the text was cut from {len(text):,} to {most:,} characters"


def guess_encoding(data: bytes) -> str:
    """Guess an encoding: by byte-order mark, by the zeros of UTF-16, by valid UTF-8, else by statistics."""
    if marked := marked_encoding(data):
        return marked
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return guess_legacy_encoding(data[:SAMPLE])
    return "utf-8"


def marked_encoding(data: bytes) -> str:
    """Return the encoding that a byte-order mark or the zeros of UTF-16 show, "" where neither does."""
    for bom, name in _BOMS:
        if data.startswith(bom):
            return name
    sample = data[:SAMPLE]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if even + odd > len(sample) / 5:
        return "utf-16-be" if even > odd else "utf-16-le"
    return ""


def guess_legacy_encoding(sample: bytes) -> str:
    """Guess an encoding older than Unicode, by statistics."""
    return "cp1252" if _looks_western(sample) else _most_likely(sample)


def _looks_western(sample: bytes) -> bool:
    """Return whether non-ASCII bytes are rare and, as Windows-1252, mostly Western European letters."""
    common = set("äöüßÄÖÜéèêëàâçîïôùûœæáíóúñ¿¡ãõåøÅØÆÉÈÀÇÑ«»„“”‘’–—…€£§°·•´©®™")
    high = [c for c in sample.decode("cp1252", "replace") if c > "\x7f"]
    return len(high) < len(sample) / 5 and sum(c in common for c in high) >= 0.9 * len(high)


def _most_likely(sample: bytes) -> str:
    best = from_bytes(sample, cp_isolation=_LEGACY).best()
    return best.encoding if best else "cp1252"
