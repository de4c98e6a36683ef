"""Online DPO with an elliptical count bonus: a policy is paid for responses unlike those already duelled.

The principle of count-based exploration (1 / √n for an action taken n times) carried to features, as in linear
bandits: b(x, y) = √(φᵀ Λ⁻¹ φ) with Λ = ridge · I + Σ φ φᵀ over the responses duelled so far, which is 1 / √(n + ridge)
where features are one-hot. The loss gains −α E_{y ~ π_θ} b(x, y), by the score function at the duel's first response
with the batch's mean as baseline. COPO (ICLR 2025, arXiv 2501.12735) and DEPO (arXiv 2605.04477) build on the same
principle; this is neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from duelbench.agents.alignment.base import LearningAgent, Setup, two_samples
from duelbench.learning.response_losses import ResponseLoss, score_function
from duelbench.ranges import Checked, NonNegative, Positive
from duelbench.types import Metrics, Observation, Pair, Responses


@dataclass(frozen=True)
class CountBonusConfig(Checked):
    """Hyper-parameters of the count bonus.

    Attributes:
        alpha: weight of the bonus; 0 turns it off. The default was chosen on the pool, tuning seeds 1000 to 1002
            (0.1 of 0.01, 0.1 and 1).
        ridge: what Λ starts from; features are scaled to a mean square norm of 1.
    """

    alpha: NonNegative = 0.1
    ridge: Positive = 1.0


class EllipticalCount:
    """How often something like a feature vector has been seen.

    Args:
        dim: d.
        ridge: weight of the identity in Λ.
    """

    def __init__(self, dim: int, ridge: float) -> None:
        self.gram = ridge * np.eye(dim)
        self.scale = 0.0  # root mean square norm of the first batch; 0 before it

    def add(self, features: NDArray[np.float32]) -> None:
        """Count n feature vectors, (n, d)."""
        scaled = self._scaled(features)
        self.gram += scaled.T @ scaled

    def novelty(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """√(φᵀ Λ⁻¹ φ) of n feature vectors, (n, d) -> (n,)."""
        scaled = self._scaled(features)
        solved = cho_solve(cho_factor(self.gram), scaled.T)  # (d, n)
        return np.asarray(np.sqrt((scaled.T * solved).sum(0)))

    def _scaled(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        wide = features.astype(np.float64)
        self.scale = self.scale or float(np.sqrt((wide**2).sum(-1).mean()))
        return wide / self.scale


class CountBonus(LearningAgent):
    """Passive duels with a bonus for what has been seen little."""

    Config = CountBonusConfig

    def __init__(self, setup: Setup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.count = EllipticalCount(self.policy.feature_dim, self.config.ridge)

    def propose(self, observation: Observation) -> Pair:
        """Two samples of the current policy."""
        return two_samples(self.policy, observation, self.rng, reference=False)

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """One gradient step on the decided duels, then count both responses of the answered ones."""
        metrics = super().update(observation, pair, feedback)
        answered = ~np.isnan(feedback)
        if answered.any():
            self.count.add(np.concatenate([pair.first.features[answered], pair.second.features[answered]]))
        return metrics

    def bonus(self, duels: Pair, rejected: Responses) -> ResponseLoss | None:
        """On the first responses, which the current policy drew."""
        if not self.config.alpha:
            return None
        novelty = self.count.novelty(duels.first.features)
        return ResponseLoss(
            duels.first, partial(score_function, coefficient=self.config.alpha), novelty - novelty.mean()
        )

    def state_dict(self) -> dict[str, Any]:
        """What every learning agent keeps, and the counts."""
        return super().state_dict() | {"gram": self.count.gram.copy(), "scale": self.count.scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        super().load_state_dict(state)
        self.count.gram, self.count.scale = state["gram"].copy(), state["scale"]
