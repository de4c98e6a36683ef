"""Doubler: a bandit against its own past (Ailon, Karnin & Joachims 2014, ICML; arXiv 1405.3396).

Epoch i = 1, 2, … lasts 2^i duels. Its left arms are drawn uniformly from the multiset of right arms of the epoch before
(in the first epoch: one random arm), its right arms are chosen by a reward bandit that is paid 1 if they win and that
starts afresh with each epoch, since its rewards are comparable only while the left arms keep their distribution. The
bandit is UCB with the index W/N + √(α ln n / N), with α = 2.5 as for MultiSBM. An epoch counts answers: a late one
belongs to the epoch in which it comes, though its left arm may be of an older one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids, argmax, draw
from duelbench.agents.arms.matrix.sparring import UCBConfig, optimistic_means
from duelbench.types import Observation


class Doubler(ArmAgent):
    """The left arm imitates what the right arm was an epoch ago.

    Attributes:
        opponents: how often each arm is in the multiset of left arms, (S, K).
        reward: wins of each right arm in this epoch, (S, K).
        plays: duels of each right arm in this epoch, (S, K).
        length: length of this epoch, (S,).
    """

    Config = UCBConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.opponents, self.reward, self.plays = np.zeros((3, setup.rows, setup.arms))
        self.opponents[self.every_row, self.rng.integers(setup.arms, size=setup.rows)] = 1.0
        self.length = np.full(setup.rows, 2.0)

    def propose(self, observation: Observation) -> Duels:
        """A random opponent, and the bandit's choice."""
        firsts = draw(self.opponents, self.rng)
        return firsts, argmax(optimistic_means(self.reward, self.plays, self.config.alpha), self.rng)

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Pay the bandit; at the end of an epoch its choices become the opponents."""
        known = ~np.isnan(feedback)
        self.reward[self.every_row, seconds] += np.where(known, 1.0 - feedback, 0.0)
        self.plays[self.every_row, seconds] += known
        over = np.flatnonzero(self.plays.sum(-1) == self.length)
        if len(over):
            self.opponents[over] = self.plays[over]
            self.plays[over] = self.reward[over] = 0.0
            self.length[over] *= 2.0

    def scores(self, observation: Observation) -> Floats:
        """How often each arm was the right one, in this epoch and the one before, (S, K)."""
        return self.opponents + self.plays
