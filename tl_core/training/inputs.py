"""What a phase reads: pooled features, cached activations at the frozen boundary, or prepared items.

All three offer the same two calls. B items, D pooled features, K classes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from tl_core.backbones.preprocess import Preprocessor
from tl_core.backbones.staged import State
from tl_core.training.activation_cache import ActivationCache, CacheBudget, InMemory, make_cache, pad
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
    """Items by row of the item index, and the part of the model that still has to run on them."""

    lengths: np.ndarray | None
    """Tokens of each row `[N]`, to batch texts of similar length and save padding; None for pictures and features."""

    def logits(self, model: TransferModel, rows_B: np.ndarray) -> torch.Tensor:
        """Return class scores `[B, K]` of rows, not varied; only what the phase may change runs."""
        ...

    def forward(
        self, model: TransferModel, rows_B: np.ndarray, mix: Mix | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return pooled features `[B, D]` and class scores `[B, K]` of rows, varied and mixed as training does."""
        ...


class PooledInputs:
    """Pooled features `[N, D]` in memory: only the head runs. A view is read as its item, row modulo `whole`."""

    def __init__(self, features: torch.Tensor, whole: int) -> None:
        self.features = features
        self._whole = whole
        self.lengths: np.ndarray | None = None
        self._standardised: torch.Tensor | None = None

    def standardise(self, model: TransferModel) -> None:
        """Standardise all features once; the head's mean and deviation must not change afterwards."""
        self._standardised = model.head.standardised(self.features)

    def logits(self, model: TransferModel, rows_B: np.ndarray) -> torch.Tensor:
        """Run the head."""
        assert self._standardised is not None
        return model.head.classify(self._standardised[torch.from_numpy(rows_B)])

    def forward(
        self, model: TransferModel, rows_B: np.ndarray, mix: Mix | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the head."""
        assert self._standardised is not None
        items_B = torch.from_numpy(rows_B % self._whole)
        standardised_BD = self._standardised[items_B]
        return self.features[items_B], model.head.classify(mix(standardised_BD) if mix else standardised_BD)


class StagedInputs:
    """Inputs that begin with a state at the input of stage `start`, and run the stages from there on."""

    start: int
    lengths: np.ndarray | None

    def state(self, model: TransferModel, rows_B: np.ndarray, vary: bool = False) -> State:
        """Return the state of rows at the input of stage `start`; `vary` augments pictures, if the plan asks for it."""
        raise NotImplementedError

    def logits(self, model: TransferModel, rows_B: np.ndarray) -> torch.Tensor:
        """Run the rest of the model."""
        return model(self.state(model, rows_B), self.start)

    def features(self, model: TransferModel, rows_B: np.ndarray) -> torch.Tensor:
        """Return pooled features `[B, D]` of rows, not varied."""
        return model.features(self.state(model, rows_B), self.start)

    def forward(
        self, model: TransferModel, rows_B: np.ndarray, mix: Mix | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the rest of the model; pictures are mixed at stage `start`, texts (ids and mask) after pooling."""
        state = self.state(model, rows_B, vary=True)
        if mix is not None and len(state) == 1:
            state = (mix(state[0]),)
        pooled_BD = model.features(state, self.start)
        if mix is not None and len(state) > 1:
            pooled_BD = mix(pooled_BD)
        return pooled_BD, model.head(pooled_BD)


class PreparedInputs(StagedInputs):
    """Prepared items. The stages before `start` are frozen and run without a gradient."""

    def __init__(
        self, items: Sequence[torch.Tensor], lengths: np.ndarray | None, prepare: Preprocessor, start: int
    ) -> None:
        self.items, self.lengths, self.start = items, lengths, start
        self.vary: Callable[[torch.Tensor], torch.Tensor] | None = None
        """Turns a prepared picture into a varied one, by torch's own random numbers."""
        self._prepare = prepare

    def state(self, model: TransferModel, rows_B: np.ndarray, vary: bool = False) -> State:
        """Return the state of rows at the input of stage `start`; `vary` augments pictures, if the plan asks for it."""
        items = [self.items[int(row)] for row in rows_B]
        if vary and self.vary is not None:
            items = [self.vary(item) for item in items]
        state = self._prepare.collate(items, model.device)
        if self.start:
            with torch.no_grad():
                state = model.backbone.run(state, 0, self.start)
        return state


class CachedInputs(StagedInputs):
    """Activations at the input of stage `start`, cached in memory or in a file; texts without their padding."""

    def __init__(
        self, start: int, lengths: np.ndarray | None, cache: ActivationCache, by_token: Sequence[bool]
    ) -> None:
        """`lengths` are the tokens of each row, None for pictures; `by_token` are the tensors with a row for each."""
        self.start, self.lengths = start, lengths
        self._cache: ActivationCache = cache
        self._by_token = tuple(by_token)

    @property
    def on_disk(self) -> int:
        """Bytes of disk that the activations take."""
        return self._cache.on_disk

    def close(self) -> None:
        """Give memory and disk back. Nothing can be read afterwards."""
        self._cache = InMemory()

    def put(self, rows_B: np.ndarray, state: State) -> None:
        """Cache the state of a batch, without the padding of texts."""
        for place, row in enumerate(rows_B):
            end = None if self.lengths is None else int(self.lengths[row])
            by_token = zip(state, self._by_token, strict=True)
            self._cache.put(int(row), tuple(t[place, :end] if tokens else t[place] for t, tokens in by_token))

    def holds(self, rows: np.ndarray) -> bool:
        """Return whether all of the rows are cached."""
        return all(self._cache.get(int(row)) is not None for row in rows)

    def state(self, model: TransferModel, rows_B: np.ndarray, vary: bool = False) -> State:
        """Return the cached batch, padded with zeros where the items differ in length. Every row must be cached."""
        states = [state for row in rows_B if (state := self._cache.get(int(row))) is not None]
        assert len(states) == len(rows_B), "a row is read that was not cached"
        return tuple(pad(tensors).to(model.device) for tensors in zip(*states, strict=True))


def batches(
    rows: np.ndarray, size: int, lengths: np.ndarray | None = None, shuffle: torch.Generator | None = None
) -> list[np.ndarray]:
    """Cut rows into batches of `size`: shuffled where a generator is given, texts grouped by length.

    A last batch of one item joins the batch before, because batch statistics need two items.
    """
    order = rows if shuffle is None else rows[torch.randperm(len(rows), generator=shuffle).numpy()]
    if lengths is not None:
        # sorted within every 16 batches: the order stays random enough, and padding nearly vanishes
        window = size * 16 if shuffle is not None else max(len(order), 1)
        windows = [order[at : at + window] for at in range(0, len(order), window)]
        order = np.concatenate([rows[np.argsort(lengths[rows], kind="stable")] for rows in windows] or [order])
    drawn = [order[at : at + size] for at in range(0, len(order), size)]
    if len(drawn) > 1 and len(drawn[-1]) == 1:
        drawn[-2:] = [np.concatenate(drawn[-2:])]
    if lengths is not None and shuffle is not None:
        drawn = [drawn[i] for i in torch.randperm(len(drawn), generator=shuffle).tolist()]
    return drawn


@torch.no_grad()
def cache_prefix(
    model: TransferModel, prepared: PreparedInputs, rows: np.ndarray, batch_size: int, budget: CacheBudget
) -> Iterator[tuple[int, CachedInputs | None]]:
    """Run the frozen stages once over `rows`; yield (items done, inputs), the inputs None where they exceed `budget`.

    The model must be in evaluation mode up to `prepared.start`.
    """
    inputs: CachedInputs | None = None
    done = 0
    for rows_B in reversed(batches(rows, batch_size, prepared.lengths)):  # the longest texts need most memory: first
        state = prepared.state(model, rows_B)
        if inputs is None:
            by_token = model.backbone.by_token(state, prepared.start)
            cache = make_cache(budget, state, rows, prepared.lengths, by_token)
            if cache is None:
                yield done, None
                return
            inputs = CachedInputs(prepared.start, prepared.lengths, cache, by_token)
        inputs.put(rows_B, state)
        done += len(rows_B)
        yield done, inputs
