"""Classical models to compare with: what a good day's work without any pretrained network gives.

Texts: TF-IDF of words and word pairs, then logistic regression (Wang & Manning 2012, https://aclanthology.org/P12-2018,
show how hard that is to beat). Images: histograms of gradient directions (Dalal & Triggs 2005,
https://doi.org/10.1109/CVPR.2005.177) and of colours, then logistic regression.
"""

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from tl_core.data.dataset import Dataset
from tl_core.data.images import open_image

Step = Callable[[int, int], None]

SIDE, CELL, BINS, LEVELS = 64, 8, 9, 4
WORDS = 50_000
"""Most frequent words and word pairs that the text model keeps."""
STRENGTH = {"text": 10.0, "image": 0.01}
"""scikit-learn's C, fixed beforehand: a baseline that chose it would need a validation set of its own."""


class ClassicalModel(Protocol):
    """A classical model over one data set; features are made once, fits are many."""

    title: str

    def predict(self, train: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Fit on the rows `train`; return probabilities `[len(rows), C]`."""
        ...


def classical_model(dataset: Dataset, step: Step = lambda done, total: None) -> ClassicalModel:
    """Return the classical model for a data set's modality; `step(done, total)` follows the reading of images."""
    return TfidfModel(dataset) if dataset.modality == "text" else HistogramModel(dataset, step)


class TfidfModel:
    """TF-IDF over words and word pairs (sublinear term frequency, smoothed idf, unit length), logistic regression.

    Words are counted once for all texts; a fit sees only the words of its own training rows, as if it had counted
    those alone.
    """

    title = "TF-IDF of words and word pairs, logistic regression"

    def __init__(self, dataset: Dataset) -> None:
        from sklearn.feature_extraction.text import CountVectorizer

        texts = dataset.items["text"].tolist()
        self._labels, self._classes = dataset.truth, len(dataset.classes)
        try:
            self._counts = CountVectorizer(ngram_range=(1, 2), dtype=np.float32).fit_transform(texts)
        except ValueError:  # no text has a word of two letters: count characters
            self._counts = CountVectorizer(ngram_range=(1, 2), analyzer="char", dtype=np.float32).fit_transform(texts)

    def predict(self, train: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Fit on the rows `train`; return probabilities `[len(rows), C]`."""
        from scipy.sparse import diags
        from sklearn.preprocessing import normalize

        counts = self._counts[train]
        total = np.asarray(counts.sum(axis=0)).ravel()
        known = np.flatnonzero(total)
        if len(known) > WORDS:
            known = np.sort(known[np.argsort(-total[known], kind="stable")[:WORDS]])
        documents = np.bincount(counts[:, known].indices, minlength=len(known))
        idf = diags((np.log((1 + len(train)) / (1 + documents)) + 1).astype(np.float32))
        features = []
        for part in (counts, self._counts[rows]):
            words = part[:, known].copy()
            words.data = 1 + np.log(words.data)
            features.append(normalize(words @ idf))
        return logistic(features[0], self._labels[train], features[1], self._classes, STRENGTH["text"])


class HistogramModel:
    """Histograms of gradient directions over an 8 x 8 grid and of colours, standardised, logistic regression."""

    title = "Gradient and colour histograms, logistic regression"

    def __init__(self, dataset: Dataset, step: Step = lambda done, total: None) -> None:
        self._labels, self._classes = dataset.truth, len(dataset.classes)
        paths = dataset.items["path"].tolist()
        found = []
        for done, path in enumerate(paths, start=1):
            found.append(shape_features(np.asarray(open_image(dataset.folder / path).resize((SIDE, SIDE)))))
            step(done, len(paths))
        self._features = np.stack(found)

    def predict(self, train: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Fit on the rows `train`; return probabilities `[len(rows), C]`."""
        mean, std = self._features[train].mean(axis=0), self._features[train].std(axis=0)
        std[std < 1e-6] = 1.0
        seen, asked = ((self._features[part] - mean) / std for part in (train, rows))
        return logistic(seen, self._labels[train], asked, self._classes, STRENGTH["image"])


def shape_features(image: np.ndarray) -> np.ndarray:
    """Return features `[640]` of an RGB image uint8 `[64, 64, 3]`.

    Per cell of 8 x 8 pixels the histogram of 9 unsigned gradient directions, weighted by magnitude, each cell scaled
    to unit length; then the colour histogram over 4 x 4 x 4 levels, as the square root of its shares.
    """
    grey = image.astype(np.float32).mean(axis=2) / 255
    down, right = np.gradient(grey)
    magnitude = np.hypot(down, right)
    direction = (np.arctan2(down, right) % np.pi / np.pi * BINS).astype(int) % BINS
    y, x = np.mgrid[:SIDE, :SIDE] // CELL
    place = (y * (SIDE // CELL) + x) * BINS + direction
    sums = np.bincount(place.ravel(), weights=magnitude.ravel(), minlength=(SIDE // CELL) ** 2 * BINS)
    cells = sums.astype(np.float64).reshape(-1, BINS)
    cells = cells / (np.linalg.norm(cells, axis=1, keepdims=True) + 0.1)
    levels = (image.astype(int) * LEVELS // 256) @ np.array([LEVELS**2, LEVELS, 1])
    colours = np.sqrt(np.bincount(levels.ravel(), minlength=LEVELS**3) / SIDE**2)
    return np.concatenate([cells.ravel(), colours]).astype(np.float32)


def logistic(train: Any, labels: np.ndarray, rows: Any, classes: int, strength: float) -> np.ndarray:
    """Fit with C = `strength`; return probabilities `[N, C]`, 0 for a class without a training item.

    `labels` are classes `[M]`, or targets `[M, C]`: then each label is fitted by itself, yes against no.
    """
    if labels.ndim == 2:
        each = [logistic(train, label.astype(np.int64), rows, 2, strength)[:, 1] for label in labels.T]
        return np.stack(each, axis=1)
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    probabilities = np.zeros((rows.shape[0], classes))
    present = np.unique(labels)
    if len(present) == 1:
        probabilities[:, present] = 1.0
        return probabilities
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a nearly converged baseline is still the baseline
        model = LogisticRegression(C=strength, max_iter=300).fit(train, labels)
    probabilities[:, present] = model.predict_proba(rows)
    return probabilities
