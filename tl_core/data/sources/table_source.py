"""A table in a file of its own: its rows are texts, or name pictures that lie in its folder or below it."""

from tl_core.data.dataset import Dataset
from tl_core.data.options import ImportOptions, OnProgress
from tl_core.data.sources.image_listing import listing_beside
from tl_core.data.sources.local_files import display_name, is_table, source_path
from tl_core.data.sources.source import Source
from tl_core.data.sources.store import Draft, store
from tl_core.data.sources.table_items import preview_file, table_items
from tl_core.data.sources.table_preview import TablePreview
from tl_core.data.sources.tables import file_table
from tl_core.workspace import Limits, Workspace


def _takes(source: str) -> bool:
    return is_table(source_path(source))


def _preview(source: str, options: ImportOptions, limits: Limits) -> TablePreview | None:
    path = source_path(source)
    file = file_table(path, limits)
    listing = listing_beside(file, path.parent, options)
    return preview_file(file, options, listing.column if listing else "")


def _load(source: str, workspace: Workspace, options: ImportOptions, progress: OnProgress) -> Dataset:
    path = source_path(source)
    file = file_table(path, workspace.limits)
    listing = listing_beside(file, path.parent, options)
    draft = Draft(options.name or display_name(path), path.name, "image" if listing else "text")
    if listing:
        items, total = listing.items(options, draft, progress)
    else:
        items, total = table_items(file, options, draft, progress=progress)
    return store(items, draft, workspace, progress, total)


TABLE = Source("a table", _takes, _preview, _load)
