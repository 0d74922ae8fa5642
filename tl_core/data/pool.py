"""Items without labels: a pool that a backbone can get used to, or that its features are drawn towards."""

from tl_core.data.dataset import Dataset
from tl_core.data.images import IMAGE_SUFFIXES
from tl_core.data.options import FIND_ALL, Progress, RawItem, silent
from tl_core.data.sources import SAMPLE_PREFIX, import_data, is_table, only_table, source_path
from tl_core.data.sources.archive import open_tree, read_bytes, read_whole, without_enclosing
from tl_core.data.sources.folders import TEXT_SUFFIXES
from tl_core.data.sources.grid import Grid, read_grid
from tl_core.data.sources.store import Draft, store
from tl_core.data.sources.table import find_text_column
from tl_core.errors import DataError
from tl_core.types import Modality
from tl_core.workspace import Workspace

NO_LABEL = "no label"
"""The one class of a pool; nothing reads it."""


def import_pool(source: str, modality: Modality, workspace: Workspace, progress: Progress = silent) -> Dataset:
    """Import `sample:NAME`, a zip, a folder or a table without reading labels, as a data set of one class.

    Every picture or text file counts wherever it lies; of a table, each text of the column that most looks like
    texts. Raises DataError where there is nothing of the modality.
    """
    if source.startswith(SAMPLE_PREFIX):
        return import_data(source, workspace, progress=progress)
    path = source_path(source)
    draft = Draft(path.stem or path.name, path.name, modality)
    if is_table(path):
        items = _of_table(read_grid(read_bytes(path), path.name, FIND_ALL), draft)
        return store(items, draft, workspace, progress)
    with open_tree(path, workspace.limits, workspace.folder("cache"), progress) as tree:
        draft.lines += tree.lines
        if modality == "text" and (table := only_table(tree)):
            items = _of_table(read_grid(read_whole(table), table.name, FIND_ALL), draft)
        else:
            suffixes = IMAGE_SUFFIXES if modality == "image" else TEXT_SUFFIXES
            entries = without_enclosing(tree, tree.entries, depth=1)
            items = [RawItem(each.name, NO_LABEL, read=each.read) for each in entries if each.suffix in suffixes]
        if not items:
            noun = "picture" if modality == "image" else "text"
            raise DataError(f"There is no {noun} in {path.name}.", f"Give a folder, a zip or a table of {noun}s.")
        return store(items, draft, workspace, progress)


def _of_table(grid: Grid, draft: Draft) -> list[RawItem]:
    draft.text_column = column = find_text_column(grid) or ""
    if draft.modality == "image" or not column:
        raise DataError(f"No column of {draft.source} holds {draft.modality}s.", "Give a folder or a zip of them.")
    rows = zip(grid.numbers, grid.column(column), strict=True)
    return [RawItem(f"row {number}", NO_LABEL, text=text) for number, text in rows]
