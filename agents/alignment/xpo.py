"""XPO: exploratory preference optimization (Xie et al. 2024, arXiv 2405.21046).

Duels one sample of the current policy with one of the reference, and adds an optimistic bonus to the DPO loss:
α · log π_θ(y_ref | x), averaged over the reference samples. Minimising it pushes probability away from what the
reference would say.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from duelbench.agents.alignment.base import LearningAgent, first_column
from duelbench.learning.response_losses import ResponseLoss, xpo_bonus
from duelbench.ranges import Checked, NonNegative
from duelbench.types import Observation, Pair, Responses


@dataclass(frozen=True)
class XPOConfig(Checked):
    """Hyper-parameters of XPO.

    Attributes:
        alpha: weight of the bonus (the authors of SEA use 5e-6).
    """

    alpha: NonNegative = 5e-6


class XPO(LearningAgent):
    """Current policy against reference, with an optimistic bonus."""

    Config = XPOConfig

    def propose(self, observation: Observation) -> Pair:
        """One sample of the current policy and one of the reference, in random order."""
        column = first_column(observation)
        current = self.policy.sample(observation, 1, self.rng).pick(column)
        reference = self.policy.sample(observation, 1, self.rng, reference=True).pick(column)
        swap = self.rng.random(len(column)) < 0.5
        first, second = Responses.where(swap, reference, current), Responses.where(swap, current, reference)
        return Pair.of(first, second, reference=reference)

    def bonus(self, duels: Pair, rejected: Responses) -> ResponseLoss:
        """On the reference samples of the decided duels."""
        return ResponseLoss(duels.payload["reference"], partial(xpo_bonus, coefficient=self.config.alpha))
