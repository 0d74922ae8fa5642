"""The classical models against scikit-learn's own pipeline, and on easy data."""

import warnings

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from tl_core.evaluation.baselines import INVERSE_L2, classical_model, histogram_features


def test_the_vocabulary_comes_from_the_training_rows_only(tiny_texts):
    train, test = tiny_texts.rows("train")[:12], tiny_texts.rows("test")
    probabilities = classical_model(tiny_texts).predict(train, test)
    texts = tiny_texts.items["text"]
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=INVERSE_L2["text"], max_iter=300),
    ).fit(texts.iloc[train], tiny_texts.labels[train])
    assert np.abs(probabilities - pipeline.predict_proba(texts.iloc[test])).max() < 2e-3
    assert probabilities.sum(axis=1).round(6).tolist() == [1.0] * len(test)


def test_the_classical_model_learns_texts_and_images(tiny_texts, tiny_images):
    for dataset in (tiny_texts, tiny_images):
        rows = dataset.rows("test")
        probabilities = classical_model(dataset).predict(dataset.rows("train", "validation"), rows)
        assert np.mean(probabilities.argmax(axis=1) == dataset.labels[rows]) >= 0.8


def test_a_class_without_training_items_gets_probability_zero(tiny_images):
    train = np.flatnonzero(tiny_images.labels < 2)
    probabilities = classical_model(tiny_images).predict(train, np.arange(5))
    assert (probabilities[:, 2] == 0).all()
    one_class = classical_model(tiny_images).predict(np.flatnonzero(tiny_images.labels == 1), np.arange(5))
    assert (one_class == [0, 1, 0]).all()


def test_texts_without_words_are_classified_without_a_warning(tiny_texts):
    assert len(tiny_texts.rows("test"))  # split by the texts as they were, which are not all alike
    tiny_texts.__dict__["items"] = tiny_texts.items.assign(text=["! ?" if v else "? . -" for v in tiny_texts.labels])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        probabilities = classical_model(tiny_texts).predict(tiny_texts.rows("train"), tiny_texts.rows("test"))
    assert (probabilities.argmax(axis=1) == tiny_texts.labels[tiny_texts.rows("test")]).all()


def test_histogram_features_separate_directions_and_colours():
    y, x = np.mgrid[:64, :64]
    across = np.repeat((y % 8 < 4)[..., None] * 255, 3, axis=2).astype(np.uint8)
    down = np.repeat((x % 8 < 4)[..., None] * 255, 3, axis=2).astype(np.uint8)
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    a, b, c = (histogram_features(image) for image in (across, down, red))
    assert a.shape == (640,)
    assert np.abs(a[:576] - b[:576]).sum() > 10
    assert np.abs(a[576:] - b[576:]).sum() == 0
    assert c[:576].sum() == 0
    assert np.isclose((c[576:] ** 2).sum(), 1)


def test_progress_is_reported(tiny_images):
    seen = []
    classical_model(tiny_images, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (24, 24)
    assert len(seen) == 24
