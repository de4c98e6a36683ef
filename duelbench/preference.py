"""How utilities become preferences and preferences become verdicts.

P(y ≻ y' | x) = F((u(x, y) − u(x, y')) / τ) with a link F that is symmetric: F(−z) = 1 − F(z). A verdict is
Bernoulli(P) or 1[P > ½], then flipped with a small probability. All noise comes from uniforms that the caller
draws from a seeded stream, so the same duel under the same seed gets the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtr

from duelbench.types import Verdict

Array = NDArray[np.float64]

LINKS: dict[str, Callable[[Array], Array]] = {
    "bradley-terry": expit,
    "thurstone": ndtr,
    "deterministic": lambda z: 0.5 * (1.0 + np.sign(z)),
}
"""Bradley–Terry is the logistic function, Thurstone the normal distribution function."""


def preference_probability(
    first: ArrayLike, second: ArrayLike, *, temperature: float = 1.0, link: str = "bradley-terry"
) -> Array:
    """Probability that the first response is preferred, F((u₁ − u₂) / τ).

    Args:
        first: utilities of the first responses, any shape.
        second: utilities of the second responses, broadcastable.
        temperature: τ > 0; larger is noisier.
        link: one of ``LINKS``.

    >>> preference_probability([0.0, 2.0], [0.0, 0.0]).round(3).tolist()
    [0.5, 0.881]
    """
    if link not in LINKS:
        raise ValueError(f"unknown link {link!r}: expected one of {sorted(LINKS)}")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    return LINKS[link]((np.asarray(first, np.float64) - np.asarray(second, np.float64)) / temperature)


@dataclass(frozen=True, slots=True)
class Feedback:
    """How a preference probability turns into a verdict.

    Attributes:
        mode: ``bernoulli`` draws the winner with probability P; ``deterministic`` names the likelier one.
        flip: probability that the verdict is turned round afterwards (an annotator's slip).
    """

    mode: Literal["bernoulli", "deterministic"] = "bernoulli"
    flip: float = 0.0

    def __post_init__(self) -> None:
        if self.mode not in ("bernoulli", "deterministic"):
            raise ValueError(f"feedback must be 'bernoulli' or 'deterministic', got {self.mode!r}")
        if not 0.0 <= self.flip <= 1.0:
            raise ValueError(f"flip noise must lie in [0, 1], got {self.flip}")

    def verdicts(self, probability: Array, uniforms: Array) -> NDArray[np.int8]:
        """Verdict codes of n duels.

        Args:
            probability: P(first preferred), (n,); NaN where the oracle failed, which becomes ``INVALID``.
            uniforms: two uniforms in [0, 1) a duel, (n, 2): for the draw and for the flip.
        """
        probability = np.asarray(probability, np.float64)
        if np.any((probability < 0) | (probability > 1)):
            raise ValueError("an oracle gave a preference probability outside [0, 1]")
        tie = np.zeros(probability.shape, bool)
        if self.mode == "bernoulli":
            first = uniforms[..., 0] < probability
        else:
            first, tie = probability > 0.5, probability == 0.5
        first = first ^ (uniforms[..., 1] < self.flip)
        verdicts = np.where(tie, Verdict.TIE, np.where(first, Verdict.FIRST, Verdict.SECOND))
        return np.where(np.isnan(probability), Verdict.INVALID, verdicts).astype(np.int8)


REWARD_OF_VERDICT: Array = np.array([verdict.reward for verdict in Verdict])
"""Reward by verdict code; NaN for INVALID and SKIPPED: no answer is never a number."""
