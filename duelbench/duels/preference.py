"""How utilities become preferences and preferences become verdicts.

P(y ≻ y' | x) = F((u(x, y) − u(x, y')) / τ) with a link F that is symmetric: F(−z) = 1 − F(z). A verdict is
Bernoulli(P) or 1[P > ½], then flipped with a small probability. All noise comes from uniforms that the caller
draws from a seeded stream, so the same duel under the same seed gets the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from duelbench.types import Verdict

Array = NDArray[np.float64]


def logistic(z: NDArray[np.floating]) -> NDArray[Any]:
    """F(z) = 1 / (1 + e^−z), in the precision of z."""
    from scipy.special import expit  # slower to import than a command takes to print its help

    return expit(z)


def _normal(z: Array) -> Array:
    from scipy.special import ndtr

    return ndtr(z)


LINKS: dict[str, Callable[[Array], Array]] = {
    "bradley-terry": logistic,
    "thurstone": _normal,
    "linear": lambda z: 0.5 * (1.0 + np.clip(z, -1.0, 1.0)),
    "deterministic": lambda z: 0.5 * (1.0 + np.sign(z)),
}
"""Bradley–Terry is the logistic function, Thurstone (probit) the normal distribution function, linear is clipped."""


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
        corrupted: duels at the beginning of an episode in which an adversary names the worse response.
    """

    mode: Literal["bernoulli", "deterministic"] = "bernoulli"
    flip: float = 0.0
    corrupted: int = 0

    def __post_init__(self) -> None:
        if self.mode not in ("bernoulli", "deterministic"):
            raise ValueError(f"feedback must be 'bernoulli' or 'deterministic', got {self.mode!r}")
        if not 0.0 <= self.flip <= 1.0:
            raise ValueError(f"flip noise must lie in [0, 1], got {self.flip}")
        if self.corrupted < 0:
            raise ValueError(f"corrupted is a number of duels and must be at least 0, got {self.corrupted}")

    def first_wins(self, probability: Array) -> Array:
        """Probability that a verdict names the first, or half of it ties, of duels with these P; corruption is over.

        >>> Feedback(flip=0.1).first_wins(np.array([0.5, 1.0])).tolist()
        [0.5, 0.9]
        """
        named = probability if self.mode == "bernoulli" else 0.5 * (1.0 + np.sign(probability - 0.5))
        return np.asarray(self.flip + (1.0 - 2.0 * self.flip) * named)

    def verdicts(
        self, probability: Array, uniforms: Array, duels: NDArray[np.int64] | None = None, ties: Array | None = None
    ) -> NDArray[np.int8]:
        """Verdict codes of n duels.

        Args:
            probability: P(first preferred), (n,); NaN where the oracle failed, which becomes ``INVALID``.
            uniforms: two uniforms in [0, 1) a duel, (n, 2): for the draw and for the flip.
            duels: number of the duel in its episode, (n,); needed if some are corrupted.
            ties: chance of a tie, (n,), half of which ``probability`` counts as won; None where nothing ties. Only
                drawn verdicts tie: a likelier winner is named, and an adversary is never undecided.
        """
        probability = np.asarray(probability, np.float64)
        in_range = np.abs(probability - 0.5) <= 0.5
        failed = None if np.count_nonzero(in_range) == in_range.size else np.isnan(probability)
        if failed is not None and not (in_range | failed).all():
            raise ValueError("an oracle gave a preference probability outside [0, 1]")
        first = uniforms[..., 0] < probability if self.mode == "bernoulli" else probability > 0.5
        tied = None
        if ties is not None and self.mode == "bernoulli":
            first = uniforms[..., 0] < probability - ties / 2.0
            tied = ~first & (uniforms[..., 0] < probability + ties / 2.0)
        if self.flip:
            first = first ^ (uniforms[..., 1] < self.flip)
        if self.corrupted:
            if duels is None:
                raise ValueError("corrupted feedback needs the number of each duel in its episode")
            first = np.where(duels < self.corrupted, probability < 0.5, first)
            tied = None if tied is None else tied & (duels >= self.corrupted)
        verdicts: NDArray[np.int8] = first.astype(np.int8)  # Verdict.FIRST is 1, Verdict.SECOND is 0
        if self.mode == "deterministic":
            verdicts[probability == 0.5] = Verdict.TIE
        if tied is not None:
            verdicts[tied] = Verdict.TIE
        if failed is not None:
            verdicts[failed] = Verdict.INVALID
        return verdicts


REWARD_OF_VERDICT: Array = np.array([verdict.reward for verdict in Verdict])
"""Reward by verdict code; NaN for INVALID and SKIPPED: no answer is never a number."""
