"""Lines that a picture of regret can be read against, and what exactly each of them bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from duelbench.duels.tournament import arm_losses, condorcet_winner

Floats = NDArray[np.float64]
UNIFORM_PAIRS, BEST_AGAINST_UNIFORM = "uniform pairs", "best vs uniform"
"""Names of the guides that every problem with known regret has."""


@dataclass(frozen=True, slots=True)
class Guide:
    """A line y = coefficient · f(T) over T labels.

    Attributes:
        metric: the recorded metric it belongs to.
        name: short, for a legend.
        shape: f: T, ln T, √T, T^⅔, 1/T or 1.
        coefficient: in the metric's unit.
        says: what it bounds, or that it is a rate only.
    """

    metric: str
    name: str
    shape: Literal["linear", "log", "sqrt", "two_thirds", "inverse", "constant"]
    coefficient: float
    says: str

    def value(self, labels: ArrayLike) -> Floats:
        """y at T labels; NaN where f is not defined."""
        labels = np.where(np.asarray(labels, np.float64) > 0, labels, np.nan)
        f = {
            "linear": labels,
            "log": np.log(labels),
            "sqrt": np.sqrt(labels),
            "two_thirds": np.cbrt(labels) ** 2,
            "inverse": 1.0 / labels,
            "constant": labels**0.0,
        }
        return self.coefficient * f[self.shape]


def bernoulli_kl(p: ArrayLike, q: ArrayLike) -> Floats:
    """kl(p, q) = p ln(p/q) + (1 − p) ln((1 − p)/(1 − q)), infinite where q rules p out.

    >>> float(bernoulli_kl(0.5, 0.5)), float(bernoulli_kl(0.0, 0.5)).__round__(4)
    (0.0, 0.6931)
    """
    from scipy.special import rel_entr

    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    return rel_entr(p, q) + rel_entr(1.0 - p, 1.0 - q)


def condorcet_slope(preferences: Floats) -> float:
    """c of lim inf R(T) / ln T ≥ c for average regret and any consistent algorithm (Komiyama et al. 2015, Theorem 1).

    c = Σ_{i ≠ c*} min_{j: P_ij < ½} ½(Δ_i + Δ_j) / kl(P_ij, ½) with Δ the gaps to the Condorcet winner c*. It bounds
    the slope of regret against ln T in the limit, not its level at any T.

    Args:
        preferences: P, (K, K).

    Returns:
        c, or NaN if there is no Condorcet winner.
    """
    winner = condorcet_winner(preferences)
    if winner is None:
        return float("nan")
    gap = preferences[winner] - 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = 0.5 * (gap[:, None] + gap) / bernoulli_kl(preferences, 0.5)
    cheapest = np.where(preferences < 0.5, cost, np.inf).min(-1)
    return float(np.delete(cheapest, winner).sum())


def matrix_guides(preferences: Floats) -> list[Guide]:
    """Guides for a preference matrix (K, K): uniform pairs, the best arm against a uniform one, and rates.

    Rates are √(KT) for regret against a Condorcet winner and ∛(KT²) for Borda regret (Saha et al. 2021). Weak regret
    has none: it can stay bounded.
    """
    losses, arms = arm_losses(preferences), len(preferences)
    kind = "average" if "average" in losses else "copeland"
    metric, borda = f"cumulative_{kind}_regret", "cumulative_borda_regret"
    guides = trivial_guides(metric, float(losses[kind].mean())) + trivial_guides(borda, float(losses["borda"].mean()))
    guides.append(Guide(borda, "∛(KT²) (rate only)", "two_thirds", arms ** (1 / 3), "minimax rate, constant not known"))
    if kind == "average":
        guides.append(
            Guide(
                metric,
                "c ln T (slope only)",
                "log",
                condorcet_slope(preferences),
                "asymptotic lower bound (Komiyama et al. 2015) on the slope against ln T, not on the level",
            )
        )
        guides.append(Guide(metric, "√(KT) (rate only)", "sqrt", arms**0.5, "minimax rate, constant not known"))
    return guides


def linear_guides(dim: int, uniform: float, span: float, link: str = "bradley-terry") -> list[Guide]:
    """Guides for linear utilities.

    Args:
        dim: d.
        uniform: mean average regret of a uniformly random arm.
        span: largest ‖z‖² = ‖x_i − x_j‖².
        link: from utilities to preferences, a name in ``duelbench.duels.preference.LINKS``.

    The estimation floor holds for any design: a duel's Fisher information is at most ι z zᵀ, largest at p = ½, so that
    E‖θ̂ − θ‖² ≥ tr (ι Σ z zᵀ)⁻¹ ≥ d² / (ι T max ‖z‖²) for unbiased estimators, asymptotically. ι = p(1 − p) = ¼ for
    Bradley–Terry and φ(0)²/¼ = 2/π for Thurstone; the other links have answers without noise, and no floor.
    """
    metric, information = "cumulative_average_regret", {"bradley-terry": 0.25, "thurstone": 2.0 / np.pi}.get(link)
    guides = [
        *trivial_guides(metric, uniform),
        Guide(metric, "√(dT) (rate only)", "sqrt", dim**0.5, "lower bound for finitely many arms, constant not known"),
        Guide(metric, "d√T (rate only)", "sqrt", float(dim), "rate for rich sets of arms, constant not known"),
    ]
    if information is not None:
        floor = dim**2 / (information * span)
        says = "asymptotic floor of unbiased estimators, any design; a regularised estimate may start below it"
        guides.append(Guide("parameter_error", "estimation floor ∝ 1/T", "inverse", floor, says))
    return guides


def average_guides(groups: Sequence[Sequence[Guide]]) -> list[Guide]:
    """One list of guides for several instances: coefficients averaged where they are known."""
    found: dict[tuple[str, str], list[Guide]] = {}
    for guide in (guide for group in groups for guide in group):
        found.setdefault((guide.metric, guide.name), []).append(guide)
    means = [(same[0], np.array([guide.coefficient for guide in same])) for same in found.values()]
    return [replace(g, coefficient=float(np.nanmean(c))) for g, c in means if not np.isnan(c).all()]


def best_of_guides(n: int, win_rate: float, win_probability: float) -> list[Guide]:
    """Lines for responses that a reference sampled: what the best of n by the true taste scores against all n.

    >>> [guide.value([1, 1000]).tolist() for guide in best_of_guides(64, 0.99, 0.8)]
    [[0.99, 0.99], [0.8, 0.8]]
    """
    name, says = f"best of {n}", f"the best of {n} reference responses by the true taste: no learner knows it"
    scores = {"offline_win_rate": win_rate, "offline_win_probability": win_probability}
    return [Guide(metric, name, "constant", score, says) for metric, score in scores.items()]


def trivial_guides(metric: str, uniform: float) -> list[Guide]:
    """Lines for any problem: uniform pairs, which lose ``uniform`` a duel, and the best arm against a uniform one."""
    return [
        Guide(metric, UNIFORM_PAIRS, "linear", uniform, "what random pairs lose"),
        Guide(metric, BEST_AGAINST_UNIFORM, "linear", 0.5 * uniform, "what the best arm loses beside a random one"),
    ]
