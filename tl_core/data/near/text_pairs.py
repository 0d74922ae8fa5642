"""Near-duplicate texts: equal except for case, spaces and punctuation, or with nearly the same word 5-grams.

Candidates come from 64 MinHashes in bands of four (Broder 1997, https://doi.org/10.1109/SEQUEN.1997.666900; Leskovec,
Rajaraman and Ullman, Mining of Massive Datasets, chapter 3), and each candidate is checked exactly. A pair of Jaccard
similarity s is a candidate with probability 1 - (1 - s^4)^16, 0.9998 at s = 0.8. It is checked if at least SURE of its
MinHashes agree, which holds with probability 0.998 at s = 0.8: the share that agrees is s, with a standard deviation of
0.05 (plus 1/256 of the rest, because only eight bits of each are kept: Li and König 2010,
https://doi.org/10.1145/1772690.1772759).
"""

import re
import unicodedata
from collections.abc import Iterator

import numpy as np
import pandas as pd

from tl_core.data.groups import components, spanning_edges
from tl_core.data.options import OnProgress, no_progress

NGRAM = 5
"""Words of an n-gram. A text with fewer words is one n-gram."""
ALIKE = 0.8
"""Jaccard similarity of n-grams (shared over all) from which two texts are near-duplicates."""
SURE = 0.66
"""Share of MinHashes that must agree before a pair is checked. Texts on one form share much, yet differ."""
_BANDS, _ROWS = 16, 4
_BATCH = 2_000_000  # characters that are hashed or checked at a time
_ROUNDS = 4  # texts of a bucket that all its others are compared with
_PATIENCE, _VERY = 8, 0.85  # after 8 failed checks, a text is only checked where 85 % of the MinHashes agree
_LARGE = 64  # texts of a bucket from which only one is compared with the others: they share a form

_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # each of these signs counts as a word
_WORDS = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


def words(text: str) -> list[str]:
    """Return the words of a text without case and punctuation (Unicode NFKC, casefold); else the text itself."""
    plain = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return _WORDS.findall(plain) or ["".join(plain.split())]


def near_texts(texts: np.ndarray, progress: OnProgress = no_progress) -> np.ndarray:
    """Return pairs `[E, 2]` of near-duplicate texts, enough to connect every group of them. Empty texts have none.

    Time is linear in the total length of the texts. Memory is about 400 bytes per text besides the texts.
    """
    rows = np.flatnonzero([bool(text.strip()) for text in texts])
    if not len(rows):
        return np.empty((0, 2), dtype=np.int64)
    equal, bands, sketch = _signatures(texts[rows], progress)
    _, first, index = np.unique(equal, return_index=True, return_inverse=True)
    comparer = _TextComparer(texts[rows[first]], sketch[first])
    for band in range(_BANDS):
        progress("Looking for texts that are nearly the same", band, _BANDS)
        comparer.compare(bands[first, band], band)
    progress("Looking for texts that are nearly the same", _BANDS, _BANDS)
    copies = np.stack([first[index], np.arange(len(rows))], axis=1)
    return rows[np.concatenate([copies[copies[:, 0] != copies[:, 1]], first[comparer.edges]])]


class _TextComparer:
    """Compares texts `[N]`, no two with the same words, and collects pairs `edges` that connect near-duplicates."""

    def __init__(self, texts: np.ndarray, sketch: np.ndarray) -> None:
        self._texts, self._sketch = texts, sketch
        self._size = np.fromiter((len(text) + 1 for text in texts), dtype=np.int64, count=len(texts))
        self._component = np.arange(len(texts))
        self._failed = np.zeros(len(texts), dtype=np.int64)
        self.edges = np.empty((0, 2), dtype=np.int64)

    def compare(self, keys_N: np.ndarray, seed: int) -> None:
        """Compare texts with equal keys: all with all in a small bucket, a few with all in a large one."""
        _, bucket = np.unique(keys_N, return_inverse=True)
        shuffled = np.random.default_rng(seed).permutation(len(keys_N))
        members = shuffled[np.argsort(bucket[shuffled], kind="stable")]
        _, start, size = np.unique(bucket[members], return_index=True, return_counts=True)
        for head in range(min(_ROUNDS, size.max() - 1)):
            heads = np.repeat(members[start + np.minimum(head, np.where(size < _LARGE, size - 1, 0))], size)
            separate = self._component[heads] != self._component[members]
            self._join(np.stack([heads[separate], members[separate]], axis=1))

    def _join(self, pairs_P2: np.ndarray) -> None:
        agree = (self._sketch[pairs_P2[:, 0]] == self._sketch[pairs_P2[:, 1]]).mean(axis=1)
        patient = (self._failed[pairs_P2[:, 1]] < _PATIENCE) | (agree >= _VERY)
        pairs_P2 = pairs_P2[(agree >= SURE) & patient]
        if not len(pairs_P2):
            return
        passed = [similarities(self._texts, part) >= ALIKE for part in self._parts(pairs_P2)]
        similar = np.concatenate(passed)
        np.add.at(self._failed, pairs_P2[~similar, 1], 1)
        new = pairs_P2[similar]
        if len(new):
            self.edges = spanning_edges(len(self._texts), np.concatenate([self.edges, new]))
            self._component = components(len(self._texts), self.edges)

    def _parts(self, pairs_P2: np.ndarray) -> Iterator[np.ndarray]:
        ends = np.cumsum(self._size[pairs_P2].sum(axis=1))
        return (pairs_P2[start:stop] for start, stop in _batches(ends))


def similarities(texts: np.ndarray, pairs_P2: np.ndarray) -> np.ndarray:
    """Return the Jaccard similarity of the n-grams of each pair of texts, `[P]`."""
    rows, place = np.unique(pairs_P2, return_inverse=True)
    ngrams, ends = ngrams_of(texts[rows])
    counts = np.diff(ends, prepend=0)
    text = np.repeat(np.arange(len(rows)), counts)
    order = np.lexsort((ngrams, text))
    first = np.concatenate([[True], (ngrams[order][1:] != ngrams[order][:-1]) | (text[order][1:] != text[order][:-1])])
    ngrams, counts = ngrams[order][first], np.bincount(text[order][first], minlength=len(rows))
    begins = np.cumsum(counts) - counts
    keys = []
    for side in place.reshape(-1, 2).T:
        pair = np.repeat(np.arange(len(side)), counts[side])
        inside = np.arange(len(pair)) - np.repeat(np.cumsum(counts[side]) - counts[side], counts[side])
        keys.append((pair, ngrams[begins[side][pair] + inside]))
    pair, ngram = (np.concatenate(parts) for parts in zip(*keys, strict=True))
    order = np.lexsort((ngram, pair))
    pair, ngram = pair[order], ngram[order]
    twice = (pair[1:] == pair[:-1]) & (ngram[1:] == ngram[:-1])
    common = np.bincount(pair[1:][twice], minlength=len(pairs_P2))
    return common / (counts[place.reshape(-1, 2)].sum(axis=1) - common)


def _signatures(texts: np.ndarray, progress: OnProgress) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a hash of each text's words `[N]`, a hash of each band `[N, 16]`, and a byte of each MinHash `[N, 64]`."""
    draw = np.random.default_rng(0)
    factors = draw.integers(0, 2**63, size=_BANDS * _ROWS, dtype=np.uint64) * 2 + 1
    equal = np.zeros(len(texts), dtype=np.uint64)
    bands = np.zeros((len(texts), _BANDS), dtype=np.uint64)
    sketch = np.zeros((len(texts), len(factors)), dtype=np.uint8)
    ends = np.cumsum(np.fromiter((len(text) + 1 for text in texts), dtype=np.int64, count=len(texts)))
    for start, stop in _batches(ends):
        progress("Comparing texts", start, len(texts))
        ngrams, ngram_ends = ngrams_of(texts[start:stop])
        begins = np.concatenate([[0], ngram_ends[:-1]])
        for number, factor in enumerate(factors):
            least = np.minimum.reduceat(_mix(ngrams * factor), begins)
            sketch[start:stop, number] = _mix(least).astype(np.uint8)
            band = bands[start:stop, number // _ROWS]
            band[:] = _mix(band ^ least)
        place = np.arange(len(ngrams)) - np.repeat(begins, ngram_ends - begins)
        equal[start:stop] = np.add.reduceat(_mix(ngrams ^ _mix(place.astype(np.uint64))), begins)
    progress("Comparing texts", len(texts), len(texts))
    return equal, bands, sketch


def _batches(ends_N: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of batches of about _BATCH characters; `ends_N` are the cumulative lengths of the items."""
    start = 0
    while start < len(ends_N):
        before = ends_N[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends_N, before + _BATCH, side="right")))
        yield start, stop
        start = stop


def ngrams_of(texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return hashes of the n-grams of all texts in order `[G]`, and where each text's n-grams end `[N]`."""
    words_of = [words(text) for text in texts]
    counts = np.array([len(text_words) for text_words in words_of], dtype=np.int64)
    flat = np.array([word for text_words in words_of for word in text_words], dtype=object)
    hashes = _mix(pd.util.hash_array(flat, categorize=True))
    width = np.minimum(counts, NGRAM)
    n_ngrams = counts - width + 1
    ends = np.cumsum(n_ngrams)
    text = np.repeat(np.arange(len(texts)), n_ngrams)
    offset = np.cumsum(counts) - counts
    begin = np.arange(ends[-1]) - (ends - n_ngrams)[text] + offset[text]
    ngrams = np.zeros(len(begin), dtype=np.uint64)
    for step in range(NGRAM):
        long_enough = step < width[text]
        ngrams[long_enough] = _mix(ngrams[long_enough] * np.uint64(3) ^ hashes[begin[long_enough] + step])
    return ngrams, ends


def _mix(values: np.ndarray) -> np.ndarray:
    """Scramble uint64 values, one to one (the finaliser of SplitMix64, https://doi.org/10.1145/2660193.2660195)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
