"""Statistics of an agent over several tasks: one number for all of them, with runs resampled within each task.

Shapes: M tasks, R runs of a task, N runs of all tasks, S bootstrap resamples. ``strata`` are the scores of each task's
runs, already on one scale. The set of tasks is fixed: an interval says how much other seeds would change the number,
not how the agent would do on other tasks.

References:
    Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from duelbench.results.statistics.estimates import (
    Estimate,
    Floats,
    bootstrap_indices,
    center,
    improvement_resamples,
    percentiles,
    performance_profile,
    resample,
)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An agent over all tasks, each number with its stratified bootstrap interval.

    Attributes:
        center: interquartile mean of all N scores together, or the mean of few (``estimates.center``).
        mean: of the tasks' means.
        median: of the tasks' means.
        gap: optimality gap, 1 − mean(min(score, 1)): how far from the top, without credit for going beyond it.
    """

    center: Estimate
    mean: Estimate
    median: Estimate
    gap: Estimate


def optimality_gap(scores: ArrayLike, axis: int | None = None, top: float = 1.0) -> Floats:
    """top − mean(min(score, top)).

    >>> float(optimality_gap([0.5, 1.0, 1.5]))
    0.16666666666666663
    """
    array = np.asarray(scores, dtype=np.float64)
    return np.asarray(top - np.minimum(array, top).mean(axis=axis))


def aggregate(
    strata: Sequence[ArrayLike], rng: np.random.Generator, confidence: float = 0.95, n_resamples: int = 5_000
) -> Aggregate:
    """All numbers of an agent from the same stratified resamples.

    Tasks with more runs weigh more in ``center`` and ``gap``, which pool runs; every task weighs the same in ``mean``
    and ``median``.
    """
    arrays = [np.asarray(scores, dtype=np.float64) for scores in strata]
    if not arrays or any(not len(scores) for scores in arrays):
        raise ValueError("every task needs at least one score: leave out the tasks that were not played")
    drawn = [a[bootstrap_indices(len(a), n_resamples, rng)] for a in arrays]  # (S, R) each
    together, resampled = np.concatenate(arrays), np.concatenate(drawn, axis=1)  # (N,), (S, N)
    means, drawn_means = np.array([a.mean() for a in arrays]), np.stack([d.mean(1) for d in drawn], axis=1)  # (S, M)

    def estimate(value: Floats, samples: Floats) -> Estimate:
        low, high = percentiles(samples, confidence)
        return Estimate(float(value), float(low), float(high))

    return Aggregate(
        center=estimate(center(together), center(resampled, axis=1)),
        mean=estimate(means.mean(), drawn_means.mean(1)),
        median=estimate(np.median(means), np.median(drawn_means, axis=1)),
        gap=estimate(optimality_gap(together), optimality_gap(resampled, axis=1)),
    )


def profile_band(
    strata: Sequence[ArrayLike],
    thresholds: ArrayLike,
    rng: np.random.Generator,
    confidence: float = 0.95,
    n_resamples: int = 2_000,
) -> tuple[Floats, Floats]:
    """Pointwise interval of the performance profile of all N scores, (T,) and (T,), for thresholds (T,)."""
    levels = np.asarray(thresholds, dtype=np.float64)
    arrays = [np.asarray(scores, dtype=np.float64) for scores in strata]
    drawn = [
        len(a) * resample(a[:, None] > levels, bootstrap_indices(len(a), n_resamples, rng)) for a in arrays
    ]  # (S, T) each
    return percentiles(np.sum(drawn, axis=0) / sum(map(len, arrays)), confidence)


def profile(strata: Sequence[ArrayLike], thresholds: ArrayLike) -> Floats:
    """Share of all N scores above each threshold, (T,)."""
    return performance_profile(np.concatenate([np.asarray(scores, np.float64) for scores in strata]), thresholds)


def average_improvement(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]],
    rng: np.random.Generator,
    confidence: float = 0.95,
    n_resamples: int = 5_000,
) -> Estimate:
    """Probability that a run of the first scores above a run of the second, averaged over tasks.

    Args:
        pairs: for each task the scores of both, (R1,) and (R2,).
        rng: source of the resamples; both sides of every task are resampled on their own.
        confidence: coverage wanted.
        n_resamples: S.
    """
    found = [improvement_resamples(x, y, rng, n_resamples) for x, y in pairs]
    low, high = percentiles(np.mean([samples for _, samples in found], axis=0), confidence)
    return Estimate(float(np.mean([value for value, _ in found])), float(low), float(high))
