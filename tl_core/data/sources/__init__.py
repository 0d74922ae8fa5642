"""Where data comes from. A source turns what a person gives into RawItems, and the store makes a data set of them.

    sample_source   `sample:digits`, a data set that comes with Graft
    guesses_source  `guesses:...`, items that zero-shot sorted and a person answered about
    hub_source      `hub:owner/name`, a data set of the Hugging Face hub; hub_columns guesses its columns
    table_source    a table in a file of its own; table_items makes items of its rows
    folder_source   a folder, zip or tar archive with class folders, one table, or a table that lists pictures
    folder_layout   what folders mean: splits, classes, items that belong together
    image_listing   which table of a source lists pictures; picture_names finds the picture that a cell names

Each `*_source` module says in one Source what it takes, how it is previewed and how it is imported. To add a source,
write such a module and put its Source into SOURCES below. Guesses live in tables/column_guesses and label_guess,
hub_columns, folder_layout and split_names; what is not clear raises UnclearError and is asked. Shared parts: file_tree,
zip_archive and tar_archive (files), tables/ (formats), store and manifest (writing a data set).
"""

from contextlib import suppress
from pathlib import Path, PurePosixPath

from tl_core.data.dataset import Dataset
from tl_core.data.images import DEFAULT_LIMITS
from tl_core.data.options import AUTO_DETECT, ImportOptions, OnProgress, no_progress
from tl_core.data.samples import SAMPLES, Sample
from tl_core.data.sources.folder_source import FOLDER
from tl_core.data.sources.guesses_source import GUESSES, GUESSES_PREFIX, ONLY_CHECKED
from tl_core.data.sources.hub_source import HUB
from tl_core.data.sources.sample_source import SAMPLE, SAMPLE_PREFIX
from tl_core.data.sources.source import Source
from tl_core.data.sources.table_preview import FolderPreview, Preview, TablePreview
from tl_core.data.sources.table_source import TABLE
from tl_core.errors import DataError
from tl_core.workspace import Limits, Workspace

__all__ = [
    "GUESSES_PREFIX",
    "ONLY_CHECKED",
    "SAMPLES",
    "SAMPLE_PREFIX",
    "SOURCES",
    "FolderPreview",
    "ImportOptions",
    "Preview",
    "Sample",
    "Source",
    "TablePreview",
    "find_source",
    "import_data",
    "list_datasets",
    "open_dataset",
    "preview_source",
    "preview_table",
]

SOURCES = (SAMPLE, GUESSES, HUB, TABLE, FOLDER)
"""All sources; the first that takes a string is the one that reads it."""


def find_source(source: str) -> Source:
    """Return the source that reads what a person gave. Raises DataError where none can."""
    return next(candidate for candidate in SOURCES if candidate.takes(source))


def import_data(
    source: str, workspace: Workspace, options: ImportOptions = AUTO_DETECT, progress: OnProgress = no_progress
) -> Dataset:
    """Import `sample:NAME`, `hub:OWNER/NAME`, an archive, a folder or a table into the workspace.

    Importing the same content again returns the same data set, under the newer name.
    Raises DataError where the source is none of these or holds nothing usable.
    """
    return find_source(source).load(source, workspace, options, progress)


def preview_source(
    path: Path | str, options: ImportOptions = AUTO_DETECT, limits: Limits = DEFAULT_LIMITS
) -> Preview | None:
    """Return the first rows of a source and the columns that would be read, or the ways to read its folders.

    None where there is nothing to choose. A data set of the hub is shown as a table. An archive or folder counts as one
    where it holds one table, one table per split, or a table that lists its pictures.
    Raises DataError where it cannot be read.
    """
    return find_source(str(path)).preview(str(path), options, limits)


def preview_table(
    path: Path | str, options: ImportOptions = AUTO_DETECT, limits: Limits = DEFAULT_LIMITS
) -> TablePreview | None:
    """Return the preview of a source that is a table; None for other sources. Raises DataError as `preview_source`."""
    preview = preview_source(path, options, limits)
    return preview if isinstance(preview, TablePreview) else None


def list_datasets(workspace: Workspace) -> list[Dataset]:
    """Return every data set of the workspace that can be read, the latest import first."""
    folders = [f for f in workspace.folder("datasets").iterdir() if not f.name.startswith(".")]
    files = [f / "dataset.json" for f in folders if (f / "dataset.json").is_file()]
    datasets = []
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        with suppress(DataError):  # damaged
            datasets.append(Dataset.open(file.parent))
    return datasets


def open_dataset(workspace: Workspace, fingerprint: str) -> Dataset:
    """Return one data set of the workspace. Raises DataError where it is not there, or damaged."""
    folder = workspace.folder("datasets") / PurePosixPath(fingerprint).name
    if not fingerprint or not (folder / "dataset.json").is_file():
        raise DataError(f"The data set {fingerprint!r} is not in this workspace.", "Import it again.")
    return Dataset.open(folder)
