"""Numbers that describe the utilities of many responses to a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit


def within(values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Standard deviation among the responses to one prompt, pooled over prompts, unbiased."""
    squares = sum(((v - v.mean(axis=0)) ** 2).sum(axis=0) for v in values)
    return np.asarray(np.sqrt(squares / sum(len(v) - 1 for v in values)))


def best_of(utilities: NDArray[np.float64], n: int) -> tuple[float, float]:
    """Expected utility of the best of n draws without replacement, and its win probability over one draw."""
    ordered, k = np.sort(utilities), len(utilities)
    chance = np.array([comb(i, n - 1) / comb(k, n) for i in range(k)])  # that the i-th from below is the best
    wins = expit(ordered[:, None] - ordered[None, :]).mean(axis=1)
    return float(chance @ ordered), float(chance @ wins)
