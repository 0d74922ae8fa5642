"""Train, validation and test: stratified, seeded, with identical items kept together."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class SplitSpec:
    """How to split: fractions of the whole, a seed, and whether a split that the source names is honoured."""

    validation: float = 0.15
    test: float = 0.15
    seed: int = 0
    honour_given: bool = True


def assign(items: pd.DataFrame, spec: SplitSpec) -> np.ndarray:
    """Return the split name of each row `[N]`, a pure function of the manifest and the spec."""
    raise NotImplementedError
