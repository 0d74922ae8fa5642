"""Unlabelled data: to be sorted by zero-shot, for adapting a backbone to a domain, or for aligning its features."""

from collections.abc import Iterator

from tl_core.data.dataset import Dataset
from tl_core.data.images import IMAGE_SUFFIXES
from tl_core.data.options import AUTO_DETECT, ImportOptions, OnProgress, RawItem, no_progress
from tl_core.data.sources import SAMPLE_PREFIX, import_data
from tl_core.data.sources.file_tree import without_enclosing
from tl_core.data.sources.folder_source import TEXT_SUFFIXES, modality_of, only_table, open_tree
from tl_core.data.sources.hub_source import is_hub
from tl_core.data.sources.local_files import display_name, is_table, source_path
from tl_core.data.sources.store import Draft, store
from tl_core.data.sources.tables import TableFile, file_table, open_table, take_sample
from tl_core.data.sources.tables.text_guess import guess_text_column
from tl_core.errors import DataError
from tl_core.types import Modality
from tl_core.workspace import Workspace

NO_LABEL = "no label"
"""The single class of unlabelled data. Nothing reads it."""


def is_unlabelled(dataset: Dataset) -> bool:
    """Return whether a data set was imported without labels."""
    return tuple(dataset.classes) == (NO_LABEL,)


def import_unlabelled(
    source: str,
    modality: Modality | None,
    workspace: Workspace,
    progress: OnProgress = no_progress,
    options: ImportOptions = AUTO_DETECT,
) -> Dataset:
    """Import an archive, a folder or a table without labels, as a data set of one class.

    Every picture or text file counts, in any folder; of a table, the text column is read, guessed if `options` name
    none. Samples and hub data sets are imported with their labels. With `modality` None, pictures are read where there
    are more pictures than texts.
    Raises DataError where there is nothing of the modality.
    """
    if modality == "multimodal":
        raise DataError(
            "Items without labels can be pictures or texts, but not pictures with texts.",
            "Give the pictures or the texts alone.",
        )
    if source.startswith(SAMPLE_PREFIX) or is_hub(source):
        return import_data(source, workspace, progress=progress)
    path = source_path(source)
    draft = Draft(display_name(path), path.name, modality or "text")
    if is_table(path):
        return store(_table_texts(file_table(path, workspace.limits), options, draft), draft, workspace, progress)
    with open_tree(path, workspace.limits, workspace.folder("cache"), progress) as tree:
        draft.lines += tree.lines
        modality = draft.modality = modality or modality_of(tree) or "text"
        if modality == "text" and (table := only_table(tree, workspace.limits)):
            return store(_table_texts(table, options, draft), draft, workspace, progress)
        suffixes = IMAGE_SUFFIXES if modality == "image" else TEXT_SUFFIXES
        entries = without_enclosing(tree, tree.entries, depth=1)
        items = [RawItem(entry.name, NO_LABEL, read=entry.read) for entry in entries if entry.suffix in suffixes]
        noun = "picture" if modality == "image" else "text"
        for entry in entries:
            if entry.suffix not in suffixes:
                draft.skip(entry.name, f"not a {noun} that can be read")
        if not items:
            raise DataError(f"There is no {noun} in {path.name}.", f"Give a folder, a zip or a table of {noun}s.")
        return store(items, draft, workspace, progress)


def _table_texts(file: TableFile, options: ImportOptions, draft: Draft) -> Iterator[RawItem]:
    table = open_table(file, options)
    draft.text_column = column = options.text_column or guess_text_column(take_sample(table))
    if "image" in draft.parts or not column:
        raise DataError(f"No column of {draft.source} holds {draft.modality}s.", "Give a folder or a zip of them.")
    place = table.place(column)
    for number, cells in table.records():
        if isinstance(cells, str):
            draft.skip(table.row(number), cells)
            continue
        yield RawItem(table.row(number), NO_LABEL, text=cells[place])
