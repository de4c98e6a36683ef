"""Statistics of an agent over several tasks: one number for all of them, with an interval over seeds.

Shapes: M tasks, R runs of a task, N runs of all tasks, S resamples. ``strata`` are the scores of each task's runs,
already on one scale. The set of tasks is fixed: an interval says how much other seeds would change the number, not how
the agent would do on other tasks.

References:
    Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical precipice".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from duelbench.results.statistics.estimates import (
    BAND_MIN_RUNS,
    Estimate,
    Floats,
    center,
    performance_profile,
    t_quantile,
    welch_freedom,
)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An agent over all tasks, each number with its interval as far as there are runs enough for one.

    Attributes:
        center: interquartile mean of all N scores together, or the mean of few (``estimates.center``).
        mean: mean of the tasks' means.
    """

    center: Estimate
    mean: Estimate


def aggregate(
    strata: Sequence[ArrayLike], rng: np.random.Generator, confidence: float = 0.95, n_resamples: int = 1_000
) -> Aggregate:
    """Both numbers of an agent. Tasks with more runs weigh more in ``center``, which pools runs; not so in ``mean``.

    ``mean`` has Welch's t interval, from two runs per task on. ``center`` has one of the same form from
    ``BAND_MIN_RUNS`` runs per task on: its standard error is that of bootstrap resamples within each task, whose
    deviations from the task's mean are stretched by √(R / (R − 1)), which is what a bootstrap of R runs lacks.
    """
    arrays = [np.asarray(scores, dtype=np.float64) for scores in strata]
    if not arrays or any(not len(scores) for scores in arrays):
        raise ValueError("every task needs at least one score: leave out the tasks that were not played")
    together, means = np.concatenate(arrays), np.array([a.mean() for a in arrays])
    middle, mean = float(center(together)), float(means.mean())
    runs = np.array([len(a) for a in arrays])
    if runs.min() < 2:
        return Aggregate(Estimate.without_interval(middle), Estimate.without_interval(mean))
    variances = np.array([a.var(ddof=1) / len(a) for a in arrays])
    t = t_quantile(welch_freedom(variances, runs), confidence)
    half = t * float(np.sqrt(variances.sum())) / len(arrays)
    found = Estimate(mean, mean - half, mean + half)
    if runs.min() < BAND_MIN_RUNS:
        return Aggregate(Estimate.without_interval(middle), found)
    drawn = np.concatenate([_stretched(a, n_resamples, rng) for a in arrays], axis=1)  # (S, N)
    half = t * float(center(drawn, axis=1).std(ddof=1))
    return Aggregate(Estimate(middle, middle - half, middle + half), found)


def _stretched(scores: Floats, n_resamples: int, rng: np.random.Generator) -> Floats:
    """Resamples of a task's runs with as much spread as the runs are estimated to have, (S, R)."""
    runs, mean = len(scores), scores.mean()
    drawn = scores[rng.integers(runs, size=(n_resamples, runs))]
    return np.asarray(mean + np.sqrt(runs / (runs - 1)) * (drawn - mean))


def profile(strata: Sequence[ArrayLike], thresholds: ArrayLike) -> Floats:
    """Share of all N scores above each threshold, (T,)."""
    return performance_profile(np.concatenate([np.asarray(scores, np.float64) for scores in strata]), thresholds)
