"""MultiSBM: a reward bandit for each left arm (Ailon, Karnin & Joachims 2014, ICML; arXiv 1405.3396).

The left arm x is the right arm of the duel before, at first a random one. The bandit that belongs to x chooses the
right arm y and is paid 1 if y wins. The bandits are UCB with the index W/N + √(α ln n / N), n the duels of that bandit,
with α = 2.5 as in Komiyama's code. "The duel before" is the last one answered; a late answer pays the bandit of its own
left arm.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids, argmax
from duelbench.agents.arms.matrix.sparring import UCBConfig, optimistic_means
from duelbench.types import Observation


class MultiSBM(ArmAgent):
    """The right arm of a duel is the left arm of the next.

    Attributes:
        reward: wins of y on the right against x on the left, (S, K, K) by x and y.
        plays: duels of the same, (S, K, K).
        left: the next left arm, (S,).
    """

    Config = UCBConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.reward, self.plays = np.zeros((2, setup.rows, setup.arms, setup.arms))
        self.left = self.rng.integers(setup.arms, size=setup.rows)

    def propose(self, observation: Observation) -> Duels:
        """The left arm, and the choice of its bandit."""
        here = self.every_row, self.left
        index = optimistic_means(self.reward[here], self.plays[here], self.config.alpha)
        return self.left, argmax(index, self.rng)

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Pay the left arm's bandit."""
        known = ~np.isnan(feedback)
        self.reward[self.every_row, firsts, seconds] += np.where(known, 1.0 - feedback, 0.0)
        self.plays[self.every_row, firsts, seconds] += known
        self.left = np.where(known, seconds, self.left)

    def scores(self, observation: Observation) -> Floats:
        """How often each arm was the right one, (S, K)."""
        return self.plays.sum(1)
