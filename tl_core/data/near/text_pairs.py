"""Texts that are nearly the same: equal but for case, spaces and punctuation, or of nearly the same runs of words.

Candidates come from 64 MinHashes in bands of four (Broder 1997, https://doi.org/10.1109/SEQUEN.1997.666900; Leskovec,
Rajaraman and Ullman, Mining of Massive Datasets, chapter 3), and each is checked exactly. A pair of Jaccard similarity
s is a candidate with probability 1 - (1 - s^4)^16, 0.9998 at 0.8, and checked where at least SURE of the MinHashes
agree: 0.998 at 0.8, for the share that agrees is s with a standard deviation of 0.05 (plus 1/256 of the rest, because
eight bits of each are kept: Li and König 2010, https://doi.org/10.1145/1772690.1772759).
"""

import re
import unicodedata
from collections.abc import Iterator

import numpy as np
import pandas as pd

from tl_core.data.groups import components, spanning_edges
from tl_core.data.options import OnProgress, no_progress

RUN = 5
"""Words of a run: what is compared are the runs of five words in a row, all words of a shorter text."""
ALIKE = 0.8
"""Share of common runs (Jaccard: common ones over all) from which two texts are nearly the same."""
SURE = 0.66
"""Share of MinHashes that must agree before a pair is checked: texts in one form share much and are not the same."""
_BANDS, _ROWS = 16, 4
_BATCH = 2_000_000  # characters taken up at a time, and runs checked at a time
_ROUNDS = 4  # texts of a bucket that all others in it are compared with
_PATIENCE, _VERY = 8, 0.85  # checks in vain after which a text is only checked where so many MinHashes agree
_LARGE = 64  # texts of a bucket from which it is only one: so many are of one form

_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # each of these signs counts as a word
_WORDS = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


def words(text: str) -> list[str]:
    """Return the words of a text without case and punctuation (Unicode NFKC, casefold); a text without any: itself."""
    plain = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return _WORDS.findall(plain) or ["".join(plain.split())]


def near_texts(texts: np.ndarray, progress: OnProgress = no_progress) -> np.ndarray:
    """Return pairs `[E, 2]` of nearly equal texts, enough to connect all that belong together; empty ones are alone.

    Linear in the length of all texts together; besides them it holds about 400 bytes a text.
    """
    rows = np.flatnonzero([bool(text.strip()) for text in texts])
    if not len(rows):
        return np.empty((0, 2), dtype=np.int64)
    equal, bands, sketch = _signatures(texts[rows], progress)
    _, first, index = np.unique(equal, return_index=True, return_inverse=True)
    near = _TextComparer(texts[rows[first]], sketch[first])
    for band in range(_BANDS):
        progress("Looking for texts that are nearly the same", band, _BANDS)
        near.compare(bands[first, band], band)
    progress("Looking for texts that are nearly the same", _BANDS, _BANDS)
    copies = np.stack([first[index], np.arange(len(rows))], axis=1)
    return rows[np.concatenate([copies[copies[:, 0] != copies[:, 1]], first[near.edges]])]


class _TextComparer:
    """Texts `[N]` no two of which have the same words, and the pairs of them that are known to be near."""

    def __init__(self, texts: np.ndarray, sketch: np.ndarray) -> None:
        self._texts, self._sketch = texts, sketch
        self._size = np.fromiter((len(text) + 1 for text in texts), dtype=np.int64, count=len(texts))
        self._component = np.arange(len(texts))
        self._failed = np.zeros(len(texts), dtype=np.int64)
        self.edges = np.empty((0, 2), dtype=np.int64)

    def compare(self, keys_N: np.ndarray, seed: int) -> None:
        """Check the texts of equal keys against one another: all in a small bucket, a few against all in a large."""
        _, bucket = np.unique(keys_N, return_inverse=True)
        shuffled = np.random.default_rng(seed).permutation(len(keys_N))
        members = shuffled[np.argsort(bucket[shuffled], kind="stable")]
        _, start, size = np.unique(bucket[members], return_index=True, return_counts=True)
        for head in range(min(_ROUNDS, size.max() - 1)):
            heads = np.repeat(members[start + np.minimum(head, np.where(size < _LARGE, size - 1, 0))], size)
            apart = self._component[heads] != self._component[members]
            self._join(np.stack([heads[apart], members[apart]], axis=1))

    def _join(self, pairs_P2: np.ndarray) -> None:
        agree = (self._sketch[pairs_P2[:, 0]] == self._sketch[pairs_P2[:, 1]]).mean(axis=1)
        patient = (self._failed[pairs_P2[:, 1]] < _PATIENCE) | (agree >= _VERY)
        pairs_P2 = pairs_P2[(agree >= SURE) & patient]
        if not len(pairs_P2):
            return
        passed = [similarities(self._texts, part) >= ALIKE for part in self._parts(pairs_P2)]
        alike = np.concatenate(passed)
        np.add.at(self._failed, pairs_P2[~alike, 1], 1)
        new = pairs_P2[alike]
        if len(new):
            self.edges = spanning_edges(len(self._texts), np.concatenate([self.edges, new]))
            self._component = components(len(self._texts), self.edges)

    def _parts(self, pairs_P2: np.ndarray) -> Iterator[np.ndarray]:
        ends = np.cumsum(self._size[pairs_P2].sum(axis=1))
        return (pairs_P2[start:stop] for start, stop in _stretches(ends))


def similarities(texts: np.ndarray, pairs_P2: np.ndarray) -> np.ndarray:
    """Return the Jaccard similarity of the runs of words of each pair of texts, `[P]`."""
    rows, place = np.unique(pairs_P2, return_inverse=True)
    runs, ends = runs_of(texts[rows])
    counts = np.diff(ends, prepend=0)
    text = np.repeat(np.arange(len(rows)), counts)
    order = np.lexsort((runs, text))
    fresh = np.concatenate([[True], (runs[order][1:] != runs[order][:-1]) | (text[order][1:] != text[order][:-1])])
    runs, counts = runs[order][fresh], np.bincount(text[order][fresh], minlength=len(rows))
    begins = np.cumsum(counts) - counts
    keys = []
    for side in place.reshape(-1, 2).T:
        pair = np.repeat(np.arange(len(side)), counts[side])
        inside = np.arange(len(pair)) - np.repeat(np.cumsum(counts[side]) - counts[side], counts[side])
        keys.append((pair, runs[begins[side][pair] + inside]))
    pair, run = (np.concatenate(parts) for parts in zip(*keys, strict=True))
    order = np.lexsort((run, pair))
    pair, run = pair[order], run[order]
    twice = (pair[1:] == pair[:-1]) & (run[1:] == run[:-1])
    common = np.bincount(pair[1:][twice], minlength=len(pairs_P2))
    return common / (counts[place.reshape(-1, 2)].sum(axis=1) - common)


def _signatures(texts: np.ndarray, progress: OnProgress) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hashes of each text's words `[N]` and of each band `[N, 16]`, and a byte of each MinHash `[N, 64]`."""
    draw = np.random.default_rng(0)
    factors = draw.integers(0, 2**63, size=_BANDS * _ROWS, dtype=np.uint64) * 2 + 1
    equal = np.zeros(len(texts), dtype=np.uint64)
    bands = np.zeros((len(texts), _BANDS), dtype=np.uint64)
    sketch = np.zeros((len(texts), len(factors)), dtype=np.uint8)
    ends = np.cumsum(np.fromiter((len(text) + 1 for text in texts), dtype=np.int64, count=len(texts)))
    for start, stop in _stretches(ends):
        progress("Comparing texts", start, len(texts))
        runs, run_ends = runs_of(texts[start:stop])
        begins = np.concatenate([[0], run_ends[:-1]])
        for number, factor in enumerate(factors):
            least = np.minimum.reduceat(_mix(runs * factor), begins)
            sketch[start:stop, number] = _mix(least).astype(np.uint8)
            band = bands[start:stop, number // _ROWS]
            band[:] = _mix(band ^ least)
        place = np.arange(len(runs)) - np.repeat(begins, run_ends - begins)
        equal[start:stop] = np.add.reduceat(_mix(runs ^ _mix(place.astype(np.uint64))), begins)
    progress("Comparing texts", len(texts), len(texts))
    return equal, bands, sketch


def _stretches(ends_N: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield stretches of items that end at these places, each about as long as one batch may be."""
    start = 0
    while start < len(ends_N):
        before = ends_N[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends_N, before + _BATCH, side="right")))
        yield start, stop
        start = stop


def runs_of(texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return hashes of the runs of all texts, in their order `[R]`, and where each text's runs end `[N]`."""
    found = [words(text) for text in texts]
    counts = np.array([len(each) for each in found], dtype=np.int64)
    flat = np.array([word for each in found for word in each], dtype=object)
    hashes = _mix(pd.util.hash_array(flat, categorize=True))
    width = np.minimum(counts, RUN)
    n_runs = counts - width + 1
    ends = np.cumsum(n_runs)
    text = np.repeat(np.arange(len(texts)), n_runs)
    offset = np.cumsum(counts) - counts
    begin = np.arange(ends[-1]) - (ends - n_runs)[text] + offset[text]
    runs = np.zeros(len(begin), dtype=np.uint64)
    for step in range(RUN):
        there = step < width[text]
        runs[there] = _mix(runs[there] * np.uint64(3) ^ hashes[begin[there] + step])
    return runs, ends


def _mix(values: np.ndarray) -> np.ndarray:
    """Scramble uint64 values one to one (the finaliser of SplitMix64, https://doi.org/10.1145/2660193.2660195)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
