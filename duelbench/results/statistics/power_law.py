"""A power law through the win rates of an agent's runs: w(n) = 1 − ½ (n / a)^(−b) after n labels.

With y = ln(2 (1 − w)) the law is a straight line in ln n, y = b ln a − b ln n. Each run has its own least-squares line,
which is linear in the run's y, so intercept and slope are means over runs and have Student's t intervals, however much
the points of a curve depend on each other. Where the line meets a level is a ratio of two such means: Fieller.

References:
    Fieller 1954, "Some problems in interval estimation".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from duelbench.results.statistics.curves import Curves
from duelbench.results.statistics.estimates import Estimate, Floats, mean_interval, t_quantile

_FEWEST_POINTS = 3  # of a line whose fit can be judged


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """The line of each run in ln n, (R,) each.

    Attributes:
        intercepts: b ln a.
        slopes: b, positive where the win rate rises.
    """

    intercepts: Floats
    slopes: Floats

    @property
    def exponent(self) -> Estimate:
        """b, with its 95 % interval: how fast the distance to a win rate of 1 falls."""
        return mean_interval(self.slopes)

    @property
    def scale(self) -> Estimate:
        """a, with its 95 % interval: the labels at which the law passes a win rate of ½."""
        return self.labels(0.5)

    def labels(self, win_rate: float) -> Estimate:
        """Labels until a win rate below 1, read off the law, with a 95 % interval; beyond the data it is a guess.

        Without an interval where the slope is not separated from 0: then any number of labels may be needed.
        """
        rise = self.intercepts - np.log(2.0 * (1.0 - win_rate))  # (R,); ln n = mean rise / mean slope
        found = fieller(rise, self.slopes)
        with np.errstate(over="ignore"):
            value, low, high = np.exp([found.value, found.low, found.high])
        return (
            Estimate(float(value), float(low), float(high)) if found.known else Estimate.without_interval(float(value))
        )

    def __call__(self, labels: Floats) -> Floats:
        """The win rate after each number of labels above 0."""
        return np.asarray(1.0 - 0.5 * np.exp(self.intercepts.mean() - self.slopes.mean() * np.log(labels)))


def power_law(curves: Curves) -> PowerLaw | None:
    """The law of an agent's win rates; None where fewer than three points after the start are below 1 in every run."""
    usable = (curves.labels > 0) & (curves.values < 1.0).all(axis=0)
    if usable.sum() < _FEWEST_POINTS:
        return None
    x, y = np.log(curves.labels[usable]), np.log(2.0 * (1.0 - curves.values[:, usable]))  # (Q,), (R, Q)
    centred = x - x.mean()
    slopes = -(y @ centred) / (centred @ centred)
    return PowerLaw(y.mean(axis=1) + slopes * x.mean(), slopes)


def fieller(numerators: Floats, denominators: Floats, confidence: float = 0.95) -> Estimate:
    """The ratio of two means over the same runs, (R,) each, with Fieller's interval.

    The interval holds each ratio θ for which the mean of numerator − θ denominator is not separated from 0. Without an
    interval where the mean denominator is not separated from 0 itself, or for a single run.

    >>> found = fieller(np.array([2.0, 4.0, 6.1]), np.array([1.0, 2.0, 2.9]))
    >>> round(found.value, 2), found.low < 2.05 < found.high
    (2.05, True)
    """
    top, bottom, runs = float(numerators.mean()), float(denominators.mean()), len(numerators)
    ratio = top / bottom if bottom else float("inf")
    if runs < 2 or not mean_interval(denominators, confidence).separated:
        return Estimate.without_interval(ratio)
    (vtt, vtb), (_, vbb) = np.cov(numerators, denominators) * t_quantile(runs - 1, confidence) ** 2 / runs
    a, b, c = bottom**2 - vbb, top * bottom - vtb, top**2 - vtt  # a θ² − 2 b θ + c ≤ 0
    half = float(np.sqrt(max(0.0, b**2 - a * c)))
    return Estimate(ratio, (b - half) / a, (b + half) / a)
