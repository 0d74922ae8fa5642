"""From embeddings to answers: the cosine of an item and a class, and what is computed from it.

Legend: N items, K classes, T templates, D dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_core.types import Finding

ALIKE = 0.1
"""Share of the distance (1 - cosine) of unrelated texts from which on two classes are hardly told apart."""
_NAMED = 3  # pairs of such classes that are named


@dataclass(frozen=True)
class Scale:
    """How cosines become scores.

    Without `bias`: softmax(factor * cosine) over the classes, so that the scores of an item add up to 1; 1 / `factor`
    is the temperature (CLIP, https://arxiv.org/abs/2103.00020, figure 3). With it: sigmoid(factor * cosine + bias), a
    yes or no for each class by itself (SigLIP, https://arxiv.org/abs/2303.15343, algorithm 1).
    """

    factor: float
    bias: float | None = None

    @property
    def words(self) -> str:
        """Return the rule in a few words."""
        if self.bias is None:
            return f"softmax over the cosines, temperature {1 / self.factor:.3g}"
        return f"sigmoid of {self.factor:.4g} times the cosine, {self.bias:+.4g}"


def unit(x_ND: np.ndarray) -> np.ndarray:
    """Return vectors `[..., D]` divided by their length; a vector of zeros stays as it is."""
    length = np.linalg.norm(x_ND, axis=-1, keepdims=True)
    return x_ND / np.where(length > 0, length, 1)


def class_vectors(prompts_TKD: np.ndarray) -> np.ndarray:
    """Return one vector for each class `[K, D]`: each template's of length 1, then their mean, of length 1 again."""
    return unit(unit(prompts_TKD).mean(axis=0))


def scores(items_ND: np.ndarray, classes_KD: np.ndarray, scale: Scale) -> np.ndarray:
    """Return the scores `[N, K]`, float32, each from 0 to 1."""
    logits = scale.factor * (unit(items_ND.astype(np.float64)) @ unit(classes_KD.astype(np.float64)).T)
    if scale.bias is not None:
        return (1 / (1 + np.exp(-(logits + scale.bias)))).astype(np.float32)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def alike_findings(names: Sequence[str], classes_KD: np.ndarray, spread: float) -> tuple[Finding, ...]:
    """Return a warning where a backbone takes two classes for nearly the same, the closest pairs named.

    `spread` is the distance (1 - cosine) of unrelated texts.
    """
    cosine = unit(classes_KD) @ unit(classes_KD).T
    first, second = np.triu_indices(len(names), 1)
    close = cosine[first, second]
    order = np.argsort(-close, kind="stable")[:_NAMED]
    pairs = [
        f"{names[first[i]]!r} and {names[second[i]]!r} ({close[i]:.2f})"
        for i in order
        if 1 - close[i] <= ALIKE * spread
    ]
    if not pairs:
        return ()
    message = f"The backbone hardly tells these class names apart (cosine): {', '.join(pairs)}."
    hint = "Name what sets them apart, or write them in a language that the backbone has learned."
    return (Finding("warn", "classes-alike", message, hint),)
