"""All pairs of 64-bit codes that differ in few bits, found without comparing each code with each.

Multi-index hashing (Norouzi, Punjani and Fleet 2012, https://arxiv.org/abs/1307.2982), which is exact: of codes that
are cut into m bands and differ in at most d bits, at least one band k of 0 .. m - 1 differs in at most
floor((d - k) / m) bits, for otherwise they would differ in sum(floor((d - k) / m) + 1) = d + 1. So each code is
compared with those only that have a band as near as that, and they are looked up by the band's value. A band is every
fourth bit, because neighbouring bits of a look go together, and values that are unlike one another share the work.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

BANDS = 4
_WIDTH = 64 // BANDS
_EVERY = sum(1 << bit for bit in range(0, 64, BANDS))
_AT_ONCE = 1_000_000  # pairs compared at a time


class Bands:
    """Codes, uint64 `[N]`, under the values of their bands; `bits` is in how many bits two may differ."""

    def __init__(self, codes_N: np.ndarray, bits: int) -> None:
        self._codes, self._bits = codes_N, bits
        self._keys = np.zeros((BANDS, len(codes_N)), dtype=np.int64)
        for bit in range(64):
            value = (codes_N >> np.uint64(bit)) & np.uint64(1)
            self._keys[bit % BANDS] |= value.astype(np.int64) << (bit // BANDS)
        self._masks = [_masks((bits - band) // BANDS) for band in range(BANDS)]

    def crowd(self) -> np.ndarray:
        """Return with how many codes each one would be compared, int64 `[N]`, those of several bands several times."""
        found = np.zeros(len(self._codes), dtype=np.int64)
        for key, masks in zip(self._keys, self._masks, strict=True):
            size = np.bincount(key, minlength=2**_WIDTH)
            for mask in masks:
                found += size[key ^ mask]
        return found

    def pairs(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the row numbers `[E, 2]` of codes that differ in so few bits, each pair once, the smaller row first.

        Before them comes how far this is: 0 to N. Parts may be empty.
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
                    near = near[self._is_first(differ[near], band)]
                    found = np.stack([order[left[near]], order[right[near]]], axis=1)
                    yield done * len(key) // steps, np.sort(found, axis=1)
                done += 1

    def _is_first(self, differ: np.ndarray, band: int) -> np.ndarray:
        """Return which pairs no band before this one has shown."""
        fresh = np.ones(len(differ), dtype=bool)
        for earlier in range(band):
            part = differ & np.uint64(_EVERY << earlier)
            fresh &= np.bitwise_count(part) > (self._bits - earlier) // BANDS
        return fresh


def _masks(radius: int) -> list[int]:
    """Return what to look up beside a band's value: every change of at most `radius` of its bits."""
    return [
        sum(1 << bit for bit in changed) for size in range(radius + 1) for changed in combinations(range(_WIDTH), size)
    ]


def _joined(key: np.ndarray, start: np.ndarray, mask: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield places in the ascending `key` `[N]` whose values differ by `mask`; `start` is where each value begins."""
    other = key ^ mask
    first = start[other] if mask else np.arange(1, len(key) + 1)
    count = np.where(other >= key, start[other + 1] - first, 0)
    place = np.flatnonzero(count)
    first, count = first[place], count[place]
    ends = np.cumsum(count)
    begin = 0
    while begin < len(place):
        end = max(begin + 1, int(np.searchsorted(ends, ends[begin] - count[begin] + _AT_ONCE, side="right")))
        here = count[begin:end]
        left = np.repeat(place[begin:end], here)
        right = np.repeat(first[begin:end] - np.cumsum(here) + here, here) + np.arange(len(left))
        yield left, right
        begin = end
