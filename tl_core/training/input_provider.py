"""Finds the cheapest inputs for a phase: what is frozen runs once, or was run before and lies in the store."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from weakref import WeakSet

import numpy as np
import torch

from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.spec import BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.features import FeatureStore
from tl_core.plan import TransferPlan
from tl_core.training.activation_cache import CacheBudget
from tl_core.training.augment import Policy, augmentation, view
from tl_core.training.inputs import CachedInputs, PooledInputs, PreparedInputs, StagedInputs, batches, cache_prefix
from tl_core.training.item_index import ItemIndex
from tl_core.training.model import TransferModel

Stage = tuple[str, int, int]
"""What is being done, items done, items in all."""


class InputProvider:
    """Inputs for the phases of one run.

    The feature store serves the pretrained backbone as it was built. Once a phase has changed the backbone, or
    where it was random from the start, the same features come from the model at hand. Batches of frozen stages are
    cut by the plan's batch size, whatever else happens, so that a resumed run finds the same bits.
    """

    def __init__(
        self, dataset: Dataset, spec: BackboneSpec, plan: TransferPlan, store: FeatureStore, space: ItemIndex
    ) -> None:
        self._dataset, self._spec, self._plan, self._store = dataset, spec, plan, store
        self._space = space
        self._cached: CachedInputs | None = None
        self._caches: WeakSet[CachedInputs] = WeakSet()  # whoever learns may hold one that was replaced
        self._vary: Policy | None = None
        self.stored = plan.init == "pretrained"
        self.built: tuple[int, np.ndarray] | None = None
        """The stage and the rows of the activations that are cached, or were where the run was interrupted."""

    def augment(self, seed: int) -> None:
        """Vary training pictures as the plan asks: fixed views join the item space, else each step varies anew.

        Raises PlanError where the items are no pictures.
        """
        vary = augmentation(self._plan, self._spec)
        if vary is not None and self._plan.augment.views:
            self._space.add_views(self._plan.augment.views, view(vary), seed)
        else:
            self._vary = vary

    def changed(self, start: int) -> None:
        """Say that a phase has trained backbone stages from `start` on."""
        self.stored = False
        if self.built is not None and start < self.built[0]:
            self._cached = self.built = None

    def close(self) -> None:
        """Give back the memory and the disk that cached activations take; nothing can be read from them any more."""
        for cache in list(self._caches):
            cache.close()
        self._cached = None

    def pooled(self, model: TransferModel, rows: np.ndarray) -> Generator[Stage, None, PooledInputs]:
        """Return pooled features of the given rows of the data set; the backbone runs where the store lacks them."""
        device = model.head.mean.device
        if self.stored:
            for done, total in self._store.probe(self._dataset, self._spec):
                yield "features", done, total
            features = self._store.features(self._dataset, self._spec, self._plan.head.tap, self._plan.head.pool)
            kept = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32)).to(device)
            return PooledInputs(kept, self._space.whole)
        source = self.prepared(0)
        kept = torch.zeros(self._space.main, len(model.head.mean), device=device)
        for done in _pool(model, source, rows, self._plan.batch_size, kept):
            yield "features", done, len(rows)
        return PooledInputs(kept, self._space.whole)

    def staged(
        self, model: TransferModel, start: int, rows: np.ndarray, room: CacheBudget
    ) -> Generator[Stage, None, StagedInputs]:
        """Return inputs at stage `start`: cached activations where there is room, else items to prepare."""
        source = self.prepared(start)
        source.vary = self._vary
        if start == 0 or room.memory == 0 or self._vary is not None:
            return source
        if self._cached is None or self._cached.start != start or not self._cached.holds(rows):
            rows = self._as_built(start, rows)
            self._cached = self.built = None
            room = replace(room, disk=room.disk - sum(cache.on_disk for cache in self._caches))
            for done, cache in cache_prefix(model, source, rows, self._plan.batch_size, room):
                if cache is not None:
                    self._caches.add(cache)
                self._cached = cache if done == len(rows) else None
                yield "frozen layers", done, len(rows)
            self.built = None if self._cached is None else (start, rows)
        return self._cached or source

    def _as_built(self, start: int, rows: np.ndarray) -> np.ndarray:
        """Return the rows to cache: those of before an interruption, so that batches, and bits, are the same."""
        if self._cached is None and self.built is not None and self.built[0] == start:
            return self.built[1] if np.isin(rows, self.built[1]).all() else rows
        return rows

    def prepared(self, start: int) -> PreparedInputs:
        """Return inputs that run everything below stage `start` anew each time."""
        return PreparedInputs(self._space, self._space.lengths, preprocessor(self._spec), start)


@torch.no_grad()
def _pool(
    model: TransferModel, source: PreparedInputs, rows: np.ndarray, batch_size: int, out: torch.Tensor
) -> Iterator[int]:
    """Fill `out` `[N, D]` with the pooled features of `rows`; yields the items done."""
    done = 0
    for batch in batches(rows, batch_size, source.lengths):
        out[torch.from_numpy(batch)] = source.features(model, batch)
        done += len(batch)
        yield done
