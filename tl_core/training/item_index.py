"""The item space of a run: its own items, then the source's, the target's, then fixed views, under one row number."""

from collections.abc import Callable, Sequence, Set

import numpy as np
import torch

from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.errors import DataError
from tl_core.features import FeatureStore
from tl_core.penalties import ItemSubset

Vary = Callable[[torch.Tensor, int], torch.Tensor]
"""Turns a prepared picture into a varied one; the number (a seed) alone decides how."""


class ItemIndex(Sequence[torch.Tensor]):
    """Prepared items by row. Row r + v * whole is view v of row r, for v in 1..views.

    `source` and `target` leave out what is also a validation or test item of the run: nothing may learn from those,
    nor from what a decision left out.
    """

    def __init__(
        self, main: Dataset, spec: BackboneSpec, store: FeatureStore, source: Dataset | None, target: Dataset | None
    ) -> None:
        """Raise DataError where nothing of the source or the target is left."""
        sets = [one for one in (main, source, target) if one is not None]
        self._parts = [store.prepared(one, spec) for one in sets]
        self._ends = np.cumsum([len(part) for part in self._parts])
        self.whole = int(self._ends[-1])
        """Items without their views."""
        self.main = len(self._parts[0])
        self.lengths: np.ndarray | None = None
        """Tokens of each item `[N]`; None for pictures."""
        if main.modality == "text":
            self.lengths = np.concatenate([[len(item) for item in part] for part in self._parts]).astype(np.int64)
        known = torch.tensor(main.truth)
        self.labels = torch.full((self.whole, *known.shape[1:]), -1, dtype=known.dtype)
        """Labels of the run's own items `[N]`, or their targets `[N, K]`; -1 elsewhere."""
        self.labels[: self.main] = known
        judges = set(main.items["digest"].to_numpy()[main.rows("validation", "test")])
        self.source = _side(source, self.main, judges, "source") if source is not None else None
        end = self.whole
        self.target = _side(target, end - len(target.items), judges, "target") if target is not None else None
        self.views = 0
        self._vary: Vary | None = None

    def add_views(self, views: int, vary: Vary, seed: int) -> None:
        """Add `views` fixed variations of every item; row number and `seed` alone decide them."""
        self.views, self._vary, self._seed = views, vary, seed

    def view(self, rows: np.ndarray, epoch: int) -> np.ndarray:
        """Return the rows to learn from in an epoch: the items themselves, or one of their views, in turn."""
        return rows + self.whole * (1 + epoch % self.views) if self.views else rows

    def seen(self, rows: np.ndarray) -> np.ndarray:
        """Return every row that learning from `rows` reads over the epochs."""
        views = [rows + self.whole * view for view in range(1, self.views + 1)]
        return np.concatenate(views) if views else rows

    def __len__(self) -> int:
        return self.whole * (1 + self.views)

    def __getitem__(self, row: int) -> torch.Tensor:  # type: ignore[override]
        view, item = divmod(int(row), self.whole)
        part = int(np.searchsorted(self._ends, item, side="right"))
        prepared = self._parts[part][item - int(self._ends[part] - len(self._parts[part]))]
        if view and self._vary is not None:
            return self._vary(prepared, self._seed * 1_000_003 + int(row))
        return prepared


def _side(dataset: Dataset, offset: int, judges: Set[str], what: str) -> ItemSubset:
    """Return the items of a second data set that judge nothing, at their places in the item space."""
    kept = np.flatnonzero(~dataset.items["digest"].isin(judges).to_numpy() & dataset.included)
    if not len(kept):
        raise DataError(
            f"Every item of the {what} {dataset.name!r} was left out, or is a validation or test item of the data.",
            f"Items of validation and test may only judge. Give other items as the {what}.",
        )
    return ItemSubset(kept + offset, torch.tensor(dataset.truth[kept]), tuple(dataset.classes))
