"""A data set whose test items come from a second source."""

from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches
from math import nan

import pandas as pd
from pyarrow.parquet import ParquetFile

from tl_core.data.dataset import Dataset, Origin
from tl_core.data.options import AUTO_DETECT, ImportOptions, OnProgress, RawItem, no_progress
from tl_core.data.sources import import_data
from tl_core.data.sources.store import Draft, store
from tl_core.errors import DataError
from tl_core.types import noun
from tl_core.workspace import Workspace

_BATCH_ROWS = 10_000  # of a manifest, in memory at a time


def import_with_test(
    source: str,
    test: str,
    workspace: Workspace,
    options: ImportOptions = AUTO_DETECT,
    progress: OnProgress = no_progress,
) -> Dataset:
    """Import two sources as one data set: `test` gives the test items, `source` all others.

    Train and validation splits that `source` names are kept. A test item is skipped if `source` lacks its label, or
    contains the same item.
    Raises DataError where one of the two cannot be read, they do not match, `source` names test items of its own, or no
    test item is left.
    """
    main = import_data(source, workspace, options, progress)
    test_data = import_data(test, workspace, options, progress)
    given = set(_column(main, "given"))
    _check(main, test_data, given)
    draft = Draft(
        options.name or main.name,
        f"{main.receipt.source} and {test_data.receipt.source}",
        main.modality,
        list(main.receipt_lines()),
        main.text_column,
        main.subgroup_column or test_data.subgroup_column,
        main.path_column,
        [*(o for o in main.origins if o.what != "split"), Origin("split", f"the two sources: {test} is the test set")],
    )
    draft.lines += [replace(line, item=_test_name(line.item)) for line in test_data.receipt_lines()]
    items = _items(main, test_data, draft, "train" in given or "" in given)
    return store(items, draft, workspace, progress, main.receipt.taken + test_data.receipt.taken)


def _check(main: Dataset, test_data: Dataset, given: set[str]) -> None:
    one, other = main.receipt.source, test_data.receipt.source
    here, there = noun(main.modality), noun(test_data.modality)
    if main.modality != test_data.modality:
        raise DataError(
            f"{one} holds {here} and {other} holds {there}, so one cannot test the other.",
            "Give test items of the same kind.",
        )
    if main.multilabel != test_data.multilabel:
        many, few = (one, other) if main.multilabel else (other, one)
        raise DataError(
            f"The items of {many} may have several labels, but those of {few} have one each.",
            "Write the labels of both the same way.",
        )
    if "test" in given:
        raise DataError(f"{one} names test items of its own.", "Leave out one of the two test sets.")
    if not set(main.classes) & set(test_data.classes):
        raise DataError(
            f"{other} has none of the labels of {one}: {one} has {_first_classes(main)}, "
            f"and {other} has {_first_classes(test_data)}.",
            "Check which column holds the labels, and how they are written.",
        )


def _items(main: Dataset, test_data: Dataset, draft: Draft, has_train: bool) -> Iterator[RawItem]:
    """Yield the items of both. Where the main source names no train items (`has_train`), all of its items are."""
    tests, copies = set(_column(test_data, "digest")), set()
    for item, digest in _raw(main):
        if digest in tests:
            copies.add(digest)
        yield replace(item, given=(item.given if has_train else "") or "train")
    n_tests = 0
    for item, digest in _raw(test_data):
        name = _test_name(item.id)
        unknown = set(item.labels or (item.label,)) - set(main.classes) - {""}
        if unknown:
            draft.skip(name, _unknown_label(min(unknown), main))
        elif digest in copies:
            draft.skip(name, f"it is in {main.receipt.source} too, so it is learned from and cannot test")
        else:
            n_tests += 1
            yield replace(item, id=name, given="test")
    if not n_tests:
        raise DataError(
            f"No item of {test_data.receipt.source} can test: each is in {main.receipt.source} too, or has a label "
            "that is not there.",
            "Give items that are not learned from, with the same labels.",
        )


def _raw(dataset: Dataset) -> Iterator[tuple[RawItem, str]]:
    """Yield the items of a data set as raw items, each with its digest. Pictures are the stored copies."""
    names = dataset.classes
    for batch in ParquetFile(dataset.folder / "manifest.parquet").iter_batches(_BATCH_ROWS):
        for row in batch.to_pylist():
            time = row.get("time")
            item = RawItem(
                row["id"],
                "" if dataset.multilabel else names[row["label"]],
                *(row["given"], row["group"], row["text"]),
                (dataset.folder / row["path"]).read_bytes if "image" in dataset.parts else None,
                tuple(names[k] for k in row["labels"]) if dataset.multilabel else None,
                *(row.get("subgroup") or "", nan if time is None else time),
            )
            yield item, row["digest"]


def _column(dataset: Dataset, name: str) -> pd.Series:
    return pd.read_parquet(dataset.folder / "manifest.parquet", columns=[name])[name]


def _unknown_label(label: str, main: Dataset) -> str:
    plain = {name.casefold(): name for name in main.classes}
    near = get_close_matches(label.casefold(), plain, n=1)
    suggestion = f"; perhaps {plain[near[0]]!r} is meant" if near else ""
    return f"its label {label!r} does not occur in {main.receipt.source}{suggestion}"


def _test_name(item: str) -> str:
    return f"test: {item}"


def _first_classes(dataset: Dataset) -> str:
    return ", ".join(repr(name) for name in dataset.classes[:3]) + (", ..." if len(dataset.classes) > 3 else "")
