"""All pairs of 64-bit codes within a Hamming distance, found without comparing every code with every other.

This is multi-index hashing (Norouzi, Punjani and Fleet 2012, https://arxiv.org/abs/1307.2982), which is exact. Cut the
codes into m bands. If two codes differ in at most d bits, then at least one band k of 0 .. m - 1 differs in at most
floor((d - k) / m) bits; otherwise they would differ in at least sum(floor((d - k) / m) + 1) = d + 1 bits. So a code is
compared only with codes that have such a close band, and these are looked up by the band's value. A band is every
fourth bit, because neighbouring bits of a perceptual hash are correlated and would crowd a few values.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

BANDS = 4
_WIDTH = 64 // BANDS
_EVERY = sum(1 << bit for bit in range(0, 64, BANDS))
_AT_ONCE = 1_000_000  # pairs compared at a time


class Bands:
    """An index of codes, uint64 `[N]`, by the values of their bands; pairs differ in at most `bits` bits."""

    def __init__(self, codes_N: np.ndarray, bits: int) -> None:
        self._codes, self._bits = codes_N, bits
        self._keys = np.zeros((BANDS, len(codes_N)), dtype=np.int64)
        for bit in range(64):
            value = (codes_N >> np.uint64(bit)) & np.uint64(1)
            self._keys[bit % BANDS] |= value.astype(np.int64) << (bit // BANDS)
        self._masks = [_masks((bits - band) // BANDS) for band in range(BANDS)]

    def count_comparisons(self) -> np.ndarray:
        """Return how many comparisons each code takes, int64 `[N]`, counting every band."""
        comparisons = np.zeros(len(self._codes), dtype=np.int64)
        for key, masks in zip(self._keys, self._masks, strict=True):
            size = np.bincount(key, minlength=2**_WIDTH)
            for mask in masks:
                comparisons += size[key ^ mask]
        return comparisons

    def pairs(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (progress, pairs): pairs are rows `[E, 2]` of close codes, each pair once, the smaller row first.

        Progress counts from 0 to N. A part may hold no pairs.
        """
        steps, done = sum(map(len, self._masks)), 0
        for band, key in enumerate(self._keys):
            order = np.argsort(key, kind="stable")
            key, codes = key[order], self._codes[order]
            start = np.searchsorted(key, np.arange(2**_WIDTH + 1))
            for mask in self._masks[band]:
                for left, right in _joined(key, start, mask):
                    differ = codes[left] ^ codes[right]
                    near = np.flatnonzero(np.bitwise_count(differ) <= self._bits)
                    near = near[self._is_new(differ[near], band)]
                    pairs = np.stack([order[left[near]], order[right[near]]], axis=1)
                    yield done * len(key) // steps, np.sort(pairs, axis=1)
                done += 1

    def _is_new(self, differ: np.ndarray, band: int) -> np.ndarray:
        """Return which pairs no earlier band has yielded."""
        new = np.ones(len(differ), dtype=bool)
        for earlier in range(band):
            part = differ & np.uint64(_EVERY << earlier)
            new &= np.bitwise_count(part) > (self._bits - earlier) // BANDS
        return new


def _masks(radius: int) -> list[int]:
    """Return every change of at most `radius` bits of a band, as masks to apply to its value."""
    return [
        sum(1 << bit for bit in changed) for size in range(radius + 1) for changed in combinations(range(_WIDTH), size)
    ]


def _joined(key: np.ndarray, start: np.ndarray, mask: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield places in the ascending `key` `[N]` whose values differ by `mask`; each value begins at `start`."""
    other = key ^ mask
    first = start[other] if mask else np.arange(1, len(key) + 1)
    count = np.where(other >= key, start[other + 1] - first, 0)
    place = np.flatnonzero(count)
    first, count = first[place], count[place]
    ends = np.cumsum(count)
    begin = 0
    while begin < len(place):
        end = max(begin + 1, int(np.searchsorted(ends, ends[begin] - count[begin] + _AT_ONCE, side="right")))
        counts = count[begin:end]
        left = np.repeat(place[begin:end], counts)
        right = np.repeat(first[begin:end] - np.cumsum(counts) + counts, counts) + np.arange(len(left))
        yield left, right
        begin = end
