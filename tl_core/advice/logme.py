"""LogME: how well features explain labels, as the evidence of a Bayesian linear model (You et al. 2021).

https://arxiv.org/abs/2102.11005. For features F `[N, D]` and one label's column y `[N]` (1 for yes, 0 for no) the model
is y = F w + noise, w ~ N(0, 1 / alpha), noise ~ N(0, 1 / beta). LogME is log p(y | F, alpha, beta) at its maximum over
alpha and beta, divided by N and averaged over the labels. It needs no held-out items, because the evidence punishes
what is not needed to explain them. It ranks backbones on the same items; its size means nothing by itself.
"""

import numpy as np

GRID = np.linspace(-30.0, 30.0, 61)
"""Where log(alpha / beta) is searched first, around the logarithm of the largest squared singular value."""


def logme(features_ND: np.ndarray, targets_NK: np.ndarray) -> float:
    """Return LogME of features `[N, D]` and targets `[N, K]` of zeros and ones; larger is better.

    A label that no item has is left out.
    """
    left, singular, _ = np.linalg.svd(features_ND.astype(np.float64), full_matrices=False)
    present = targets_NK[:, targets_NK.any(axis=0)].T.astype(np.float64)
    return float(np.mean([_largest_evidence(left, singular**2, y) for y in present]) / len(features_ND))


def _largest_evidence(left_NR: np.ndarray, squared_R: np.ndarray, y_N: np.ndarray) -> float:
    """Return the largest log evidence of one label.

    For t = alpha / beta the best beta is N over the weighted error below, which leaves a function of t alone. The paper
    follows a fixed point to a maximum; a grid and a search around its best place finds the largest one.
    """
    from scipy.optimize import minimize_scalar

    n = len(y_N)
    z_R = (left_NR.T @ y_N) ** 2
    outside = max(float(y_N @ y_N - z_R.sum()), 0.0)

    def negative(log_t: float) -> float:
        t = np.exp(log_t)
        error = float((z_R * t / (squared_R + t)).sum()) + outside
        log_det = float(np.log(squared_R + t).sum()) - len(squared_R) * log_t
        return 0.5 * (n * np.log(error / n) + log_det + n * (1 + np.log(2 * np.pi)))

    places = GRID + np.log(squared_R.max() or 1.0)
    best = places[int(np.argmin([negative(place) for place in places]))]
    step = places[1] - places[0]
    refined = minimize_scalar(negative, bounds=(best - step, best + step), method="bounded", options={"xatol": 1e-8})
    return -float(min(refined.fun, negative(best)))
