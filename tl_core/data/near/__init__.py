"""Near-duplicates: items so alike that one in train and one in test would be no test.

Pictures count that were saved again, resized or slightly brightened, and texts that differ in case, spaces and
punctuation, or in a few of many words. Pictures with texts are near-duplicates where their pictures are, or where
their texts are and have at least DISTINCT words.
"""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from tl_core.data.groups import components, number_groups
from tl_core.data.options import OnProgress, no_progress
from tl_core.errors import WorkspaceError
from tl_core.types import PARTS, Modality
from tl_core.workspace import write_bytes

DISTINCT = 10
"""Words from which the text of a picture ties it to another: names and short captions are often those of several."""
VERSION = 1
"""Counts up when the method changes, so that groups which an older version stored are found again."""


def near_groups(
    items: pd.DataFrame, folder: Path, modality: Modality, stored: Path, progress: OnProgress = no_progress
) -> np.ndarray:
    """Return the group of near-duplicates of each row of a manifest, int64 `[N]`; -1 where a row has none.

    Exact copies share a group. Groups are transitive: where A is near B and B is near C, all three are one group.
    The result is read from the file `stored` where it is there, and written to it otherwise; `folder` holds the
    pictures. Older manifests have no perceptual hashes: then the pictures are read again.
    """
    with suppress(OSError, ValueError):
        groups = np.load(stored)
        if groups.shape == (len(items),):
            return groups
    groups = find_near_groups(items, folder, modality, progress)
    buffer = io.BytesIO()
    np.save(buffer, groups)
    with suppress(WorkspaceError):  # a full disk only means that the groups are found again next time
        write_bytes(stored, buffer.getvalue())
    return groups


def near_groups_file(folder: Path, fingerprint: str) -> Path:
    """Return the file that the groups of a data set are stored in."""
    return folder / f"near-{VERSION}-{fingerprint}.npy"


def find_near_groups(
    items: pd.DataFrame, folder: Path, modality: Modality, progress: OnProgress = no_progress
) -> np.ndarray:
    """Find the groups of near-duplicates anew, int64 `[N]`, as `near_groups` returns them."""
    from tl_core.data.near.picture_pairs import near_pictures
    from tl_core.data.near.text_pairs import near_texts

    copy_of = pd.factorize(items["digest"])[0]
    first = np.unique(copy_of, return_index=True)[1]
    edges = [np.empty((0, 2), dtype=np.int64)]
    if "image" in PARTS[modality]:
        column = items["perceptual_hash"].fillna("") if "perceptual_hash" in items else None
        hashes = None if column is None else column.to_numpy(dtype=object)[first]
        paths = items["path"].iloc[first]
        edges.append(near_pictures([folder / path for path in paths], hashes, progress))
        same = np.unique(pd.factorize(paths)[0], return_index=True, return_inverse=True)
        edges.append(np.stack([same[1][same[2]], np.arange(len(first))], axis=1))  # one picture with several texts
    if "text" in PARTS[modality]:
        texts = items["text"].to_numpy(dtype=object)[first]
        long = [modality == "text" or len(text.split()) >= DISTINCT for text in texts]
        rows = np.flatnonzero(np.array(long, dtype=bool))
        edges.append(rows[near_texts(texts[rows], progress)])
    return number_groups(components(len(first), np.concatenate(edges))[copy_of])
