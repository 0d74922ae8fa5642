"""Where data comes from: a zip, a folder, a table or a ready sample becomes a data set of the workspace."""

import zipfile
from pathlib import Path, PurePosixPath

from tl_core.data.dataset import Dataset
from tl_core.data.images import DEFAULT_LIMITS
from tl_core.data.options import AUTO_DETECT, ImportOptions, OnProgress, no_progress
from tl_core.data.samples import SAMPLES, Sample
from tl_core.data.sources.archive import Tree, open_tree, strip_enclosing
from tl_core.data.sources.file_tree import ARCHIVE_SUFFIXES
from tl_core.data.sources.folders import TEXT_SUFFIXES, class_folders, modality_of
from tl_core.data.sources.hub_source import import_hub, is_hub, preview_hub
from tl_core.data.sources.image_listing import listing_beside, listing_of
from tl_core.data.sources.kinds import plain_name, table_name
from tl_core.data.sources.store import Draft, store
from tl_core.data.sources.table_source import TablePreview, preview_file, table_items
from tl_core.data.sources.tables import TableFile, best_tables, entry_table, file_table, split_tables
from tl_core.data.sources.tar_archive import is_tar
from tl_core.errors import DataError
from tl_core.workspace import Limits, Workspace

__all__ = [
    "SAMPLES",
    "ImportOptions",
    "Sample",
    "TablePreview",
    "import_data",
    "list_datasets",
    "open_dataset",
    "preview_table",
]

SAMPLE_PREFIX = "sample:"
_OTHER = {
    **dict.fromkeys((".xls", ".ods", ".numbers"), "is a spreadsheet of another kind; save it as XLSX or CSV"),
    **dict.fromkeys((".7z", ".rar", ".zst"), "is an archive of another kind than zip and tar"),
    **dict.fromkeys((".pdf", ".doc", ".docx", ".odt"), "is a document, not a collection of examples"),
    **dict.fromkeys((".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp"), "is a single picture"),
}
_WHAT = (
    "Give a zip, a tar archive or a folder with one folder per class, or a table (CSV, JSON lines, Parquet, "
    "XLSX) with a text and a label column."
)


def import_data(
    source: str, workspace: Workspace, options: ImportOptions = AUTO_DETECT, progress: OnProgress = no_progress
) -> Dataset:
    """Import `sample:NAME`, `hub:OWNER/NAME`, an archive, a folder or a table; return it as it lies in the workspace.

    The same content is imported once; importing it again returns the same data set under the newer name.
    Raises DataError with one clear sentence where the source is none of these or holds nothing usable.
    """
    if source.startswith(SAMPLE_PREFIX):
        sample = SAMPLES[source.removeprefix(SAMPLE_PREFIX)]
        draft = Draft(options.name or sample.name, source, sample.modality)
        return store(sample.items(), draft, workspace, progress)
    if is_hub(source):
        return import_hub(source, workspace, options, progress)
    path = source_path(source)
    if is_table(path):
        file = file_table(path, workspace.limits)
        listing = listing_beside(file, path.parent, options)
        draft = _draft(path, "image" if listing else "text", options)
        if listing:
            items, total = listing.items(options, draft, progress)
        else:
            items, total = table_items(file, options, draft, progress=progress)
        return store(items, draft, workspace, progress, total)
    progress("Listing files", 0, 0)
    with open_tree(path, workspace.limits, workspace.folder("cache"), progress) as tree:
        table = only_table(tree, workspace.limits)
        if table:
            draft = _draft(path, "text", options)
            draft.lines += [line for line in tree.lines if line.item not in table.names]
            items, total = table_items(table, options, draft, progress=progress)
            return store(items, draft, workspace, progress, total)
        modality = modality_of(tree)
        if modality is None:
            raise _nothing(tree, path.name)
        draft = _draft(path, modality, options)
        if modality == "image" and (listing := listing_of(tree, options, workspace.limits)):
            listing.tell_others(tree)
            draft.lines += tree.lines
            items, total = listing.items(options, draft, progress)
            return store(items, draft, workspace, progress, total)
        files = class_folders(tree, modality, path.name)
        draft.lines += tree.lines
        return store(files, draft, workspace, progress)


def preview_table(
    path: Path | str, options: ImportOptions = AUTO_DETECT, limits: Limits = DEFAULT_LIMITS
) -> TablePreview | None:
    """Return the first rows of a table and how it would be read; None where the source holds no single table.

    A data set of the hub is shown likewise. An archive or folder that holds one table, one in a file for each split,
    or one that lists its pictures, counts as that table.
    Raises DataError where it cannot be read.
    """
    if str(path).startswith(SAMPLE_PREFIX):
        return None
    if is_hub(str(path)):
        return preview_hub(str(path), options, limits)
    path = source_path(str(path))
    if is_table(path):
        file = file_table(path, limits)
        listing = listing_beside(file, path.parent, options)
        return preview_file(file, options, listing.column if listing else "")
    with open_tree(path, limits) as tree:
        table = only_table(tree, limits)
        if table:
            return preview_file(table, options)
        found = listing_of(tree, options, limits) if modality_of(tree) == "image" else None
        return preview_file(found.file, options, found.column) if found else None


def list_datasets(workspace: Workspace) -> list[Dataset]:
    """Return every data set of the workspace, the latest import first."""
    folders = [f for f in workspace.folder("datasets").iterdir() if not f.name.startswith(".")]
    files = [f / "dataset.json" for f in folders if (f / "dataset.json").is_file()]
    return [Dataset.open(f.parent) for f in sorted(files, key=lambda f: f.stat().st_mtime, reverse=True)]


def open_dataset(workspace: Workspace, fingerprint: str) -> Dataset:
    """Return one data set of the workspace. Raises DataError where it is not there."""
    folder = workspace.folder("datasets") / PurePosixPath(fingerprint).name
    if not fingerprint or not (folder / "dataset.json").is_file():
        raise DataError(f"The data set {fingerprint!r} is not in this workspace.", "Import it again.")
    return Dataset.open(folder)


def source_path(source: str) -> Path:
    """Return the path of a source that a person named. Raises DataError where nothing can be read there."""
    try:
        path = Path(source.strip().strip("'\"")).expanduser()
        if not source.strip() or not path.exists():
            raise DataError(f"There is nothing at {source.strip() or 'an empty path'}.", "Check the path. " + _WHAT)
        path = path.resolve()
        if path.is_dir():
            next(path.iterdir(), None)
        elif not path.is_file():  # opening a pipe would wait for somebody to write
            raise DataError(f"{source.strip()} is neither a file nor a folder.", "Check the path. " + _WHAT)
        else:
            path.open("rb").close()
    except OSError as error:
        raise DataError(f"{source} cannot be opened ({error.strerror}).", "Check who may read it.") from error
    except (ValueError, RuntimeError) as error:  # a character that no path has, or the home of nobody
        raise DataError(f"{source!r} is not a path.", "Check the path. " + _WHAT) from error
    return path


def is_table(path: Path) -> bool:
    """Return whether a file is to be read as a table, False for a zip or a folder. Raises DataError for others."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return False
    if table_name(path.name):
        return True
    if suffix in _OTHER:
        raise DataError(f"{path.name} {_OTHER[suffix]}.", _WHAT)
    if suffix == ".zip" or zipfile.is_zipfile(path) or is_tar(path):
        return False
    if suffix == ".txt":
        return True
    raise DataError(f"{path.name} is neither an archive nor a table.", _WHAT)


def only_table(tree: Tree, limits: Limits) -> TableFile | None:
    """Return the one table of a tree without pictures or class folders of texts, None otherwise.

    A table for each split (train.csv, test.csv) counts as one.
    """
    tables = best_tables(tree.entries)
    texts = [e.name for e in tree.entries if e.suffix in TEXT_SUFFIXES]
    shared = strip_enclosing([*texts, *(e.name for e in tables)], 1)
    sorted_texts = any(name.count("/") > shared for name in texts)
    if sorted_texts or modality_of(tree) == "image":
        return None
    return entry_table(tables[0], limits) if len(tables) == 1 else split_tables(tree.entries, limits)


def _nothing(tree: Tree, source: str) -> DataError:
    """Return why a tree without pictures and texts is no data set: it holds several tables, or nothing to read."""
    tables = [e.name for e in best_tables(tree.entries)]
    if len(tables) > 1:
        named = ", ".join(tables[:3]) + (", ..." if len(tables) > 3 else "")
        hint = "Give one of them, or name them train, validation and test: tables of the same columns are then joined."
        return DataError(f"There are {len(tables):,} tables in {source} ({named}), and only one can be read.", hint)
    inner = next((e.name for e in tree.entries if e.suffix in ARCHIVE_SUFFIXES), "")
    if inner:
        return DataError(
            f"{source} holds another archive, {inner}, and nothing beside it that can be read.",
            f"Unpack {source}, and give {PurePosixPath(inner).name} itself.",
        )
    return DataError(f"There is nothing in {source} that can be read as pictures, texts or a table.", _WHAT)


def _draft(path: Path, modality: str, options: ImportOptions) -> Draft:
    return Draft(options.name or plain_name(path), path.name, "image" if modality == "image" else "text")
