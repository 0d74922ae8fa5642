"""Near duplicates: items so alike that one in train and one in test would be no test.

Pictures that were saved again, sized again or slightly brightened; texts that differ in case, spaces and punctuation,
or in a few of many words.
"""

import io
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tl_core.data.groups import components, numbered
from tl_core.data.options import OnProgress, silent
from tl_core.errors import WorkspaceError
from tl_core.workspace import write_bytes

if TYPE_CHECKING:
    from tl_core.data.dataset import Dataset

VERSION = 1
"""Counts up when what is found changes, so that old groups are not taken for new ones."""


def near_groups(dataset: "Dataset", progress: OnProgress = silent) -> np.ndarray:
    """Return the group of near duplicates that each item is in, int64 `[N]`; -1: it is alone.

    Exact copies are in one group too. Alikeness is carried on: where A is near B and B near C, the three are one
    group. Found once and kept beside the manifest; pictures of data sets from before there were looks are read again.
    """
    path = near_path(dataset)
    with suppress(OSError, ValueError):
        known = np.load(path)
        if known.shape == (len(dataset.items),):
            return known
    found = find(dataset, progress)
    buffer = io.BytesIO()
    np.save(buffer, found)
    with suppress(WorkspaceError):  # a full disk costs the time again, no more
        write_bytes(path, buffer.getvalue())
    return found


def near_ties(dataset: "Dataset") -> tuple[np.ndarray, ...]:
    """Return what the split of a data set has to keep together because it is alike: arrays of group numbers `[N]`.

    Pictures that were imported before there were looks are not tied: their split would move with what is computed.
    """
    looked = dataset.modality == "text" or "look" in dataset.items
    return (near_groups(dataset),) if dataset.split.keep_near and looked else ()


def near_path(dataset: "Dataset") -> Path:
    """Return where the groups of a data set are kept."""
    return dataset.folder / f"near-{VERSION}-{dataset.fingerprint}.npy"


def find(dataset: "Dataset", progress: OnProgress = silent) -> np.ndarray:
    """Find the groups of near duplicates anew, int64 `[N]`."""
    from tl_core.data.near.pictures import near_pictures
    from tl_core.data.near.texts import near_texts

    items = dataset.items
    copy_of = pd.factorize(items["digest"])[0]
    first = np.unique(copy_of, return_index=True)[1]
    if dataset.modality == "text":
        edges = near_texts(items["text"].to_numpy(dtype=object)[first], progress)
    else:
        looks = items["look"].fillna("").to_numpy(dtype=object)[first] if "look" in items else None
        edges = near_pictures([dataset.folder / path for path in items["path"].iloc[first]], looks, progress)
    return numbered(components(len(first), edges)[copy_of])
