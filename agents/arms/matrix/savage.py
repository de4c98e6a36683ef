"""SAVAGE: sensitivity analysis of variables for generic exploration (Urvoy, Clérot, Féraud & Naamane 2013, ICML).

The Condorcet version. Every pair of remaining arms is played equally often: the next duel is of a pair with the fewest
answers. With n answers of a pair and P̂ the share that i won, i is removed as soon as P̂ + c < ½ for some j, where
c = √(width · ln(K(K − 1)T / δ) / n), δ = 1/T. The last arm is played against itself. Only the pair that was just
answered can have become sure, so only that pair is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmSetup, Duels, Floats, Ids, argmax
from duelbench.agents.arms.matrix.base import MatrixAgent
from duelbench.ranges import Checked, Positive
from duelbench.types import Observation


@dataclass(frozen=True)
class SAVAGEConfig(Checked):
    """Hyper-parameters of SAVAGE.

    Attributes:
        width: confidence width in √(width · ln(K(K − 1)T²) / n); the theory has ½.
    """

    width: Positive = 0.5


class SAVAGE(MatrixAgent):
    """Plays all pairs in turn and removes arms that surely lose to another.

    Attributes:
        active: arms not removed yet, (S, K).
    """

    Config = SAVAGEConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.active = np.ones((setup.rows, setup.arms), dtype=bool)
        self.pairs = np.triu_indices(setup.arms, 1)
        labels = float(setup.labels)
        self.squared_width = self.config.width * np.log(setup.arms * (setup.arms - 1) * labels**2)

    def propose(self, observation: Observation) -> Duels:
        """A pair of remaining arms with the fewest answers; the last arm against itself."""
        left, right = self.pairs
        alive = self.active[:, left] & self.active[:, right]
        pair = argmax(np.where(alive, -self.played[:, left, right], -np.inf), self.rng)
        over, last = ~alive.any(-1), self.active.argmax(-1)
        return np.where(over, last, left[pair]), np.where(over, last, right[pair])

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Count the answers; remove an arm that surely loses the duel."""
        super().update(observation, firsts, seconds, feedback)
        loser = sure_loser(self, firsts, seconds, self.squared_width)
        # A late answer may speak against the last arm, in a duel with one that was removed: somebody must stay.
        rows = np.flatnonzero((loser >= 0) & ~np.isnan(feedback) & (self.active.sum(-1) > 1))
        self.active[rows, loser[rows]] = False

    def scores(self, observation: Observation) -> Floats:
        """Empirical Copeland scores of the remaining arms, −1 for the others, (S, K)."""
        return np.where(self.active, super().scores(observation), -1.0)


def sure_loser(agent: MatrixAgent, firsts: Ids, seconds: Ids, squared_width: float) -> Ids:
    """The arm of each pair with P̂ + √(squared_width / n) < ½ against the other, −1 where neither has, (S,)."""
    played = agent.played[agent.every_row, firsts, seconds]
    lead = agent.wins[agent.every_row, firsts, seconds] / np.maximum(played, 1.0) - 0.5
    return np.where(lead**2 * played > squared_width, np.where(lead < 0.0, firsts, seconds), -1)
