"""Statistics of learning curves: bands, area, labels to a threshold, label multipliers, power laws.

Shapes: R runs, Q evaluation points on one grid of oracle labels, S resamples.

One rule runs through the file: **a run is the unit of resampling.** The points of one learning curve depend
on each other, so whole runs are resampled and every curve is kept whole. Resampling each point on its
own leaves pointwise bands valid but makes the interval of any functional of a curve (area, labels to a
threshold, multiplier) far too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from duelbench.results.statistics.estimates import BAND_MIN_RUNS, Floats, t_quantile, welch_freedom


@dataclass(frozen=True, slots=True)
class Curves:
    """R learning curves on one grid: labels (Q,) ascending, values (R, Q)."""

    labels: Floats
    values: Floats

    def __len__(self) -> int:
        """Number of runs, R."""
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Multiplier:
    """How many times more labels the base needs than the agent to reach a threshold.

    Attributes:
        threshold: the score to reach.
        base_labels: labels the base needs; infinite if it never got there (censored).
        agent_labels: the same for the agent.
        value: base_labels / agent_labels; infinite or 0 if one is censored, NaN if both are.
        low: lower end of the interval; 0 where nothing is known, as with fewer than ``BAND_MIN_RUNS`` runs.
        high: upper end; infinite where nothing is known, or if the base is censored in more resamples than the upper
            tail holds, and then only "at least ``low``" can be said.
    """

    threshold: float
    base_labels: float
    agent_labels: float
    value: float
    low: float
    high: float


def align(grids: Sequence[ArrayLike], values: Sequence[ArrayLike]) -> Curves:
    """Curves with different grids on the union of them, linearly interpolated, where all of them are defined.

    Args:
        grids: for each run its labels, ascending.
        values: for each run its values on that grid.

    >>> align([[0, 10], [0, 5, 12]], [[0, 1], [0, 1, 1]]).labels.tolist()
    [0.0, 5.0, 10.0]
    """
    xs = [np.asarray(grid, dtype=np.float64) for grid in grids]
    ys = [np.asarray(value, dtype=np.float64) for value in values]
    if all(x is xs[0] or np.array_equal(x, xs[0]) for x in xs):
        return Curves(xs[0], np.stack(ys))
    union = np.unique(np.concatenate(xs))
    shared = union[(union >= max(x[0] for x in xs)) & (union <= min(x[-1] for x in xs))]
    return Curves(shared, np.stack([np.interp(shared, x, y) for x, y in zip(xs, ys, strict=True)]))


def area_under_curve(curves: Curves) -> Floats:
    """Average height of each curve over the labels it spans (trapezoid rule), (R,)."""
    span = curves.labels[-1] - curves.labels[0]
    return np.asarray(np.trapezoid(curves.values, curves.labels, axis=-1) / span)


def labels_to_threshold(labels: Floats, curve: Floats, threshold: float) -> Floats:
    """Labels at which a curve first reaches the threshold.

    Infinite where it never does: such a curve is censored, not dropped. The curve is made monotone by
    its running maximum and read linearly between evaluations.

    Args:
        labels: (Q,), ascending.
        curve: (..., Q).
        threshold: the score to reach.

    Returns:
        Labels, (...).

    >>> float(labels_to_threshold(np.array([0.0, 100.0, 200.0]), np.array([0.5, 0.5, 1.0]), 0.75))
    150.0
    """
    climbing = np.maximum.accumulate(curve, axis=-1)
    reached = climbing >= threshold
    after = reached.argmax(axis=-1)  # (...): the first point at or above
    before = np.maximum(after - 1, 0)
    y0, y1 = (np.take_along_axis(climbing, i[..., None], axis=-1)[..., 0] for i in (before, after))
    rise = np.where(y1 > y0, y1 - y0, 1.0)
    share = np.where(y1 > y0, (threshold - y0) / rise, 0.0)
    found = labels[before] + share * (labels[after] - labels[before])
    return np.where(reached.any(axis=-1), found, np.inf)


def multipliers(
    base: Curves,
    agent: Curves,
    thresholds: Sequence[float],
    rng: np.random.Generator,
    confidence: float = 0.95,
    n_resamples: int = 2_000,
) -> list[Multiplier]:
    """For each threshold: labels of the base / labels of the agent, read off the mean curves, with its interval.

    The interval comes from whole runs of both agents, resampled independently. A bootstrap of R runs is too narrow by
    √((R − 1) / R), and a normal quantile stands in it where a t quantile belongs; so the deviation of every resampled
    mean curve is stretched by √(R / (R − 1)) t / z, with Welch's degrees of freedom from the spread of the labels
    needed. A censored agent needs more labels than it was given: for the lower end a censored base counts as its whole
    budget, and for the upper end a censored agent as its own.

    Choose thresholds before looking at the curves: the largest of many multipliers is large by luck.
    """
    pair = (base, agent)
    runs, means = [len(c) for c in pair], [c.values.mean(axis=0) for c in pair]
    enough = min(runs) >= BAND_MIN_RUNS
    drawn = [_deviations(c, n_resamples, rng) for c in pair] if enough else []
    found = []
    for threshold in thresholds:
        base_labels, agent_labels = (
            float(labels_to_threshold(c.labels, m, threshold)) for c, m in zip(pair, means, strict=True)
        )
        value = float(_ratio(np.asarray(base_labels), np.asarray(agent_labels)))
        low, high = 0.0, np.inf
        if enough:
            t = t_quantile(_freedom(pair, drawn, threshold), confidence)
            samples = [_resampled_labels(c, d, threshold, t / _Z) for c, d in zip(pair, drawn, strict=True)]
            low, high = _ratio_interval(samples, [float(c.labels[-1]) for c in pair], confidence)
        found.append(Multiplier(threshold, base_labels, agent_labels, value, low, high))
    return found


_Z = t_quantile(np.inf)


def _deviations(curves: Curves, n_resamples: int, rng: np.random.Generator) -> Floats:
    """Resampled mean curves less the mean curve, with the variance that the latter is estimated to have, (S, Q).

    How often each run was drawn is multinomial; NumPy's own multinomial takes several times as long.
    """
    runs = len(curves)
    drawn = rng.integers(runs, size=(n_resamples, runs)) + runs * np.arange(n_resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=n_resamples * runs).reshape(n_resamples, runs)
    return np.asarray(counts @ (curves.values - curves.values.mean(axis=0)) / np.sqrt(runs * (runs - 1)))


def _resampled_labels(curves: Curves, deviations: Floats, threshold: float, stretch: float = 1.0) -> Floats:
    """Labels to the threshold in each resample, (S,)."""
    return labels_to_threshold(curves.labels, curves.values.mean(axis=0) + stretch * deviations, threshold)


def _freedom(pair: Sequence[Curves], drawn: Sequence[Floats], threshold: float) -> float:
    """Welch's degrees of freedom of the difference of the logarithms of both agents' labels to the threshold."""
    variances = []
    for curves, deviations in zip(pair, drawn, strict=True):
        ends = np.quantile(_resampled_labels(curves, deviations, threshold), [0.16, 0.84], method="nearest")
        with np.errstate(divide="ignore", invalid="ignore"):
            variances.append(float(np.diff(np.log(ends))[0] ** 2))  # infinite or NaN where it is not always reached
    return welch_freedom(variances, [len(curves) for curves in pair])


def _ratio_interval(samples: list[Floats], budgets: list[float], confidence: float) -> tuple[float, float]:
    base, agent = samples
    at_least = _ratio(np.minimum(base, budgets[0]), agent)
    at_most = _ratio(base, np.minimum(agent, budgets[1]))
    tail = (1 - confidence) / 2
    # NaN is 0/0, both there at the start: it could be any ratio. The ends are resampled values: some are infinite.
    low = np.quantile(np.where(np.isnan(at_least), 0.0, at_least), tail, method="lower")
    high = np.quantile(np.where(np.isnan(at_most), np.inf, at_most), 1 - tail, method="higher")
    return float(low), float(high)


def _ratio(base: Floats, agent: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(base / agent)
