"""Classification metrics with intervals, in numpy.

N items, C classes. `truth_N` and `predicted_N` hold class indices, `probabilities_NC` rows that sum to 1.

Every interval is a 95 % one that keeps its width at the edges: where all of four test items are right, accuracy is
1.00 from 0.51 to 1.00, not 1.00 from 1.00 to 1.00. A proportion gets Wilson's interval. What is a function of the
whole confusion matrix gets a bootstrap of the matrix with two right and two wrong items added to it, the
"plus four" of Agresti & Coull 1998 (https://doi.org/10.1080/00031305.1998.10480550).

How often that interval of macro-F1 held the truth in simulation (150 test sets a setting, so give or take 4 points):
20 items, 2 or 5 classes, accuracy 0.6 to 0.98: 92 to 95 %, where the plain percentile bootstrap held it 33 to 93 %.
It is too narrow for many classes on few items (20 classes, 20 to 100 items, accuracy 0.6 to 0.9: 67 to 82 %, and the
plain one is no worse there), and for 4 items (68 to 96 %).
"""

from collections.abc import Callable, Sequence

import numpy as np

from tl_core.evaluation.results import ClassScore
from tl_core.roc import Z, area
from tl_core.roc import interval as auc_interval
from tl_core.types import Estimate

DRAWS = 2000


def wilson(successes: float, n: int, z: float = Z) -> Estimate:
    """Return a proportion with Wilson's score interval (https://doi.org/10.1080/01621459.1927.10502953).

    centre = (s + z²/2) / (n + z²), half = z / (n + z²) · sqrt(s (n - s) / n + z²/4). With n = 0 nothing is known:
    0 from 0 to 1.

    >>> round(wilson(4, 4).low, 2)
    0.51
    """
    if n == 0:
        return Estimate(0.0, 0.0, 1.0, 0, "Wilson")
    centre = (successes + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(successes * (n - successes) / n + z**2 / 4)
    value = successes / n
    low, high = max(0.0, float(centre - half)), min(1.0, float(centre + half))
    return Estimate(value, min(low, value), max(high, value), n, "Wilson")


def accuracy(truth_N: np.ndarray, predicted_N: np.ndarray) -> Estimate:
    """Return the share of items whose class was found, with Wilson's interval."""
    return wilson(int(np.sum(truth_N == predicted_N)), len(truth_N))


def confusion_matrix(truth_N: np.ndarray, predicted_N: np.ndarray, n_classes: int) -> np.ndarray:
    """Return counts `[C, C]`: row the true class, column the predicted one."""
    cells = np.bincount(np.asarray(truth_N) * n_classes + np.asarray(predicted_N), minlength=n_classes**2)
    return cells.reshape(n_classes, n_classes)


def f1_scores(confusion: np.ndarray) -> np.ndarray:
    """Return F1 `[..., C]` of confusion counts `[..., C, C]`; nan for a class that is neither there nor predicted.

    F1 = 2 TP / (2 TP + FP + FN), and 2 TP + FP + FN is the row sum plus the column sum.
    """
    right = np.diagonal(confusion, axis1=-2, axis2=-1).astype(float)
    total = confusion.sum(axis=-1) + confusion.sum(axis=-2)
    return np.divide(2 * right, total, out=np.full(right.shape, np.nan), where=total > 0)


def macro_f1(confusion: np.ndarray, seed: int = 0) -> Estimate:
    """Return the mean F1 over the classes that are there or were predicted (as scikit-learn does), bootstrapped.

    `confusion` is `[C, C]`.
    """
    n = int(confusion.sum())
    if n == 0:
        return Estimate(0.0, 0.0, 1.0, 0, "bootstrap")
    value = float(np.nanmean(f1_scores(confusion)))
    low, high = _bootstrap(confusion, lambda drawn: np.nanmean(f1_scores(drawn), axis=-1), seed)
    return Estimate(value, min(low, value), max(high, value), n, f"bootstrap, {DRAWS} draws")


def _bootstrap(confusion: np.ndarray, score: Callable[[np.ndarray], np.ndarray], seed: int) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % points of `score` ([B, C, C] -> [B]) over draws from the matrix plus four."""
    used = np.flatnonzero(confusion.sum(0) + confusion.sum(1))
    if len(used) == 1:  # one class, always found: errors would go to some other class
        used = np.append(used, (used[0] + 1) % len(confusion))
    counts = confusion[np.ix_(used, used)].astype(float)
    there, said = counts.sum(1), counts.sum(0)
    off_diagonal = 1 - np.eye(len(used))
    wrong = np.outer(there + 1e-9, said + 1e-9) * off_diagonal
    counts += 2 * np.diag(there / there.sum()) + 2 * wrong / wrong.sum()
    generator = np.random.default_rng(seed)
    cells = np.flatnonzero(counts)
    share = counts.ravel()[cells] / counts.sum()
    scores = []
    chunk = max(1, 4_000_000 // counts.size)
    for start in range(0, DRAWS, chunk):
        size = min(chunk, DRAWS - start)
        drawn = np.zeros((size, counts.size))
        drawn[:, cells] = generator.multinomial(round(counts.sum()), share, size=size)
        scores.append(score(drawn.reshape(size, len(used), len(used))))
    low, high = np.quantile(np.concatenate(scores), [0.025, 0.975])
    return float(low), float(high)


def per_class(confusion: np.ndarray, classes: Sequence[str]) -> tuple[ClassScore, ...]:
    """Return precision, recall and F1 of each class with their intervals, from counts `[C, C]` (`class_score`)."""
    right, there, said = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return tuple(class_score(*each) for each in zip(classes, right, there, said, strict=True))


def class_score(name: str, right: int, there: int, said: int) -> ClassScore:
    """Return precision, recall and F1 of a class that `there` items are of and `said` are called, `right` of them.

    Precision and recall are proportions. F1 = 2 J / (1 + J) with J = TP / (TP + FP + FN), a proportion of the items
    that concern the class, so Wilson's limits of J give those of F1 (https://arxiv.org/abs/2309.14621, "indirect").
    An n of 0 says that the test set cannot tell.
    """
    right, there, said = int(right), int(there), int(said)
    j = wilson(right, there + said - right)
    value, low, high = (2 * v / (1 + v) for v in (j.value, j.low, j.high))
    return ClassScore(name, wilson(right, said), wilson(right, there), Estimate(value, low, high, j.n, "Wilson"))


def log_loss(truth_N: np.ndarray, probabilities_NC: np.ndarray, seed: int = 0) -> Estimate:
    """Return the mean of -log p(true class) in nats, bootstrapped over items. Probabilities are clipped at 1e-7."""
    losses = -np.log(np.clip(probabilities_NC[np.arange(len(truth_N)), truth_N], 1e-7, 1.0))
    return mean_estimate(losses, seed)


def mean_estimate(values_N: np.ndarray, seed: int = 0) -> Estimate:
    """Return the mean with a percentile bootstrap interval over items."""
    n = len(values_N)
    if n == 0:
        return Estimate(0.0, 0.0, 0.0, 0, "bootstrap")
    generator = np.random.default_rng(seed)
    means = [values_N[generator.integers(n, size=n)].mean() for _ in range(1000)]
    low, high = np.quantile(means, [0.025, 0.975])
    value = float(values_N.mean())
    return Estimate(value, min(float(low), value), max(float(high), value), n, "bootstrap, 1000 draws")


def auc(truth_N: np.ndarray, probabilities_NC: np.ndarray) -> Estimate | None:
    """Return the area under the ROC curve, one class against the rest, averaged over classes; None where undefined.

    Per class AUC = P(score of a member > score of another) + P(equal) / 2 (Mann-Whitney), over the classes that have
    both members and others. The limits are the averages of the classes' limits (`auc_interval`), which is wide
    rather than narrow: the classes share their items.
    """
    parts = []
    for index in range(probabilities_NC.shape[1]):
        member = truth_N == index
        if 0 < member.sum() < len(truth_N):
            value = area(probabilities_NC[:, index], member)
            parts.append((value, *auc_interval(value, int(member.sum()), int((~member).sum()))))
    if not parts:
        return None
    value, low, high = np.mean(parts, axis=0)
    return Estimate(float(value), float(low), float(high), len(truth_N), "Newcombe, mean over classes")
