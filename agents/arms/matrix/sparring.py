"""Sparring: two reward bandits choose one arm each (Ailon, Karnin & Joachims 2014, ICML; arXiv 1405.3396).

The winner's bandit is paid 1, the other 0, for the arm it chose. Each bandit believes in a fixed world, though its
rival learns too; hence there is no tight theory for stochastic duels. Two bandits are offered here: UCB with the index
W/N + √(α ln n / N), n = ΣN, and Thompson sampling from Beta(W + 1, N − W + 1), which is far better in practice. Public
codes set α = 2.5 (Komiyama) or 3 (Wu & Liu); 2.5 is the default. Late answers are counted when they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids, argmax
from duelbench.ranges import Checked, NonNegative
from duelbench.types import Observation


@dataclass(frozen=True)
class UCBConfig(Checked):
    """Hyper-parameters of an agent that reduces duels to UCB.

    Attributes:
        alpha: confidence width in √(α ln n / N).
    """

    alpha: NonNegative = 2.5


def optimistic_means(reward: Floats, plays: Floats, alpha: float) -> Floats:
    """UCB indices reward/N + √(α ln ΣN / N) along the last axis, ∞ for arms never played."""
    logarithm = np.log(np.maximum(plays.sum(-1, keepdims=True), 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        index = reward / plays
        index += np.sqrt(alpha * logarithm / plays)
    index[plays == 0.0] = np.inf
    return index


class Sparring(ArmAgent):
    """What both players know. Subclasses choose the arms.

    Attributes:
        wins: wins of each arm of the first player and of the second, (2, S, K); a tie is half a win for both.
        plays: duels of the same, (2, S, K).
    """

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.wins, self.plays = np.zeros((2, 2, setup.rows, setup.arms))

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Pay both players."""
        known = ~np.isnan(feedback)
        won = np.where(known, feedback, 0.0)
        for player, arms, reward in ((0, firsts, won), (1, seconds, known - won)):
            self.wins[player, self.every_row, arms] += reward
            self.plays[player, self.every_row, arms] += known

    def scores(self, observation: Observation) -> Floats:
        """Posterior mean of each arm's chance to win, whoever played it, (S, K)."""
        return (self.wins.sum(0) + 1.0) / (self.plays.sum(0) + 2.0)


class SparringUCB(Sparring):
    """Two players that follow UCB."""

    Config = UCBConfig

    def propose(self, observation: Observation) -> Duels:
        """The largest index of each player."""
        firsts, seconds = argmax(optimistic_means(self.wins, self.plays, self.config.alpha), self.rng)
        return firsts, seconds


class SparringTS(Sparring):
    """Two players that follow Thompson sampling."""

    def propose(self, observation: Observation) -> Duels:
        """The largest sample of each player."""
        firsts, seconds = self.rng.beta(self.wins + 1.0, self.plays - self.wins + 1.0).argmax(-1)
        return firsts, seconds
