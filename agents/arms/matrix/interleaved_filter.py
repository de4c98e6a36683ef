"""IF2, interleaved filter (Yue, Broder, Kleinberg & Joachims 2012, JCSS; COLT 2009).

A random incumbent b meets every other arm w of W in turn. With n answers of a pair, P̂ the share that b won, and
c = √(width · ln(1/δ) / n), δ = 1/(TK²), at the end of each turn: w is dropped if P̂ − c > ½; if P̂ + c < ½ for some w,
b is dropped and w becomes the incumbent, of several a random one, with counts that start at 0. IF2 then also drops
every v with P̂ > ½, since an arm that seemed worse than a beaten incumbent is hardly the best; without it this is IF1.
The last arm is played against itself. A turn is over when every arm of W has one more answer, also if they come late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmSetup, Duels, Floats, Ids, choose
from duelbench.agents.arms.matrix.base import MatrixAgent
from duelbench.ranges import Checked, NonNegative
from duelbench.types import Observation


@dataclass(frozen=True)
class InterleavedFilterConfig(Checked):
    """Hyper-parameters of the interleaved filter.

    Attributes:
        width: confidence width in √(width · ln(TK²) / n); the theory has 4.
        prune: whether a beaten incumbent takes along the arms that seem worse than it (IF2).
    """

    width: NonNegative = 4.0
    prune: bool = True


class InterleavedFilter(MatrixAgent):
    """An incumbent meets all rivals in turn until it is surely beaten or they are.

    Attributes:
        incumbent: b, (S,).
        rivals: W, (S, K).
        turns: turns of the incumbent that are over, (S,).
    """

    Config = InterleavedFilterConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.incumbent = self.rng.integers(setup.arms, size=setup.rows)
        self.rivals = self.incumbent[:, None] != np.arange(setup.arms)
        self.turns = np.zeros(setup.rows)
        self.squared_width = self.config.width * np.log(float(setup.labels) * setup.arms**2)

    def propose(self, observation: Observation) -> Duels:
        """The incumbent against the rival that it has met least often, the lowest of them."""
        # Incumbents never return, so what a new one has played against its rivals is nothing: no count need be reset.
        met = np.where(self.rivals, self.played[self.every_row, self.incumbent], np.inf)
        rival = np.where(self.rivals.any(-1), met.argmin(-1), self.incumbent)
        return self.incumbent.copy(), rival

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Count the answers; filter where a turn is over."""
        super().update(observation, firsts, seconds, feedback)
        fewest = np.where(self.rivals, self.played[self.every_row, self.incumbent], np.inf).min(-1)
        rows = np.flatnonzero((fewest > self.turns) & (fewest < np.inf) & ~np.isnan(feedback))
        if len(rows):
            self.turns[rows] = fewest[rows]
            self._filter(rows)

    def _filter(self, rows: Ids) -> None:
        """Drop the rivals that are surely worse, or the incumbent if a rival is surely better."""
        incumbent = self.incumbent[rows]
        played = np.maximum(self.played[rows, incumbent], 1.0)
        lead = self.wins[rows, incumbent] / played - 0.5
        sure = (lead**2 * played > self.squared_width) & self.rivals[rows]
        self.rivals[rows] &= ~(sure & (lead > 0.0))
        better = sure & (lead < 0.0)
        beaten = np.flatnonzero(better.any(-1))
        if len(beaten):
            successor = choose(better[beaten], self.rng)
            rows = rows[beaten]
            if self.config.prune:
                self.rivals[rows] &= lead[beaten] <= 0.0
            self.rivals[rows, successor] = False
            self.incumbent[rows], self.turns[rows] = successor, 0.0

    def scores(self, observation: Observation) -> Floats:
        """1 for the incumbent, for its rivals the share of duels that they won against it, −1 for others, (S, K)."""
        losses, played = self.wins[self.every_row, :, self.incumbent], self.played[self.every_row, self.incumbent]
        scores = np.where(self.rivals, (losses + 0.5) / (played + 1.0), -1.0)  # below 1, and ½ if they never met
        scores[self.every_row, self.incumbent] = 1.0
        return scores
