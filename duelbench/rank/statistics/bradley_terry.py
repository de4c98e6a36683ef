"""Strengths from votes: Bradley–Terry with ties (Davidson 1970) and an advantage of the first place.

With d = θ_a + δ − θ_b for a shown first and b second,

    P(a) : P(tie) : P(b) = exp(d / 2) : exp(ν) : exp(−d / 2),

where θ are the items' strengths (logits), δ is the advantage of standing first, ν the readiness to call a tie. Without
ties and with δ = 0 that is Bradley–Terry. The log-likelihood is concave; a weak normal prior keeps an item that only
won finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

PRIOR = 0.1
"""Precision of the strengths' normal prior: standard deviation 3.2 logits, at which one of two items wins 96 in 100."""
_PLACE_PRIOR = 1.0
_DRAWS = 4000  # of the largest deviation
_STEPS, _CLOSE = 100, 1e-9


@dataclass(frozen=True)
class Strengths:
    """What the votes say.

    Attributes:
        mean: strengths in logits, their mean 0, (K,).
        place: advantage of the item shown first, in logits; 0 where it was not estimated.
        place_error: its standard error.
        tie: ν; −∞ where nobody called a tie.
        root: lower triangular L with precision L Lᵀ of (strengths, place, ν) as far as they were estimated.
    """

    mean: Floats
    place: float
    place_error: float
    tie: float
    root: Floats

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Samples of the strengths around their estimate, normal as for many votes, (n, K)."""
        deviations = solve_triangular(self.root.T, rng.standard_normal((len(self.root), n)), lower=False)
        some = deviations[: len(self.mean)].T
        return self.mean + some - some.mean(-1, keepdims=True)

    def variance_of_difference(self, one: Ids, other: Ids) -> Floats:
        """Var(θ_one − θ_other) of n pairs, (n,)."""
        covariance = self._covariance
        return covariance[one, one] + covariance[other, other] - 2.0 * covariance[one, other]

    @cached_property
    def _covariance(self) -> Floats:
        return np.asarray(cho_solve((self.root, True), np.eye(len(self.root))))

    def intervals(self, error: float, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        """Standard errors and simultaneous intervals: all K cover at once with probability 1 − error, (K,) each.

        The width is the quantile of the largest standardised deviation (max-|t|), normal as for many votes, at a number
        of votes that was fixed beforehand.
        """
        deviation = self.draw(_DRAWS, rng) - self.mean
        spread = deviation.std(0)
        widest = np.quantile(np.abs(deviation / spread).max(-1), 1.0 - error)
        return spread, self.mean - widest * spread, self.mean + widest * spread


def fit(
    items: int,
    first: Ids,
    second: Ids,
    verdict: Floats,
    *,
    place: bool = True,
    prior: float = PRIOR,
    start: Strengths | None = None,
) -> Strengths:
    """The strengths that fit votes best.

    Args:
        items: K.
        first: items shown first, (n,).
        second: items shown second, (n,).
        verdict: 1 where the first was named, 0 the second, ½ neither, (n,).
        place: whether to estimate the advantage of standing first.
        prior: precision of the strengths' prior, > 0.
        start: estimate to go on from.

    >>> found = fit(2, np.array([0, 1, 0]), np.array([1, 0, 1]), np.array([1.0, 0.0, 0.0]))
    >>> bool(found.mean[0] > found.mean[1])
    True
    """
    ties = bool((verdict == 0.5).any())
    size = items + place + ties
    at, tie_at = np.zeros(size), items + place
    if start is not None:
        at[:items] = start.mean
        at[items : items + place] = start.place
        at[tie_at:] = start.tie if np.isfinite(start.tie) else 0.0
    precision = np.full(size, 1e-6)
    precision[:items] = prior
    precision[items : items + place] = _PLACE_PRIOR
    score = verdict - 0.5

    def value(x: Floats) -> float:
        d, nu = _parameters(x, items, first, second, place, ties)
        normaliser = np.logaddexp(np.logaddexp(d / 2, -d / 2), nu)
        return float(
            (score * d + np.where(verdict == 0.5, nu if ties else 0.0, 0.0) - normaliser).sum()
            - 0.5 * (precision * x * x).sum()
        )

    now = value(at)
    for _ in range(_STEPS):
        d, nu = _parameters(at, items, first, second, place, ties)
        gradient, hessian = _derivatives(d, nu, size, items, first, second, score, verdict, place, ties)
        gradient -= precision * at
        hessian[np.diag_indices(size)] += precision
        factor = cho_factor(hessian, lower=True)
        step = cho_solve(factor, gradient)
        if gradient @ step < _CLOSE:
            break
        share = 1.0
        while (new := value(at + share * step)) < now and share > 1e-6:
            share /= 2.0
        at, now = at + share * step, new
    root = np.tril(factor[0])
    unit = np.zeros(size)
    unit[items : items + place] = 1.0
    error = float(np.sqrt((solve_triangular(root, unit, lower=True) ** 2).sum()))
    strengths = at[:items] - at[:items].mean()
    found = float(at[items]) if place else 0.0
    return Strengths(strengths, found, error, float(at[tie_at]) if ties else -np.inf, root)


def _parameters(x: Floats, items: int, first: Ids, second: Ids, place: bool, ties: bool) -> tuple[Floats, float]:
    d = x[first] - x[second] + (x[items] if place else 0.0)
    return d, float(x[-1]) if ties else -np.inf


def _derivatives(
    d: Floats,
    nu: float,
    size: int,
    items: int,
    first: Ids,
    second: Ids,
    score: Floats,
    verdict: Floats,
    place: bool,
    ties: bool,
) -> tuple[Floats, Floats]:
    """Gradient of the log-likelihood and its negative Hessian."""
    normaliser = np.logaddexp(np.logaddexp(d / 2, -d / 2), nu)
    won, lost, tied = np.exp(d / 2 - normaliser), np.exp(-d / 2 - normaliser), np.exp(nu - normaliser)
    mean = 0.5 * (won - lost)
    by_d = score - mean
    curve_d = 0.25 * (won + lost) - mean**2  # Var of the score
    gradient, hessian = np.zeros(size), np.zeros((size, size))
    np.add.at(gradient, first, by_d)
    np.add.at(gradient, second, -by_d)
    np.add.at(hessian, (first, first), curve_d)
    np.add.at(hessian, (second, second), curve_d)
    np.add.at(hessian, (first, second), -curve_d)
    np.add.at(hessian, (second, first), -curve_d)
    if place:
        gradient[items] = by_d.sum()
        hessian[items, items] = curve_d.sum()
        row = np.bincount(first, curve_d, items) - np.bincount(second, curve_d, items)
        hessian[items, :items] = hessian[:items, items] = row
    if ties:
        cross = -mean * tied  # Cov of the score and of calling a tie
        gradient[-1] = ((verdict == 0.5) - tied).sum()
        hessian[-1, -1] = (tied * (1.0 - tied)).sum()
        row = np.bincount(first, cross, items) - np.bincount(second, cross, items)
        hessian[-1, :items] = hessian[:items, -1] = row
        if place:
            hessian[-1, items] = hessian[items, -1] = cross.sum()
    return gradient, hessian
