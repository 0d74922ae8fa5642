"""What kind of table a file is, as its name says."""

from pathlib import Path, PurePosixPath
from typing import Literal

Kind = Literal["delimited", "jsonl", "json", "parquet", "xlsx"]
KINDS: dict[str, Kind] = {
    **dict.fromkeys((".csv", ".tsv", ".tab"), "delimited"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    ".parquet": "parquet",
    ".xlsx": "xlsx",
    ".json": "json",
}
"""What a suffix says, the likelier to be the data themselves the earlier."""


def kind_of_name(name: str) -> Kind | None:
    """Return the kind of table that a name says, packed by gzip or not; None for others, `.txt` among them."""
    path = PurePosixPath(name.lower())
    return KINDS.get(PurePosixPath(path.stem).suffix if path.suffix == ".gz" else path.suffix)


def table_name(name: str) -> bool:
    """Return whether a file of that name is a table."""
    return kind_of_name(name) is not None


def plain_name(path: Path) -> str:
    """Return what a person calls a source: a folder's name; a file's without its suffix and that of its packing."""
    if path.is_dir():
        return path.name
    inner = PurePosixPath(path.stem)
    packed = inner.suffix.lower() == ".tar" or (path.suffix.lower() == ".gz" and table_name(inner.name))
    return (inner.stem if packed else path.stem) or path.name
