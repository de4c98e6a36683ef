"""REX3: exponential weights for adversarial duels (Gajane, Urvoy & Clérot 2015, ICML; arXiv 1601.03855).

Both arms of a duel are drawn from p = (1 − γ) w/Σw + γ/K. The winner's weight is multiplied by exp(γ / (K p)), the
loser's by exp(−γ / (K p)). γ = min(½, √(K ln K / max(t, h))): the rate of a horizon known to be h, lowered from round h
on. The authors pay ±½ instead of ±1 and know the horizon; the factor and h = 10⁴ are those of the MergeDTS code. The p
of an arm is that of its last draw: exact as long as an answer comes before the arm is drawn again, biased for later
ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids, draw
from duelbench.ranges import Checked, Count
from duelbench.types import Observation


@dataclass(frozen=True)
class REX3Config(Checked):
    """Hyper-parameters of REX3.

    Attributes:
        horizon: h, the number of duels up to which γ is constant.
    """

    horizon: Count = 10_000


class REX3(ArmAgent):
    """Winners gain weight, losers lose it, the more the less likely they were drawn.

    Attributes:
        log_weights: ln w, up to a constant, (S, K).
        drawn_with: probability of each arm when it was last drawn, (S, K).
        answers: duels answered so far, (S,).
    """

    Config = REX3Config

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.log_weights = np.zeros((setup.rows, setup.arms))
        self.answers = np.zeros(setup.rows)
        self.drawn_with = np.full_like(self.log_weights, 1.0 / setup.arms)

    def _gamma(self) -> Floats:
        arms = self.setup.arms
        return np.minimum(0.5, np.sqrt(arms * np.log(arms) / np.maximum(self.answers + 1.0, self.config.horizon)))

    def propose(self, observation: Observation) -> Duels:
        """Two independent draws."""
        gamma = self._gamma()[:, None]
        weights = np.exp(self.log_weights - self.log_weights.max(-1, keepdims=True))
        probabilities = (1.0 - gamma) * weights / weights.sum(-1, keepdims=True) + gamma / self.setup.arms
        firsts, seconds = draw(np.stack([probabilities] * 2), self.rng)
        for arms in (firsts, seconds):
            self.drawn_with[self.every_row, arms] = probabilities[self.every_row, arms]
        return firsts, seconds

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Reward the winner and punish the loser; a tie or a self-duel changes nothing."""
        known = ~np.isnan(feedback)
        gain = np.where(known, 2.0 * feedback - 1.0, 0.0) * self._gamma() / self.setup.arms
        self.log_weights[self.every_row, firsts] += gain / self.drawn_with[self.every_row, firsts]
        self.log_weights[self.every_row, seconds] -= gain / self.drawn_with[self.every_row, seconds]
        self.answers += known

    def scores(self, observation: Observation) -> Floats:
        """Logarithms of the weights, (S, K)."""
        return self.log_weights
