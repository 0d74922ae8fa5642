"""A file or folder that a person names: whether it can be read, and whether it is a table, or an archive or folder."""

import zipfile
from pathlib import Path, PurePosixPath

from tl_core.data.sources.tables.table_file import has_table_name
from tl_core.data.sources.tar_archive import is_tar
from tl_core.errors import DataError

_OTHER = {
    **dict.fromkeys((".xls", ".ods", ".numbers"), "is a spreadsheet in another format; save it as XLSX or CSV"),
    **dict.fromkeys((".7z", ".rar", ".zst"), "is an archive, but neither zip nor tar"),
    **dict.fromkeys((".pdf", ".doc", ".docx", ".odt"), "is a document, not a collection of examples"),
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"), "is a single picture"),
}
WHAT_TO_GIVE = (
    "Give a zip, a tar archive or a folder with one folder per class, or a table (CSV, JSON lines, Parquet, "
    "XLSX) with a text and a label column."
)
"""The hint where a source cannot be read."""


def source_path(source: str) -> Path:
    """Return the path that a person gave. Raises DataError where nothing can be read there."""
    try:
        path = Path(source.strip().strip("'\"")).expanduser()
        if not source.strip() or not path.exists():
            raise DataError(
                f"There is nothing at {source.strip() or 'an empty path'}.", "Check the path. " + WHAT_TO_GIVE
            )
        path = path.resolve()
        if path.is_dir():
            next(path.iterdir(), None)
        elif not path.is_file():  # opening a pipe would block
            raise DataError(f"{source.strip()} is neither a file nor a folder.", "Check the path. " + WHAT_TO_GIVE)
        else:
            path.open("rb").close()
    except OSError as error:
        raise DataError(f"{source} cannot be opened ({error.strerror}).", "Check who may read it.") from error
    except (ValueError, RuntimeError) as error:  # an invalid character, or the home of an unknown user
        raise DataError(f"{source!r} is not a path.", "Check the path. " + WHAT_TO_GIVE) from error
    return path


def is_table(path: Path) -> bool:
    """Return whether a path is a table; False for an archive or a folder. Raises DataError for anything else."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return False
    if has_table_name(path.name):
        return True
    if suffix in _OTHER:
        raise DataError(f"{path.name} {_OTHER[suffix]}.", WHAT_TO_GIVE)
    if suffix == ".zip" or zipfile.is_zipfile(path) or is_tar(path):
        return False
    if suffix == ".txt":
        return True
    raise DataError(f"{path.name} is neither an archive nor a table.", WHAT_TO_GIVE)


def display_name(path: Path) -> str:
    """Return what a person calls a source: the name of a folder, or of a file without its suffixes."""
    if path.is_dir():
        return path.name
    inner = PurePosixPath(path.stem)
    packed = inner.suffix.lower() == ".tar" or (path.suffix.lower() == ".gz" and has_table_name(inner.name))
    return (inner.stem if packed else path.stem) or path.name
