"""Statistics of a few noisy runs: means, intervals, paired differences, probability of improvement.

Shapes: R runs, S bootstrap resamples. Statistics of whole learning curves: ``duelbench.results.statistics.curves``.

References:
    Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice" (interquartile
    mean, stratified bootstrap, probability of improvement, performance profiles).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit  # scipy.stats would take longer to import than a report to write

Floats = NDArray[np.float64]
Statistic = Callable[..., Floats]

IQM_MIN_SCORES = 8
"""With fewer scores the trimmed mean is little but a mean under another name."""

BAND_MIN_RUNS = 5
"""With fewer runs a bootstrap interval is much too narrow to be shown."""

_BLOCK = 4_000_000  # resampled values held in memory at once


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
    """The interquartile mean where there are scores enough for one (``center_name``), else the mean."""
    array = np.asarray(scores, dtype=np.float64)
    return iqm(array, axis) if array.shape[axis] >= IQM_MIN_SCORES else array.mean(axis)


def center_name(n: int) -> str:
    """What ``center`` of n scores is, in words."""
    return "interquartile mean" if n >= IQM_MIN_SCORES else "mean"


def standard_error(values: ArrayLike) -> float | None:
    """Standard error of the mean over runs (R,); None for one run, which says nothing of its spread."""
    array = np.asarray(values, dtype=np.float64)
    return None if array.size < 2 else float(array.std(ddof=1) / np.sqrt(array.size))


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Estimate:
    """Mean of runs (R,) with its Student t interval; infinitely wide for a single run.

    The t interval, not a bootstrap, because seeds are few: with three of them a percentile bootstrap calls a
    difference real whenever the three agree in sign, which happens by chance in one case of four.

    >>> e = mean_interval([1.0, 2.0, 3.0])
    >>> round(e.value, 2), round(e.low, 2), round(e.high, 2)
    (2.0, -0.48, 4.48)
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise ValueError("no values: nothing to estimate")
    mean, error = float(array.mean()), standard_error(array)
    if error is None:
        return Estimate(mean, -np.inf, np.inf)
    half = float(stdtrit(array.size - 1, 0.5 + confidence / 2)) * error
    return Estimate(mean, mean - half, mean + half)


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


def bootstrap_indices(n_runs: int, n_resamples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Which runs make up each resample, drawn with replacement, (S, R)."""
    return rng.integers(n_runs, size=(n_resamples, n_runs))


def resample(values: ArrayLike, indices: NDArray[np.int64], statistic: Statistic = np.mean) -> Floats:
    """The statistic over runs in each resample: values (R, ...), indices (S, R) -> (S, ...).

    ``statistic(array, axis=...)`` must be vectorised. Whatever follows the run axis stays together.
    """
    array = np.asarray(values, dtype=np.float64)
    quick = {np.mean: _resampled_means, center: _resampled_means if len(array) < IQM_MIN_SCORES else _resampled_iqms}
    if statistic in quick and np.isfinite(array).all():  # counts of each run instead of S copies of the runs
        found = quick[statistic](array.reshape(len(array), -1), _counts(indices))
        return np.asarray(found.reshape(len(indices), *array.shape[1:]))
    blocks = np.array_split(indices, max(1, -(-indices.shape[0] * array.size // _BLOCK)))
    return np.concatenate([statistic(array[block], axis=1) for block in blocks])


def _resampled_means(values: Floats, counts: Floats) -> Floats:
    """Values (R, Q) with their counts in each resample (S, R) -> (S, Q)."""
    return np.asarray(counts @ values / len(values))


def _resampled_iqms(values: Floats, counts: Floats) -> Floats:
    """The same for the interquartile mean: a sorted run counts as far as its copies lie between the cuts."""
    runs, n_points = values.shape
    cut = runs // 4
    found = np.empty((len(counts), n_points))
    for point in range(n_points):
        order = np.argsort(values[:, point])
        upto = counts[:, order].cumsum(axis=1).clip(cut, runs - cut)  # (S, R): copies up to this run
        kept = np.diff(upto, axis=1, prepend=cut)
        found[:, point] = kept @ values[order, point] / (runs - 2 * cut)
    return found


def percentiles(resampled: Floats, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Lower and upper end of the percentile interval along the first axis (S, ...).

    The ends are resampled values themselves, the outer neighbour of two, so infinite values are allowed.
    """
    tail = (1 - confidence) / 2
    low = np.quantile(resampled, tail, axis=0, method="lower")
    return low, np.quantile(resampled, 1 - tail, axis=0, method="higher")


def probability_of_improvement(
    first: ArrayLike,
    second: ArrayLike,
    rng: np.random.Generator,
    confidence: float = 0.95,
    n_resamples: int = 10_000,
) -> Estimate:
    """Probability that a run of the first scores above a run of the second, ties half.

    This is the Mann-Whitney statistic U / (R1 R2).

    Args:
        first: scores (R1,).
        second: scores (R2,).
        rng: source of the resamples; both sides are resampled independently.
        confidence: coverage wanted.
        n_resamples: S.
    """
    value, resampled = improvement_resamples(first, second, rng, n_resamples)
    low, high = percentiles(resampled, confidence)
    return Estimate(value, float(low), float(high))


def improvement_resamples(
    first: ArrayLike, second: ArrayLike, rng: np.random.Generator, n_resamples: int
) -> tuple[float, Floats]:
    """The Mann-Whitney statistic of scores (R1,) and (R2,), and the same in each resample, (S,)."""
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    wins = (x[:, None] > y) + 0.5 * (x[:, None] == y)  # (R1, R2)
    counts_x = _counts(bootstrap_indices(len(x), n_resamples, rng))  # (S, R1)
    counts_y = _counts(bootstrap_indices(len(y), n_resamples, rng))  # (S, R2)
    return float(wins.mean()), ((counts_x @ wins) * counts_y).sum(axis=1) / wins.size


def _counts(indices: NDArray[np.int64]) -> Floats:
    """How often each run is in each resample, (S, R)."""
    n_resamples, runs = indices.shape
    flat = (indices + runs * np.arange(n_resamples)[:, None]).ravel()
    return np.bincount(flat, minlength=n_resamples * runs).reshape(n_resamples, runs).astype(np.float64)
