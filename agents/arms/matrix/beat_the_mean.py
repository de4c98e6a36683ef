"""BTM, beat the mean (Yue & Joachims 2011, ICML).

The arm b of W with the fewest duels n_b of its own meets a random other arm of W; P̂_b is the share that it won. With
n* = min n over W and c = width · γ² · √(ln(2TK) / n*), the worst arm of W is removed when min P̂ + c ≤ max P̂ − c, and
all duels against it are forgotten, so that every remaining arm is again compared with the same mean. The last arm is
played against itself. The paper has width 3; 1 is the "tight" bound of Komiyama et al.'s experiments (2015), the
default here since 3 removes hardly an arm in 10⁵ duels. In the paper b may also meet itself, a duel that tells nothing:
as in their code, it does not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids, argmax, choose
from duelbench.ranges import Checked, NonNegative
from duelbench.types import Observation


@dataclass(frozen=True)
class BeatTheMeanConfig(Checked):
    """Hyper-parameters of beat the mean.

    Attributes:
        gamma: γ ≥ 1, how far the preferences are from transitive; 1 if they are.
        width: confidence width in width · γ² · √(ln(2TK) / n*); the theory has 3.
    """

    gamma: Annotated[float, Ge(1)] = 1.2
    width: NonNegative = 1.0


class BeatTheMean(ArmAgent):
    """Every arm meets the mean of the remaining arms; the worst is removed.

    Attributes:
        met: duels that the first arm had with the second as its sample of the mean, (S, K, K).
        won: those that it won, likewise.
        played: duels of each arm against arms that remain, (S, K).
        wins: those that it won, likewise.
        active: arms not removed yet, (S, K).
    """

    Config = BeatTheMeanConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.met, self.won = np.zeros((2, setup.rows, setup.arms, setup.arms))
        self.played, self.wins = np.zeros((2, setup.rows, setup.arms))
        self.active = np.ones((setup.rows, setup.arms), dtype=bool)
        self.scale = self.config.width * self.config.gamma**2 * np.sqrt(np.log(2.0 * setup.labels * setup.arms))

    def propose(self, observation: Observation) -> Duels:
        """The arm with the fewest duels against a random other one."""
        firsts = argmax(np.where(self.active, -self.played, -np.inf), self.rng)
        others = self.active.copy()
        others[self.every_row, firsts] = False
        return firsts, np.where(others.any(-1), choose(others, self.rng), firsts)

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Credit the first arms only; forget late answers about arms that are gone."""
        remain = self.active[self.every_row, firsts] & self.active[self.every_row, seconds]
        rows = np.flatnonzero(remain & (firsts != seconds) & ~np.isnan(feedback))
        firsts, seconds, feedback = firsts[rows], seconds[rows], feedback[rows]
        self.met[rows, firsts, seconds] += 1.0
        self.won[rows, firsts, seconds] += feedback
        self.played[rows, firsts] += 1.0
        self.wins[rows, firsts] += feedback
        self._remove(rows)

    def _remove(self, rows: Ids) -> None:
        """Remove the worst arm where it is surely worse than the best."""
        active, mean = self.active[rows], self.mean()[rows]
        fewest = np.where(active, self.played[rows], np.inf).min(-1)
        gap = np.where(active, mean, -np.inf).max(-1) - np.where(active, mean, np.inf).min(-1)
        sure = np.flatnonzero(gap * np.sqrt(fewest) >= 2.0 * self.scale)
        if len(sure):
            worst, rows = argmax(np.where(active[sure], -mean[sure], -np.inf), self.rng), rows[sure]
            self.active[rows, worst] = False
            self.played[rows] -= self.met[rows, :, worst]
            self.wins[rows] -= self.won[rows, :, worst]

    def mean(self) -> Floats:
        """P̂, ½ for arms without duels, (S, K)."""
        return np.divide(self.wins, self.played, out=np.full_like(self.wins, 0.5), where=self.played > 0.0)

    def scores(self, observation: Observation) -> Floats:
        """Shares won against the mean of the remaining arms, −1 for removed arms, (S, K)."""
        return np.where(self.active, self.mean(), -1.0)
