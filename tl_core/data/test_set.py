"""A data set whose test items come from a source of their own."""

from collections.abc import Iterator
from dataclasses import replace

from tl_core.data.dataset import Dataset
from tl_core.data.options import FIND_ALL, ImportOptions, Progress, RawItem, silent
from tl_core.data.sources import import_data
from tl_core.data.sources.store import Draft, store
from tl_core.errors import DataError
from tl_core.workspace import Workspace


def import_with_test(
    source: str, test: str, workspace: Workspace, options: ImportOptions = FIND_ALL, progress: Progress = silent
) -> Dataset:
    """Import two sources as one data set: the items of `test` are its test items, those of `source` all the others.

    What `source` says of train and validation holds. A test item under no label of `source` is skipped.
    Raises DataError where one of them cannot be read, the two do not fit, or `source` names test items of its own.
    """
    learned = import_data(source, workspace, options, progress)
    asked = import_data(test, workspace, options, progress)
    _check(learned, asked)
    draft = Draft(
        options.name or learned.name,
        f"{learned.receipt.source} and {asked.receipt.source}",
        learned.modality,
        list(learned.receipt_lines()),
        learned.text_column,
        learned.subgroup_column,
    )
    draft.lines += [replace(line, item=_named(line.item)) for line in asked.receipt_lines()]
    return store(_items(learned, asked, draft), draft, workspace, progress, len(learned.items) + len(asked.items))


def _check(learned: Dataset, asked: Dataset) -> None:
    one, other = learned.receipt.source, asked.receipt.source
    if learned.modality != asked.modality:
        raise DataError(
            f"{one} holds {learned.modality}s and {other} holds {asked.modality}s, so the one cannot test the other.",
            "Give test items of the same kind.",
        )
    if learned.multilabel != asked.multilabel:
        many, few = (one, other) if learned.multilabel else (other, one)
        raise DataError(
            f"The items of {many} may have several labels, and those of {few} have one each.",
            "Write the labels of both the same way.",
        )
    if (learned.items["given"] == "test").any():
        raise DataError(f"{one} names test items of its own.", "Leave one of the two test sets out.")
    if not set(learned.classes) & set(asked.classes):
        raise DataError(
            f"{other} has none of the labels of {one}: they are {_some(learned)} there and {_some(asked)} here.",
            "Check which column holds the labels, and how they are written.",
        )


def _items(learned: Dataset, asked: Dataset, draft: Draft) -> Iterator[RawItem]:
    for item in _raw(learned):
        yield replace(item, given=item.given or "train")
    for item in _raw(asked):
        name = _named(item.id)
        strange = set(item.labels or (item.label,)) - set(learned.classes) - {""}
        if strange:
            draft.skip(name, f"nothing to learn from has its label {min(strange)!r}")
        else:
            yield replace(item, id=name, given="test")


def _raw(dataset: Dataset) -> Iterator[RawItem]:
    """Yield the items of a data set as they came, pictures as they are stored."""
    names = dataset.classes
    for item in dataset.items.itertuples(index=False):
        yield RawItem(
            item.id,
            "" if dataset.multilabel else names[item.label],
            *(item.given, item.group, item.text),
            (dataset.folder / item.path).read_bytes if dataset.modality == "image" else None,
            tuple(names[k] for k in item.labels) if dataset.multilabel else None,
            *(item.subgroup, item.time),
        )


def _named(item: str) -> str:
    return f"test: {item}"


def _some(dataset: Dataset) -> str:
    return ", ".join(repr(name) for name in dataset.classes[:3]) + (", ..." if len(dataset.classes) > 3 else "")
