"""APL: active preference learning (Muldrew et al. 2024, arXiv 2402.08114), played online.

Sees more prompts than it may ask about and spends its labels where the policy's implicit reward
r̂(x, y) = β (log π_θ(y|x) − log π_ref(y|x)) is most certain of the winner: the pairs with the largest |r̂₁ − r̂₂|.
The ``hybrid`` rule first keeps the half of the prompts with the highest predictive entropy,
H(x) ≈ −mean_n log π_θ(y_n | x). The original restarts from the reference and retrains to convergence at every
acquisition; here, as in SEA's comparison, one gradient step follows each round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge

from duelbench.agents.alignment.base import LearningAgent, Setup
from duelbench.ranges import Checked
from duelbench.types import Observation, Pair, Responses


@dataclass(frozen=True)
class APLConfig(Checked):
    """Hyper-parameters of APL.

    Attributes:
        oversample: prompts seen for each label (the original: 8 for summaries, 16 for reviews).
        rule: ``certainty`` or ``hybrid``.
        entropy_samples: samples a prompt for the entropy of the hybrid rule; the widest pair of them duels.
    """

    oversample: Annotated[float, Ge(1)] = 4.0
    rule: Literal["certainty", "hybrid"] = "certainty"
    entropy_samples: Annotated[int, Ge(2)] = 8


class APL(LearningAgent):
    """Asks only about the pairs of which the implicit reward is most certain."""

    Config = APLConfig

    def __init__(self, setup: Setup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.prompts_per_label = self.config.oversample

    def propose(self, observation: Observation) -> Pair:
        """One pair a prompt; the most certain ``1 / oversample`` of them are asked."""
        hybrid = self.config.rule == "hybrid"
        candidates = self.policy.sample(observation, self.config.entropy_samples if hybrid else 2, self.rng)
        rewards = candidates.log_probs - candidates.reference_log_probs  # (B, M), β does not change the ranking
        first, second = rewards.argmax(-1), rewards.argmin(-1)
        swap = self.rng.random(len(first)) < 0.5  # the order shown must not give the guess away
        first, second = np.where(swap, second, first), np.where(swap, first, second)
        second = np.where(first == second, (first + 1) % candidates.actions.shape[1], second)
        gap = rewards.max(-1) - rewards.min(-1)  # (B,)
        if hybrid:
            gap = np.where(self._high_entropy(candidates), gap, -1.0)
        asked = max(1, round(len(gap) / self.config.oversample))
        ask = np.zeros(len(gap), bool)
        ask[np.argsort(-gap, kind="stable")[:asked]] = True
        return Pair(candidates.pick(first), candidates.pick(second), ask)

    @staticmethod
    def _high_entropy(candidates: Responses) -> np.ndarray[Any, np.dtype[np.bool_]]:
        entropy = -candidates.log_probs.mean(-1)  # (B,)
        return np.asarray(entropy >= np.median(entropy))
