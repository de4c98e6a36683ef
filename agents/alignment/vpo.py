"""VPO: value-incentivized preference optimization (Cen et al. 2024, arXiv 2405.19320).

Regularises the likelihood of the implicit reward by plus or minus its value J* = max_π E r − β KL(π ‖ π_ref): optimism
online, pessimism offline. With rewards calibrated to mean 0 under π_cal = π_ref that value is
−β E_{y ~ π_ref} log(π / π_ref), hence the DPO loss ± αβ · [log π_θ(y|x) − log π_ref(y|x)] at reference samples. The
principle and its sign are the paper's; the formula is derived in ``duelbench.learning.response_losses``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from duelbench.agents.alignment.base import LearningAgent, first_column, two_samples
from duelbench.learning.response_losses import ResponseLoss, vpo_bonus
from duelbench.ranges import Checked, NonNegative
from duelbench.types import Observation, Pair, Responses


@dataclass(frozen=True)
class VPOConfig(Checked):
    """Hyper-parameters of VPO.

    Attributes:
        alpha: weight of the value beside the loss's β; 0 turns it off. The default is SELM's, whose online bonus this
            is; offline it does harm on the pool, and the agent ``vpo-offline`` takes 0.01 (tuning seeds 1000 to 1002).
        mode: ``online`` duels two samples of the current policy and is optimistic; ``offline`` duels two of the
            reference and is pessimistic.
    """

    alpha: NonNegative = 0.1
    mode: Literal["online", "offline"] = "online"


class VPO(LearningAgent):
    """Passive duels with the value of the reward in the loss."""

    Config = VPOConfig

    def propose(self, observation: Observation) -> Pair:
        """Two samples of the policy or of the reference; one of the reference is put aside for the value."""
        pair = two_samples(self.policy, observation, self.rng, reference=self.config.mode == "offline")
        if not self.config.alpha:
            return pair
        calibration = self.policy.sample(observation, 1, self.rng, reference=True).pick(first_column(observation))
        return replace(pair, payload={"calibration": calibration})

    def bonus(self, duels: Pair, rejected: Responses) -> ResponseLoss | None:
        """Plus or minus the value, at the calibration samples of the decided duels."""
        if not self.config.alpha:
            return None
        pessimistic = self.config.mode == "offline"
        function = partial(vpo_bonus, alpha=self.config.alpha, beta=self.learner.beta, pessimistic=pessimistic)
        return ResponseLoss(duels.payload["calibration"], function)
