"""Each regret under its own name, on one duel (y₁, y₂) with best known response y*.

Utilities u are the oracle's; P is its win probability. Every regret is relative to the set over which y* is best:
the whole pool in a pool environment (then regret is exact and ≥ 0), a declared comparator such as best-of-N of
the reference policy with free text (then it is a pseudo-regret and can be negative).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def average_regret(best: ArrayLike, first: ArrayLike, second: ArrayLike) -> Array:
    """u(y*) − ½(u(y₁) + u(y₂)): what users of both responses lose (SEA §2.2, on the reward scale).

    >>> float(average_regret(3.0, 1.0, 2.0))
    1.5
    """
    return np.asarray(best, np.float64) - 0.5 * (np.asarray(first, np.float64) + np.asarray(second, np.float64))


def weak_regret(best: ArrayLike, first: ArrayLike, second: ArrayLike) -> Array:
    """u(y*) − max(u(y₁), u(y₂)): what a user who takes the better one loses (Yue et al. 2012)."""
    return np.asarray(best, np.float64) - np.maximum(first, second)


def probability_regret(best_beats_first: ArrayLike, best_beats_second: ArrayLike) -> Array:
    """P(y* ≻ y₁) + P(y* ≻ y₂) − 1: the regret of SEA §2.1, zero when both tie with the best."""
    return np.asarray(best_beats_first, np.float64) + np.asarray(best_beats_second, np.float64) - 1.0


def simple_regret(best: ArrayLike, deployed: ArrayLike) -> Array:
    """u(y*) − u(y) of the response that would be deployed."""
    return np.asarray(best, np.float64) - np.asarray(deployed, np.float64)


def win_rate(probability: ArrayLike) -> Array:
    """1[P > ½] + ½·1[P = ½]: the win of one response over the reference, ties half; NaN where P is not known."""
    probability = np.asarray(probability, np.float64)
    return np.where(np.isnan(probability), np.nan, (probability > 0.5) + 0.5 * (probability == 0.5))


def mean_of_known(values: ArrayLike) -> Array:
    """Mean over the last axis of what is not NaN; NaN, without a warning, where nothing is known.

    >>> mean_of_known([[1.0, float("nan")], [float("nan")] * 2]).tolist()
    [1.0, nan]
    """
    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    sums, counts = np.where(known, values, 0.0).sum(-1), known.sum(-1)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
