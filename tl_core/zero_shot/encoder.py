"""Texts and the names of classes as vectors of one space, so that a cosine compares them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tl_core.backbones.spec import BackboneSpec
from tl_core.errors import BackboneError
from tl_core.zero_shot.scoring import Scale, class_vectors, unit

TEMPERATURE = 0.042
"""Of the softmax, as a share of the distance of unrelated texts; measured, see docs/LOG.md."""
UNRELATED = (
    *("The train to the coast leaves at nine.", "Her knee has hurt since the fall.", "The bank raised its rates."),
    *("Add two eggs and stir until smooth.", "A late goal decided the match.", "Whales breathe air as we do."),
    *("Please restart the computer after the update.", "He painted the bridge at dawn."),
)
"""Texts about different things. Backbones put them more or less far apart: MiniLM 0.95, multilingual E5 0.2."""
_LEAST_SPREAD = 1e-3  # of a backbone that takes all texts for the same
_TOKENS = 4096
"""Most tokens of a batch, padding included."""


def embed_texts(texts: Sequence[str], spec: BackboneSpec) -> np.ndarray:
    """Return the pooled output of the last layer for each text, float32 `[N, D]`.

    That is what the probe stores for the texts of a data set: of a sentence encoder the mean over its tokens.
    Raises BackboneError where the backbone is not on this machine, or reads no texts.
    """
    import torch

    from tl_core.backbones.compat import default_device
    from tl_core.backbones.preprocess import preprocessor

    if spec.load is None or spec.modality != "text":
        raise BackboneError(f"{spec.title} cannot read texts on this machine.", "Choose a text backbone that is ready.")
    device = default_device()
    network, prepare = spec.load(True).eval().to(device), preprocessor(spec)
    items = [prepare.prepare(text) for text in texts]
    longest_first = sorted(range(len(items)), key=lambda index: -len(items[index]))
    rows: list[np.ndarray] = [np.empty(0)] * len(items)
    start = 0
    with torch.inference_mode():
        while start < len(items):
            batch = longest_first[start : start + max(1, _TOKENS // len(items[longest_first[start]]))]
            state = network.run(prepare.collate([items[index] for index in batch], device))
            for index, row in zip(batch, network.pool(state)[0].cpu().numpy(), strict=True):
                rows[index] = row
            start += len(batch)
    return np.stack(rows).astype(np.float32)


@dataclass(frozen=True)
class EncodedClasses:
    """One vector of length 1 for each class `[K, D]`, and the distance (1 - cosine) that unrelated texts have."""

    vectors: np.ndarray
    spread: float

    @property
    def scale(self) -> Scale:
        """How cosines of texts with these vectors become scores."""
        return Scale(1 / (TEMPERATURE * self.spread))


def encode_classes(prompts: Sequence[Sequence[str]], embed: Callable[[list[str]], np.ndarray]) -> EncodedClasses:
    """Return the vectors of the classes, from the prompts of each template `[T][K]`; `embed` embeds texts `[M, D]`."""
    texts = [prompt for template in prompts for prompt in template]
    embedded = embed([*texts, *UNRELATED])
    others = unit(embedded[len(texts) :].astype(np.float64))
    cosines = (others @ others.T)[np.triu_indices(len(others), 1)]
    vectors = class_vectors(embedded[: len(texts)].reshape(len(prompts), -1, embedded.shape[1]))
    return EncodedClasses(vectors, max(_LEAST_SPREAD, 1 - float(cosines.mean())))
