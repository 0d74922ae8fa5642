"""What a phase reads: pooled features, activations at the frozen boundary, or prepared items, behind one shape."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from tl_core.backbones.preprocess import Preprocessor
from tl_core.backbones.staged import State
from tl_core.training.activation_cache import ActivationCache, CacheBudget, InMemory, keep, pad
from tl_core.training.model import TransferModel


@dataclass(frozen=True)
class Mix:
    """Mixup of one batch: x * share + x[order] * (1 - share)."""

    order: torch.Tensor
    share: float

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Mix values `[B, ...]`."""
        return values * self.share + values[self.order] * (1.0 - self.share)


class Inputs(Protocol):
    """Items by row of the item space, and what is left of the model to run on them."""

    lengths: np.ndarray | None
    """Tokens of each row `[N]`, where batches of similar length save padding."""

    def logits(self, model: TransferModel, rows: np.ndarray) -> torch.Tensor:
        """Return class scores `[B, K]` of the given rows as they are, running only what the phase may change."""
        ...

    def learn(
        self, model: TransferModel, rows: np.ndarray, mix: Mix | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return pooled features `[B, D]` and class scores `[B, K]` of the given rows, varied as a lesson is."""
        ...


class PooledInputs:
    """Pooled features `[N, D]` in memory: only the head runs. A view counts as its item, its row modulo `whole`."""

    def __init__(self, features: torch.Tensor, whole: int) -> None:
        self.features = features
        self._whole = whole
        self.lengths: np.ndarray | None = None
        self._standardised: torch.Tensor | None = None

    def settle(self, model: TransferModel) -> None:
        """Standardise once what every step would standardise again; the head's mean and deviation are final."""
        self._standardised = model.head.standardised(self.features)

    def logits(self, model: TransferModel, rows: np.ndarray) -> torch.Tensor:
        """Run the head."""
        assert self._standardised is not None
        return model.head.classify(self._standardised[torch.from_numpy(rows)])

    def learn(
        self, model: TransferModel, rows: np.ndarray, mix: Mix | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the head."""
        assert self._standardised is not None
        places = torch.from_numpy(rows % self._whole)
        standardised = self._standardised[places]
        return self.features[places], model.head.classify(mix(standardised) if mix else standardised)


class StagedInputs:
    """What reads a state at the input of stage `start` and runs the stages from there on."""

    start: int
    lengths: np.ndarray | None

    def state(self, model: TransferModel, rows: np.ndarray, vary: bool = False) -> State:
        """Return the state of the rows at the input of stage `start`."""
        raise NotImplementedError

    def logits(self, model: TransferModel, rows: np.ndarray) -> torch.Tensor:
        """Run the rest of the model."""
        return model(self.state(model, rows), self.start)

    def features(self, model: TransferModel, rows: np.ndarray) -> torch.Tensor:
        """Return pooled features `[B, D]` of the rows as they are."""
        return model.features(self.state(model, rows), self.start)

    def learn(
        self, model: TransferModel, rows: np.ndarray, mix: Mix | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the rest of the model; pictures are mixed where it begins, texts (ids, lengths) at its pooled end."""
        state = self.state(model, rows, vary=True)
        if mix is not None and len(state) == 1:
            state = (mix(state[0]),)
        pooled = model.features(state, self.start)
        if mix is not None and len(state) > 1:
            pooled = mix(pooled)
        return pooled, model.head(pooled)


class PreparedInputs(StagedInputs):
    """Prepared items: the stages before `start` are frozen and run without a gradient, then the rest."""

    def __init__(
        self, items: Sequence[torch.Tensor], lengths: np.ndarray | None, prepare: Preprocessor, start: int
    ) -> None:
        self.items, self.lengths, self.start = items, lengths, start
        self.vary: Callable[[torch.Tensor], torch.Tensor] | None = None
        """Turns a prepared picture into a varied one, by torch's own random numbers."""
        self._prepare = prepare

    def state(self, model: TransferModel, rows: np.ndarray, vary: bool = False) -> State:
        """Return the state of the rows at the input of stage `start`."""
        items = [self.items[int(row)] for row in rows]
        if vary and self.vary is not None:
            items = [self.vary(item) for item in items]
        state = self._prepare.collate(items, model.head.mean.device)
        if self.start:
            with torch.no_grad():
                state = model.backbone.run(state, 0, self.start)
        return state


class CachedInputs(StagedInputs):
    """Activations at the input of stage `start`, kept in memory or in a file; texts without their padding."""

    def __init__(self, start: int, lengths: np.ndarray | None, kept: ActivationCache) -> None:
        """`lengths` are the tokens of each row, None for pictures."""
        self.start, self.lengths = start, lengths
        self._kept: ActivationCache = kept

    @property
    def on_disk(self) -> int:
        """Bytes of disk that the activations take."""
        return self._kept.on_disk

    def close(self) -> None:
        """Give memory and disk back; nothing can be read any more."""
        self._kept = InMemory()

    def put(self, rows: np.ndarray, state: State) -> None:
        """Keep the state of a batch, without what texts were padded with."""
        for place, row in enumerate(rows):
            end = None if self.lengths is None else int(self.lengths[row])
            self._kept.put(int(row), tuple(tensor[place, :end] for tensor in state))

    def holds(self, rows: np.ndarray) -> bool:
        """Return whether every one of the rows is here."""
        return all(self._kept.get(int(row)) is not None for row in rows)

    def state(self, model: TransferModel, rows: np.ndarray, vary: bool = False) -> State:
        """Return the batch as it was, padded with zeros where the items differ in length. Every row must be here."""
        kept = [state for row in rows if (state := self._kept.get(int(row))) is not None]
        assert len(kept) == len(rows), "a row was asked for that nobody said would be read"
        return tuple(pad(tensors).to(model.head.mean.device) for tensors in zip(*kept, strict=True))


def batches(
    rows: np.ndarray, size: int, lengths: np.ndarray | None = None, shuffle: torch.Generator | None = None
) -> list[np.ndarray]:
    """Cut rows into batches of `size`, shuffled where a generator is given, texts beside texts of like length.

    No batch of one is left over where it can join another: batch statistics need two items.
    """
    order = rows if shuffle is None else rows[torch.randperm(len(rows), generator=shuffle).numpy()]
    if lengths is not None:
        # within a stretch of 16 batches the order stays random enough, and padding nearly vanishes
        stretch = size * 16 if shuffle is not None else max(len(order), 1)
        parts = [order[at : at + stretch] for at in range(0, len(order), stretch)]
        order = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in parts] or [order])
    cut = [order[at : at + size] for at in range(0, len(order), size)]
    if len(cut) > 1 and len(cut[-1]) == 1:
        cut[-2:] = [np.concatenate(cut[-2:])]
    if lengths is not None and shuffle is not None:
        cut = [cut[i] for i in torch.randperm(len(cut), generator=shuffle).tolist()]
    return cut


@torch.no_grad()
def cache_prefix(
    model: TransferModel, source: PreparedInputs, rows: np.ndarray, batch_size: int, room: CacheBudget
) -> Iterator[tuple[int, CachedInputs | None]]:
    """Run the frozen stages once over `rows`; yields (items done, cache), the cache None where there is no room.

    The model must be in evaluation mode up to `source.start`.
    """
    cache: CachedInputs | None = None
    done = 0
    for batch in reversed(batches(rows, batch_size, source.lengths)):  # the longest texts, and most memory, first
        state = source.state(model, batch)
        if cache is None:
            kept = keep(room, state, rows, source.lengths)
            if kept is None:
                yield done, None
                return
            cache = CachedInputs(source.start, source.lengths, kept)
        cache.put(batch, state)
        done += len(batch)
        yield done, cache
