"""XPO: exploratory preference optimization (Xie et al. 2024, arXiv 2405.21046).

Duels one sample of the current policy with one of the reference, and adds an optimistic bonus to the DPO loss:
α · log π_θ(y_ref | x), averaged over the reference samples. Minimising it pushes probability away from what the
reference would say.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from duelbench.agents.alignment.base import LearningAgent, first_column
from duelbench.learning.response_losses import ResponseLoss, xpo_bonus
from duelbench.types import Observation, Pair, Responses


@dataclass(frozen=True)
class XPOConfig:
    """Hyper-parameters of XPO.

    Attributes:
        alpha: weight of the bonus (the authors of SEA use 5e-6).
    """

    alpha: float = 5e-6


class XPO(LearningAgent):
    """Current policy against reference, with an optimistic bonus."""

    Config = XPOConfig

    def propose(self, observation: Observation) -> Pair:
        """One sample of the current policy and one of the reference, in random order."""
        column = first_column(observation)
        current = self.policy.sample(observation, 1, self.rng).pick(column)
        reference = self.policy.sample(observation, 1, self.rng, reference=True).pick(column)
        swap = self.rng.random(len(column)) < 0.5
        self._reference: Responses = reference
        return Pair.of(Responses.where(swap, reference, current), Responses.where(swap, current, reference))

    def bonus(self, rejected: Responses, decided: NDArray[np.bool_]) -> ResponseLoss:
        """On the reference samples of the decided duels."""
        return ResponseLoss(self._reference.rows(decided), partial(xpo_bonus, coefficient=self.config.alpha))
