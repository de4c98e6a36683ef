"""Statistics of learning curves: bands, area, labels to a threshold, label multipliers.

Shapes: R runs, Q evaluation points on one grid of oracle labels, S bootstrap resamples.

One rule runs through the file: **a run is the unit of resampling.** The points of one learning curve depend
on each other, so run indices are resampled once and every curve is kept whole. Resampling each point on its
own leaves pointwise bands valid but makes the interval of any functional of a curve (area, labels to a
threshold, multiplier) far too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from duelbench.results.statistics.estimates import Floats, bootstrap_indices, center, percentiles, resample


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
        low: lower end of the interval.
        high: upper end; infinite if the base is censored in more resamples than the upper tail holds, and
            then only "more than ``low``" can be said.
        base_censored: share of resamples in which the base never got there.
        agent_censored: the same for the agent.
    """

    threshold: float
    base_labels: float
    agent_labels: float
    value: float
    low: float
    high: float
    base_censored: float
    agent_censored: float


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


def curve_band(
    curves: Curves, rng: np.random.Generator, confidence: float = 0.95, n_resamples: int = 2_000
) -> tuple[Floats, Floats]:
    """Pointwise interval of the mean curve from whole-run resamples: (Q,) and (Q,)."""
    return percentiles(resample(curves.values, bootstrap_indices(len(curves), n_resamples, rng)), confidence)


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
    """For each threshold: labels of the base / labels of the agent, with a whole-run bootstrap interval.

    Both agents are resampled independently, their center curves are recomputed, and both are read at the
    threshold. A censored agent needs more labels than it was given, so for the lower end a censored base
    counts as its whole budget, and for the upper end a censored agent as its own.
    """
    pair = (base, agent)
    drawn = [resample(c.values, bootstrap_indices(len(c), n_resamples, rng), center) for c in pair]
    centers = [center(c.values) for c in pair]
    budgets = [float(c.labels[-1]) for c in pair]
    found = []
    for threshold in thresholds:
        needed = [labels_to_threshold(c.labels, y, threshold) for c, y in zip(pair, centers, strict=True)]
        samples = [labels_to_threshold(c.labels, y, threshold) for c, y in zip(pair, drawn, strict=True)]
        low, high = _ratio_interval(samples, budgets, confidence)
        censored = [float(np.isinf(sample).mean()) for sample in samples]
        base_labels, agent_labels = (float(n) for n in needed)
        value = float(_ratio(needed[0], needed[1]))
        found.append(Multiplier(threshold, base_labels, agent_labels, value, low, high, *censored))
    return found


def _ratio_interval(samples: list[Floats], budgets: list[float], confidence: float) -> tuple[float, float]:
    base, agent = samples
    at_least = _ratio(np.minimum(base, budgets[0]), agent)
    at_most = _ratio(base, np.minimum(agent, budgets[1]))
    # NaN is 0/0, both there at the start: it could be any ratio.
    low, _ = percentiles(np.where(np.isnan(at_least), 0.0, at_least), confidence)
    _, high = percentiles(np.where(np.isnan(at_most), np.inf, at_most), confidence)
    return float(low), float(high)


def _ratio(base: Floats, agent: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(base / agent)
