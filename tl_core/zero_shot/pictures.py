"""Pictures in the space that a network for pictures and texts, such as CLIP, learned for both."""

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from tl_core.backbones.compat import default_device
from tl_core.backbones.prepared import unique_items
from tl_core.backbones.spec import BackboneSpec
from tl_core.backbones.towers import JointEmbedding
from tl_core.data.dataset import Dataset
from tl_core.data.guesses.sorting import guesses_folder
from tl_core.features import BATCH, FeatureStore
from tl_core.workspace import file_name, write_bytes


def embed_pictures(
    dataset: Dataset, spec: BackboneSpec, space: JointEmbedding, store: FeatureStore
) -> Iterator[tuple[int, int]]:
    """Embed every picture once and store the result; yields (done, total) pictures. Does nothing if it is stored.

    Raises DataError where a picture cannot be read.
    """
    file = _file(dataset, spec)
    if file.is_file():
        return
    items, device = store.prepared(dataset, spec), default_device()
    first, index = unique_items(dataset)
    space.net.to(device)
    embedded = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(first), BATCH):
            yield start, len(first)
            batch = list(pool.map(items.__getitem__, first[start : start + BATCH]))
            (maps,) = space.pictures.collate(batch, device)
            embedded.append(space.embed_pictures(maps).cpu().numpy())
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(embedded)[index])
    write_bytes(file, buffer.getvalue())
    yield len(first), len(first)


def picture_embeddings(dataset: Dataset, spec: BackboneSpec) -> np.ndarray:
    """Return the stored embeddings `[N, P]`."""
    stored: np.ndarray = np.load(_file(dataset, spec))
    return stored


def embed_texts(texts: list[str], space: JointEmbedding) -> np.ndarray:
    """Return the embeddings of texts `[M, P]`."""
    space.net.to(default_device())
    parts = [space.embed_texts(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
    return torch.cat(parts).cpu().numpy()


def _file(dataset: Dataset, spec: BackboneSpec) -> Path:
    return guesses_folder(dataset) / f"pictures-{file_name(spec.name)}.npy"
