"""Malicious and damaged archives and tables, for property tests."""

import bz2
import gzip
import io
import json
import lzma
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable

import pandas as pd
from hypothesis import strategies as st

from tests.data.files import picture

File = tuple[str, bytes]
"""A file name and its content."""

_PARTS = [
    *("a", "b", "cats", "dogs", "train", "val", "test", "images", "1", "x" * 120, "ä ö", "日本", " ", "con"),
    *("..", ".", "~", "C:", "a\\b", "\x01", "__MACOSX", ".git", "‮gnp", "%2e%2e", "a\nb", "-rf", "$(id)"),
]
_SPLITS = st.sampled_from(["train.csv", "test.csv", "dev.csv", "data/train.tsv", "data/test.tsv", "train.jsonl"])
_SUFFIXES = [*(".png", ".jpg", ".gif", ".tif", ".webp", ".txt", ".csv", ".zip", ".PNG", "", ".json", ".exe")]
_KINDS = [("PNG", "RGB"), ("PNG", "P"), ("PNG", "1"), ("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("GIF", "P")]
_KINDS += [("BMP", "RGB"), ("TIFF", "RGB"), ("TIFF", "CMYK"), ("WEBP", "RGB")]
_WORDS = st.text(max_size=30) | st.sampled_from(["good", "bad", "0", "1", "1.0", "nan", "", "x, y", '"', "a;b", "\0"])


@st.composite
def names(draw: st.DrawFn) -> str:
    """A path that may leave its folder, be absolute, be of another operating system, or be too long."""
    parts = draw(st.lists(st.sampled_from(_PARTS), min_size=1, max_size=4))
    start = draw(st.sampled_from(["", "", "", "/", "../", "\\\\host\\", "./"]))
    return start + "/".join(parts) + draw(st.sampled_from(_SUFFIXES))


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The data: unchanged, cut off, with flipped bytes, or with bytes before or after."""
    how = draw(st.sampled_from(["whole", "whole", "cut", "flipped", "before", "behind", "zeros"]))
    if how == "whole" or not data:
        return data
    at = draw(st.integers(0, 2**20)) % len(data)  # a spreadsheet tells the time, so its length is not the same twice
    if how == "cut":
        return data[:at]
    if how in ("before", "behind"):
        junk = draw(st.binary(min_size=1, max_size=64))
        return junk + data if how == "before" else data + junk
    width = draw(st.integers(1, 16))
    patch = bytes(width) if how == "zeros" else draw(st.binary(min_size=width, max_size=width))
    return data[:at] + patch + data[at + width :]


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """A picture, a text or neither, intact or damaged."""
    kind = draw(st.sampled_from(["picture", "picture", "text", "bytes", "table", "flat"]))
    if kind == "picture":
        content = picture(draw(st.integers(0, 9)), (6, 5), *draw(st.sampled_from(_KINDS)))
    elif kind == "text":
        content = draw(st.text(max_size=80)).encode("utf-8", "surrogatepass")
    elif kind == "table":
        content = draw(separated())
    elif kind == "flat":
        content = bytes(draw(st.sampled_from([1_000, 100_000, 1_000_000])))
    else:
        content = draw(st.binary(max_size=80))
    return draw(damaged(content))


_members = st.lists(st.tuples(names(), contents()), max_size=8)
_tidy = st.lists(
    st.tuples(st.builds("{}/{}.png".format, st.sampled_from(["cats", "dogs"]), st.integers(0, 9)), contents()),
    min_size=2,
    max_size=6,
)
"""Files in a proper layout, so that many archives hold something to import."""
_tables = st.lists(st.tuples(_SPLITS, st.deferred(lambda: separated())), min_size=2, max_size=4)
"""Tables named after splits, which are joined if their columns are the same."""


@st.composite
def zips(draw: st.DrawFn) -> File:
    """A zip with any compression, links, passwords, folders, duplicates and false sizes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of doubled names, which are the point
        for name, data in draw(_tidy | _tables) + draw(_members):
            info = zipfile.ZipInfo(name or "x")
            info.compress_type = draw(st.sampled_from([0, 8, 8, 12, 14]))
            kind = draw(st.sampled_from([stat.S_IFREG] * 6 + [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO]))
            info.external_attr = (kind | 0o777) << 16
            archive.writestr(info, data)
    data = bytearray(buffer.getvalue())
    for signature, offset in draw(
        st.lists(st.sampled_from([(b"PK\1\2", 8), (b"PK\1\2", 24), (b"PK\3\4", 8)]), max_size=1)
    ):
        at = data.find(signature) + offset  # flags or claimed size of the first member
        data[at : at + 2] = draw(st.binary(min_size=2, max_size=2))
    return draw(st.sampled_from(["x.zip", "x.ZIP", "x"])), draw(damaged(bytes(data)))


@st.composite
def tars(draw: st.DrawFn) -> File:
    """A tar, compressed or not, with links, devices and paths that leave their folder."""
    buffer = io.BytesIO()
    form = draw(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]))
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, data in draw(_tidy | _tables) + draw(_members):
            info = tarfile.TarInfo(name or "x")
            info.size = len(data)
            info.type = draw(st.sampled_from([tarfile.REGTYPE] * 6 + [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE,
                                                                      tarfile.FIFOTYPE, tarfile.DIRTYPE]))  # fmt: skip
            info.linkname = draw(st.sampled_from(["", "../../etc/passwd", "cats/1.png", "/etc/passwd"]))
            try:
                archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
            except (ValueError, UnicodeError):
                continue  # a name that this form of tar cannot hold
    suffix, pack = draw(st.sampled_from(_PACKERS))
    data = draw(damaged(buffer.getvalue()))
    return f"x{suffix}", draw(damaged(pack(data)))


_PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    (".tar", bytes),
    (".tar.gz", gzip.compress),
    (".tgz", gzip.compress),
    (".tar.bz2", bz2.compress),
    (".tar.xz", lzma.compress),
    (".tgz", bz2.compress),
]

_named = st.sampled_from(["text", "label", "split", "group", "id", "sex", "date", "path", "x", "", "text"])
_columns = st.just(["text", "label"]) | st.lists(_named | st.text(max_size=8), min_size=1, max_size=5)
_letters = st.text(st.characters(codec="utf-8", categories=["L", "Zs"]), min_size=1, max_size=30)
_pairs = st.tuples(_letters, st.sampled_from(["good", "bad", "so so", "1", ""])).map(list)


@st.composite
def separated(draw: st.DrawFn) -> bytes:
    """A delimited table: ragged, with open quotes, in any encoding."""
    mark = draw(st.sampled_from([",", ";", "\t", "|"]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    rows = [draw(_columns), *draw(st.lists(_pairs, max_size=12) | st.lists(st.lists(_WORDS, max_size=6), max_size=12))]
    quote = draw(st.sampled_from(["", '"']))
    text = end.join(mark.join(f"{quote}{cell}{quote}" for cell in row) for row in rows)
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])), "replace")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """JSON lines, an array, or an array under a key, with complete, incomplete and broken objects and other values."""
    wild = st.fixed_dictionaries({}, optional={"text": _WORDS | _json, "label": _WORDS | _json, "tags": _json})
    tame = _pairs.map(lambda pair: {"text": pair[0], "label": pair[1]})
    lines = draw(st.lists((tame | wild | _json).map(json.dumps) | st.text(max_size=20), max_size=12))
    lines += draw(st.lists(tame.map(json.dumps), max_size=6))
    array = "[" + ",".join(lines) + "]"
    text = draw(st.sampled_from(["\n".join(lines), array, f'{{"of": 1, "data": {array}, "more": []}}']))
    return text.encode("utf-8", "surrogatepass")


@st.composite
def frames(draw: st.DrawFn) -> File:
    """A Parquet file or a spreadsheet."""
    n = draw(st.integers(0, 8))
    cells = st.lists(_WORDS, min_size=n, max_size=n)
    values = {
        name: draw(cells) for name in draw(st.lists(st.sampled_from(["text", "label", "x", "split"]), unique=True))
    }
    for name in draw(st.lists(st.sampled_from(["n", "list", "label"]), unique=True)):
        values[name] = draw(
            st.lists(st.lists(_WORDS, max_size=2) if name == "list" else st.floats(), min_size=n, max_size=n)
        )
    buffer, frame = io.BytesIO(), pd.DataFrame(values)
    suffix = draw(st.sampled_from([".parquet", ".xlsx"]))
    try:
        frame.to_parquet(buffer) if suffix == ".parquet" else frame.astype(str).to_excel(buffer, index=False)
    except Exception:  # openpyxl refuses control characters, and pyarrow lone surrogates
        return f"x{suffix}", draw(st.binary(max_size=64))
    return f"x{suffix}", draw(damaged(buffer.getvalue()))


@st.composite
def tables(draw: st.DrawFn) -> File:
    """A table in any format, with a file name that may be that of another format."""
    kind = draw(st.sampled_from(["separated", "objects", "frame", "mixed"]))
    if kind == "frame":
        return draw(frames())
    data = draw(damaged(draw(separated() if kind != "objects" else objects())))
    right = [".csv", ".tsv", ".txt"] if kind == "separated" else [".jsonl", ".json", ".ndjson"]
    if kind == "mixed":
        right = [".csv", ".jsonl", ".parquet", ".xlsx", ".json", ".csv.gz", ".png", ""]
    suffix = draw(st.sampled_from(right))
    return f"x{suffix}", gzip.compress(data) if suffix.endswith(".gz") and draw(st.booleans()) else data
