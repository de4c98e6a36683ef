"""Self-Sparring: two Thompson samples of one Beta posterior (Sui, Zhuang, Burdick & Yue 2017, UAI; arXiv 1705.00253).

Arm i has the posterior Beta(W_i + 1, L_i + 1) of its wins and losses against any arm it met; each arm of a duel is the
best of a sample of its own. This is the version with independent arms, two arms per duel and learning rate 1. A duel of
an arm with itself counts as one win and one loss. Late answers are counted when they come.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids
from duelbench.types import Observation


class SelfSparring(ArmAgent):
    """One Thompson sampler plays both sides.

    Attributes:
        wins: wins of each arm, over any other, (S, K); a tie is half a win.
        losses: likewise, (S, K).
    """

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.wins, self.losses = np.zeros((2, setup.rows, setup.arms))

    def propose(self, observation: Observation) -> Duels:
        """The best arm of a sample, and that of another."""
        sampled = self.rng.beta(self.wins + 1.0, self.losses + 1.0, size=(2, *self.wins.shape))
        firsts, seconds = sampled.argmax(-1)
        return firsts, seconds

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Count the answers."""
        known = ~np.isnan(feedback)
        won = np.where(known, feedback, 0.0)
        lost = known - won
        self.wins[self.every_row, firsts] += won
        self.losses[self.every_row, firsts] += lost
        self.wins[self.every_row, seconds] += lost
        self.losses[self.every_row, seconds] += won

    def scores(self, observation: Observation) -> Floats:
        """Posterior means, (S, K)."""
        return (self.wins + 1.0) / (self.wins + self.losses + 2.0)
