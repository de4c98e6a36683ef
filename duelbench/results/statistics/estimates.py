"""Statistics of a few noisy runs: means, differences, probabilities, each with an interval that covers.

Seeds are few, so the percentile bootstrap that is common in the field is too narrow: what it calls 95 % holds the true
mean in 73 % of all cases with three runs, 84 % with five and 90 % with ten. Every interval here is simulated in the
tests with 5, 10 and 20 runs (Student's t with 3, too): it covers 93 to 97.5 % where runs are normal, and no less than
90 % where their skewness is 1 (a gamma distribution of shape 4). Heavier tails cost more: of a lognormal with σ = 1
Student's t covers 81 to 87 %.

Shapes: R runs, Q points of a curve. Statistics of whole curves: ``duelbench.results.statistics.curves``.

References:
    Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice" (interquartile
    mean, probability of improvement, performance profiles).
    Newcombe 2006, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic", part 2.
    Holm 1979, "A simple sequentially rejective multiple test procedure".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtr, stdtrit  # scipy.stats would take longer to import than a report to write

Floats = NDArray[np.float64]

IQM_MIN_SCORES = 8
"""With fewer scores the trimmed mean is little but a mean under another name."""

BAND_MIN_RUNS = 5
"""With fewer runs only Student's t covers what it says: no other interval is given, and curves are drawn one by one."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval. An unknown end is infinite."""

    value: float
    low: float
    high: float

    @property
    def separated(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    @property
    def known(self) -> bool:
        """Whether there is an interval at all."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    @classmethod
    def without_interval(cls, value: float) -> Estimate:
        """A number without an interval."""
        return cls(float(value), -np.inf, np.inf)


def iqm(scores: ArrayLike, axis: int | None = None) -> Floats:
    """Interquartile mean: the mean of what is left without the lowest and the highest quarter.

    Args:
        scores: any shape.
        axis: the axis to reduce; all scores together if None.

    Raises:
        ValueError: fewer than ``IQM_MIN_SCORES`` scores.

    >>> float(iqm([0, 0, 1, 2, 3, 4, 99, 99]))
    2.5
    """
    array = np.asarray(scores, dtype=np.float64)
    n = array.size if axis is None else array.shape[axis]
    if n < IQM_MIN_SCORES:
        raise ValueError(f"an interquartile mean needs {IQM_MIN_SCORES} scores, got {n}: use the mean")
    array, axis = (array.ravel(), 0) if axis is None else (array, axis)
    cut = n // 4
    kept = np.partition(array, (cut, n - cut - 1), axis=axis).take(range(cut, n - cut), axis=axis)
    return np.asarray(kept.mean(axis=axis))


def center(scores: ArrayLike, axis: int = 0) -> Floats:
    """The interquartile mean where there are scores enough for one, else the mean."""
    array = np.asarray(scores, dtype=np.float64)
    return iqm(array, axis) if array.shape[axis] >= IQM_MIN_SCORES else array.mean(axis)


def standard_error(values: ArrayLike) -> float | None:
    """Standard error of the mean over runs (R,); None for one run, which says nothing of its spread."""
    array = np.asarray(values, dtype=np.float64)
    return None if array.size < 2 else float(array.std(ddof=1) / np.sqrt(array.size))


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Mean of runs (R,) with its Student t interval; infinitely wide for a single run.

    >>> e = mean_interval([1.0, 2.0, 3.0])
    >>> round(e.value, 2), round(e.low, 2), round(e.high, 2)
    (2.0, -0.48, 4.48)
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("no values: nothing to estimate")
    if array.size == 1:
        return Estimate.without_interval(float(array.mean()))
    low, high = mean_band(array.ravel(), confidence)
    return Estimate(float(array.mean()), float(low), float(high))


def mean_band(values: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Ends of Student's t interval of the mean over the first axis, point by point: (R, ...) -> (...) and (...).

    NaN for a single run, which says nothing of its spread.
    """
    array = np.asarray(values, dtype=np.float64)
    runs = len(array)
    if runs < 2:
        return np.full(array.shape[1:], np.nan), np.full(array.shape[1:], np.nan)
    half = t_quantile(runs - 1, confidence) * array.std(axis=0, ddof=1) / np.sqrt(runs)
    return np.asarray(array.mean(axis=0) - half), np.asarray(array.mean(axis=0) + half)


def t_quantile(freedom: float, confidence: float = 0.95) -> float:
    """Half the width of Student's t interval in standard errors."""
    return float(stdtrit(freedom, 0.5 + confidence / 2))


def welch_freedom(variances: ArrayLike, runs: ArrayLike) -> float:
    """Degrees of freedom of a sum of independent means, from the variance of each and its number of runs (M,).

    Welch and Satterthwaite's: between the fewest runs less 1 and all runs less M.
    """
    v, n = np.asarray(variances, dtype=np.float64), np.asarray(runs, dtype=np.float64)
    if not np.isfinite(v).all() or not v.any():
        return float(n.min() - 1)
    v = v / v.max()
    return float(v.sum() ** 2 / (v**2 / (n - 1)).sum())


def p_value(values: ArrayLike) -> float:
    """Two-sided p value of a mean of 0, by Student's t over runs (R,); NaN for a single run.

    Below 0.05 exactly where the 95 % interval leaves out 0.

    >>> round(p_value([0.1, 0.2, 0.3]), 3)
    0.074
    """
    array = np.asarray(values, dtype=np.float64)
    error = standard_error(array)
    if error is None:
        return float("nan")
    if error == 0.0:
        return 0.0 if array.mean() else 1.0
    return float(2.0 * stdtr(array.size - 1, -abs(array.mean()) / error))


def holm(p_values: ArrayLike) -> Floats:
    """Holm's p values of several comparisons: with these, the chance of even one false finding stays below 5 %.

    NaN (nothing was compared) stays NaN and is not counted.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full(len(p), np.nan)
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


def paired_differences(first: Mapping[int, float], second: Mapping[int, float]) -> Floats:
    """Difference first - second for each seed that both have, in order of seed; {seed: score} each.

    Runs of one seed meet the same prompts and the same noise, so what is common to them cancels.
    """
    shared = sorted(first.keys() & second.keys())
    return np.array([first[seed] - second[seed] for seed in shared], dtype=np.float64)


def performance_profile(scores: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Share of the scores (any shape) above each threshold (T,), shape (T,)."""
    flat = np.ravel(np.asarray(scores, dtype=np.float64))
    above = flat > np.asarray(thresholds, dtype=np.float64)[:, None]  # (T, scores)
    return np.asarray(above.mean(axis=1))


def probability_of_improvement(pairs: Sequence[tuple[ArrayLike, ArrayLike]], confidence: float = 0.95) -> Estimate:
    """Probability that a run of the first scores above a run of the second, ties half, averaged over M tasks.

    The value is the Mann–Whitney statistic U / (R1 R2). The ends are those probabilities θ that lie just
    z standard errors away, with Newcombe's standard error at θ (his method 5), which depends on θ and the numbers of
    runs alone; so neither end leaves [0, 1], and two agents that do not overlap have an interval, too.

    Args:
        pairs: for each task the scores of both, (R1,) and (R2,).
        confidence: coverage wanted.

    Returns:
        The estimate; without an interval where one side has fewer than ``BAND_MIN_RUNS`` runs.

    >>> e = probability_of_improvement([([3, 4, 5, 6, 7], [1, 2, 3, 4, 5])])
    >>> round(e.value, 2), round(e.low, 2), round(e.high, 2)
    (0.82, 0.45, 0.96)
    """
    arrays = [(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)) for x, y in pairs]
    value = float(np.mean([((x[:, None] > y) + 0.5 * (x[:, None] == y)).mean() for x, y in arrays]))
    sizes = np.array([(len(x), len(y)) for x, y in arrays], dtype=np.float64)
    if sizes.min() < BAND_MIN_RUNS:
        return Estimate.without_interval(value)
    z = float(ndtri(0.5 + confidence / 2))
    return Estimate(value, _end(value, 0.0, sizes, z), _end(value, 1.0, sizes, z))


def _end(value: float, outer: float, sizes: Floats, z: float) -> float:
    """The probability farthest towards ``outer`` that is no more than z standard errors from the value; by halving."""
    inside, outside = value, outer
    for _ in range(50):
        middle = 0.5 * (inside + outside)
        if abs(value - middle) <= z * _mann_whitney_error(middle, sizes):
            inside = middle
        else:
            outside = middle
    return inside


def _mann_whitney_error(theta: float, sizes: Floats) -> float:
    """Newcombe's standard error of the mean of M Mann–Whitney statistics that are all θ; sizes (M, 2)."""
    first, second = (1.0 - theta) / (2.0 - theta), theta / (1.0 + theta)
    each = theta * (1.0 - theta) * (1.0 + (sizes.mean(axis=1) - 1.0) * (first + second)) / sizes.prod(axis=1)
    return float(np.sqrt(each.sum()) / len(sizes))
