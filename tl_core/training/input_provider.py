"""Finds the cheapest inputs for a phase: frozen stages run once, or not at all where the store has their output."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakSet

import numpy as np
import torch

from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.features import FeatureStore
from tl_core.plan import TransferPlan
from tl_core.training.activation_cache import CacheBudget
from tl_core.training.augment import Policy, augmentation, view
from tl_core.training.inputs import CachedInputs, PooledInputs, PreparedInputs, StagedInputs, batches, cache_prefix
from tl_core.training.item_index import ItemIndex
from tl_core.training.model import TransferModel
from tl_core.types import WorkDone


class InputProvider:
    """Inputs for the phases of one run.

    The feature store serves the pretrained backbone as it was built. Once a phase has changed the backbone, or where
    it was random from the start, the model computes the same features. Frozen stages always run in batches of the
    plan's batch size, so that a resumed run computes the same bits.
    """

    def __init__(
        self, dataset: Dataset, spec: BackboneSpec, plan: TransferPlan, store: FeatureStore, items: ItemIndex, seed: int
    ) -> None:
        """Let `seed` decide how pictures vary. Raises PlanError where the plan varies items that are not pictures."""
        self._dataset, self._spec, self._plan, self._store = dataset, spec, plan, store
        self._items = items
        self._cached: CachedInputs | None = None
        self._caches: WeakSet[CachedInputs] = WeakSet()  # a phase may still read one that was replaced
        self._vary: Policy | None = None
        self._stored = plan.init == "pretrained"
        """Whether the backbone is still the one whose features the store has."""
        self._built: tuple[int, np.ndarray] | None = None
        """The stage and the rows of the cached activations; after a resume, of those cached before it."""
        self._augment(seed)

    def _augment(self, seed: int) -> None:
        """Vary training pictures as the plan asks: fixed views join the item index, else each step varies them."""
        vary = augmentation(self._plan, self._spec)
        if vary is not None and self._plan.augment.views:
            self._items.add_views(self._plan.augment.views, view(vary), seed)
        else:
            self._vary = vary

    def changed(self, start: int) -> None:
        """Note that a phase has trained the backbone stages from `start` on; drop what was cached above them."""
        self._stored = False
        if self._built is not None and start < self._built[0]:
            self._cached = self._built = None

    def state(self) -> dict[str, torch.Tensor]:
        """Return what a checkpoint keeps as tensors: the rows of the cached activations."""
        return {} if self._built is None else {"rows": torch.from_numpy(self._built[1])}

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint keeps as JSON."""
        return {"features_stored": self._stored, "cached_stage": self._built[0] if self._built else None}

    def load(self, facts: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> None:
        """Take back what `facts` and `state` returned; the activations themselves are computed again when read."""
        self._stored = facts["features_stored"]
        if "rows" in state:
            self._built = facts["cached_stage"], state["rows"].numpy()

    def close(self) -> None:
        """Give back memory and disk of all cached activations. Nothing can be read from them afterwards."""
        for cache in list(self._caches):
            cache.close()
        self._cached = None

    def pooled(self, model: TransferModel, rows: np.ndarray) -> Generator[WorkDone, None, PooledInputs]:
        """Return pooled features of rows of the data set; the backbone runs where the store lacks them."""
        if self._stored:
            for done, total in self._store.probe(self._dataset, self._spec):
                yield "features", done, total
            features = self._store.features(self._dataset, self._spec, self._plan.head.tap, self._plan.head.pool)
            features_ND = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32)).to(model.device)
            return PooledInputs(features_ND, self._items.whole)
        features_ND = torch.zeros(self._items.main, len(model.head.mean), device=model.device)
        for done in _pool(model, self.prepared(0), rows, self._plan.batch_size, features_ND):
            yield "features", done, len(rows)
        return PooledInputs(features_ND, self._items.whole)

    def staged(
        self, model: TransferModel, start: int, rows: np.ndarray, budget: CacheBudget
    ) -> Generator[WorkDone, None, StagedInputs]:
        """Return inputs at stage `start`: cached activations where they fit the budget, else prepared items."""
        prepared = self.prepared(start)
        prepared.vary = self._vary
        if start == 0 or budget.memory == 0 or self._vary is not None:
            return prepared
        if self._cached is None or self._cached.start != start or not self._cached.holds(rows):
            rows = self._rows_to_cache(start, rows)
            self._cached = self._built = None
            budget = replace(budget, disk=budget.disk - sum(cache.on_disk for cache in self._caches))
            for done, cached in cache_prefix(model, prepared, rows, self._plan.batch_size, budget):
                if cached is not None:
                    self._caches.add(cached)
                self._cached = cached if done == len(rows) else None
                yield "frozen layers", done, len(rows)
            self._built = None if self._cached is None else (start, rows)
        return self._cached or prepared

    def _rows_to_cache(self, start: int, rows: np.ndarray) -> np.ndarray:
        """Return the rows to cache; a resumed run takes those of before, so that batches and bits are the same."""
        if self._cached is None and self._built is not None and self._built[0] == start:
            return self._built[1] if np.isin(rows, self._built[1]).all() else rows
        return rows

    def prepared(self, start: int) -> PreparedInputs:
        """Return inputs that run all stages below `start` every time."""
        return PreparedInputs(self._items, self._items.lengths, self._items.preprocessor, start)


@torch.no_grad()
def _pool(
    model: TransferModel, prepared: PreparedInputs, rows: np.ndarray, batch_size: int, out_ND: torch.Tensor
) -> Iterator[int]:
    """Fill `out_ND` with the pooled features of `rows`; yield the items done."""
    done = 0
    for rows_B in batches(rows, batch_size, prepared.lengths):
        out_ND[torch.from_numpy(rows_B)] = prepared.features(model, rows_B)
        done += len(rows_B)
        yield done
