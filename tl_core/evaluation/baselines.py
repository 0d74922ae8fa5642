"""Classical baselines: what a good model reaches without any pretrained network.

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

OnStep = Callable[[int, int], None]

SIDE, CELL, BINS, LEVELS = 64, 8, 9, 4
MAX_TERMS = 50_000
"""The text model keeps this many of the most frequent words and word pairs."""
INVERSE_L2 = {"text": 10.0, "image": 0.01}
"""scikit-learn's C, fixed in advance: choosing it would take a validation set of its own."""


class ClassicalModel(Protocol):
    """A classical model over one data set: features are computed once, then fitted many times."""

    title: str

    def predict(self, train: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Fit on the rows `train`; return probabilities `[len(rows), C]`."""
        ...


def classical_model(dataset: Dataset, on_step: OnStep = lambda done, total: None) -> ClassicalModel:
    """Return the classical model for the modality; `on_step(done, total)` is called after every image read."""
    if dataset.modality == "multimodal":
        return MeanModel(TfidfModel(dataset), HistogramModel(dataset, on_step))
    return TfidfModel(dataset) if dataset.modality == "text" else HistogramModel(dataset, on_step)


class TfidfModel:
    """TF-IDF over words and word pairs (sublinear term frequency, smoothed idf, unit length), logistic regression.

    Words are counted once for all texts. Each fit uses only the words of its own training rows, as if no other text
    had been counted.
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
        terms = np.flatnonzero(total)
        if len(terms) > MAX_TERMS:
            terms = np.sort(terms[np.argsort(-total[terms], kind="stable")[:MAX_TERMS]])
        documents = np.bincount(counts[:, terms].indices, minlength=len(terms))
        idf = diags((np.log((1 + len(train)) / (1 + documents)) + 1).astype(np.float32))
        features = []
        for part in (counts, self._counts[rows]):
            frequencies = part[:, terms].copy()
            frequencies.data = 1 + np.log(frequencies.data)
            features.append(normalize(frequencies @ idf))
        return logistic(features[0], self._labels[train], features[1], self._classes, INVERSE_L2["text"])


class HistogramModel:
    """Histograms of gradient directions over an 8 x 8 grid and of colours, standardised, logistic regression."""

    title = "Gradient and colour histograms, logistic regression"

    def __init__(self, dataset: Dataset, on_step: OnStep = lambda done, total: None) -> None:
        self._labels, self._classes = dataset.truth, len(dataset.classes)
        paths = dataset.items["path"].tolist()
        features = []
        for done, path in enumerate(paths, start=1):
            features.append(histogram_features(np.asarray(open_image(dataset.folder / path).resize((SIDE, SIDE)))))
            on_step(done, len(paths))
        self._features = np.stack(features)

    def predict(self, train: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Fit on the rows `train`; return probabilities `[len(rows), C]`."""
        mean, std = self._features[train].mean(axis=0), self._features[train].std(axis=0)
        std[std < 1e-6] = 1.0
        x_train, x_rows = ((self._features[part] - mean) / std for part in (train, rows))
        return logistic(x_train, self._labels[train], x_rows, self._classes, INVERSE_L2["image"])


class MeanModel:
    """The mean of what two classical models say, one about the text and one about the picture."""

    def __init__(self, *models: ClassicalModel) -> None:
        self._models = models
        self.title = "Mean of two models. " + ". ".join(model.title for model in models)

    def predict(self, train: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Fit both on the rows `train`; return probabilities `[len(rows), C]`."""
        return np.mean([model.predict(train, rows) for model in self._models], axis=0)


def histogram_features(image: np.ndarray) -> np.ndarray:
    """Return features `[640]` of an RGB image uint8 `[64, 64, 3]`.

    First, for each cell of 8 x 8 pixels, a histogram of 9 unsigned gradient directions, weighted by magnitude and
    scaled to unit length. Then the square root of the colour histogram over 4 x 4 x 4 levels.
    """
    grey = image.astype(np.float32).mean(axis=2) / 255
    down, right = np.gradient(grey)
    magnitude = np.hypot(down, right)
    direction = (np.arctan2(down, right) % np.pi / np.pi * BINS).astype(int) % BINS
    y, x = np.mgrid[:SIDE, :SIDE] // CELL
    bins = (y * (SIDE // CELL) + x) * BINS + direction
    sums = np.bincount(bins.ravel(), weights=magnitude.ravel(), minlength=(SIDE // CELL) ** 2 * BINS)
    cells = sums.astype(np.float64).reshape(-1, BINS)
    cells = cells / (np.linalg.norm(cells, axis=1, keepdims=True) + 0.1)
    levels = (image.astype(int) * LEVELS // 256) @ np.array([LEVELS**2, LEVELS, 1])
    colours = np.sqrt(np.bincount(levels.ravel(), minlength=LEVELS**3) / SIDE**2)
    return np.concatenate([cells.ravel(), colours]).astype(np.float32)


def logistic(x_train: Any, labels: np.ndarray, x_rows: Any, classes: int, inverse_l2: float) -> np.ndarray:
    """Fit logistic regression with C = `inverse_l2`; return probabilities `[N, C]` of the items `x_rows`.

    A class without a training item gets probability 0. `labels` are classes `[M]`, or multilabel targets `[M, C]`: then
    each label is fitted on its own (one-vs-rest).
    """
    if labels.ndim == 2:
        columns = [logistic(x_train, label.astype(np.int64), x_rows, 2, inverse_l2)[:, 1] for label in labels.T]
        return np.stack(columns, axis=1)
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    probabilities = np.zeros((x_rows.shape[0], classes))
    present = np.unique(labels)
    if len(present) == 1:
        probabilities[:, present] = 1.0
        return probabilities
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a nearly converged baseline is good enough
        model = LogisticRegression(C=inverse_l2, max_iter=300).fit(x_train, labels)
    probabilities[:, present] = model.predict_proba(x_rows)
    return probabilities
