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
    """1[P > ½] + ½·1[P = ½]: the win of one response over the reference, ties half."""
    probability = np.asarray(probability, np.float64)
    return (probability > 0.5) + 0.5 * (probability == 0.5)
