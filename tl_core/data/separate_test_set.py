"""A data set whose test items come from a source of their own."""

from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches
from math import nan

import pandas as pd
from pyarrow.parquet import ParquetFile

from tl_core.data.dataset import Dataset
from tl_core.data.options import AUTO_DETECT, ImportOptions, OnProgress, RawItem, no_progress
from tl_core.data.sources import import_data
from tl_core.data.sources.store import Draft, store
from tl_core.errors import DataError
from tl_core.workspace import Workspace

_AT_ONCE = 10_000  # rows of a manifest in memory


def import_with_test(
    source: str,
    test: str,
    workspace: Workspace,
    options: ImportOptions = AUTO_DETECT,
    progress: OnProgress = no_progress,
) -> Dataset:
    """Import two sources as one data set: the items of `test` are its test items, those of `source` all the others.

    What `source` says of train and validation holds. A test item is skipped that has a label which `source` has not,
    or that is among the items of `source` itself.
    Raises DataError where one of them cannot be read, the two do not fit, `source` names test items of its own, or no
    test item is left.
    """
    learned = import_data(source, workspace, options, progress)
    asked = import_data(test, workspace, options, progress)
    given = set(_column(learned, "given"))
    _check(learned, asked, given)
    draft = Draft(
        options.name or learned.name,
        f"{learned.receipt.source} and {asked.receipt.source}",
        learned.modality,
        list(learned.receipt_lines()),
        learned.text_column,
        learned.subgroup_column or asked.subgroup_column,
    )
    draft.lines += [replace(line, item=_named(line.item)) for line in asked.receipt_lines()]
    items = _items(learned, asked, draft, "train" in given or "" in given)
    return store(items, draft, workspace, progress, learned.receipt.taken + asked.receipt.taken)


def _check(learned: Dataset, asked: Dataset, given: set[str]) -> None:
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
    if "test" in given:
        raise DataError(f"{one} names test items of its own.", "Leave one of the two test sets out.")
    if not set(learned.classes) & set(asked.classes):
        raise DataError(
            f"{other} has none of the labels of {one}: they are {_some(learned)} there and {_some(asked)} here.",
            "Check which column holds the labels, and how they are written.",
        )


def _items(learned: Dataset, asked: Dataset, draft: Draft, parted: bool) -> Iterator[RawItem]:
    """Yield the items of both; where `source` is not `parted`, so that no item is for train, all of its are."""
    tests, copies = set(_column(asked, "digest")), set()
    for item, digest in _raw(learned):
        if digest in tests:
            copies.add(digest)
        yield replace(item, given=(item.given if parted else "") or "train")
    left = 0
    for item, digest in _raw(asked):
        name = _named(item.id)
        strange = set(item.labels or (item.label,)) - set(learned.classes) - {""}
        if strange:
            draft.skip(name, _unknown(min(strange), learned))
        elif digest in copies:
            draft.skip(name, f"it is in {learned.receipt.source} too, so it is learned from and cannot test")
        else:
            left += 1
            yield replace(item, id=name, given="test")
    if not left:
        raise DataError(
            f"No item of {asked.receipt.source} can test: each is in {learned.receipt.source} too, or has a label "
            "that is not there.",
            "Give other items than those that are learned from, under the same labels.",
        )


def _raw(dataset: Dataset) -> Iterator[tuple[RawItem, str]]:
    """Yield the items of a data set as they came, pictures as they are stored, each with its digest."""
    names = dataset.classes
    for batch in ParquetFile(dataset.folder / "manifest.parquet").iter_batches(_AT_ONCE):
        for row in batch.to_pylist():
            time = row.get("time")
            item = RawItem(
                row["id"],
                "" if dataset.multilabel else names[row["label"]],
                *(row["given"], row["group"], row["text"]),
                (dataset.folder / row["path"]).read_bytes if dataset.modality == "image" else None,
                tuple(names[k] for k in row["labels"]) if dataset.multilabel else None,
                *(row.get("subgroup") or "", nan if time is None else time),
            )
            yield item, row["digest"]


def _column(dataset: Dataset, name: str) -> pd.Series:
    return pd.read_parquet(dataset.folder / "manifest.parquet", columns=[name])[name]


def _unknown(label: str, learned: Dataset) -> str:
    plain = {name.casefold(): name for name in learned.classes}
    near = get_close_matches(label.casefold(), plain, n=1)
    meant = f"; perhaps {plain[near[0]]!r} is meant" if near else ""
    return f"its label {label!r} does not occur in {learned.receipt.source}{meant}"


def _named(item: str) -> str:
    return f"test: {item}"


def _some(dataset: Dataset) -> str:
    return ", ".join(repr(name) for name in dataset.classes[:3]) + (", ..." if len(dataset.classes) > 3 else "")
