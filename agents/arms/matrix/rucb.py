"""RUCB: relative upper confidence bound (Zoghi et al. 2014, ICML; arXiv 1312.3393, Algorithm 1).

U[i, j] = P̂[i, j] + √(α ln t / N[i, j]). An arm that may beat all others, U[i, j] ≥ ½ for all j, is the champion c; the
hypothesis B is the one arm that was lately alone in being possible, and is champion with probability ½ while it lasts.
The challenger is argmax_j U[j, c]. The first arXiv text has no hypothesis; this is the version with it, Algorithm 1 of
the ICML paper. A pair never played has U = 2, as the paper's x/0 := 1 makes it; ``unseen=1.0`` is Komiyama's code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.agents.arms.base import ArmSetup, Duels, Ids, argmax, choose
from duelbench.agents.arms.matrix.evidence import EvidenceAgent, UpperBoundConfig
from duelbench.types import Observation


class RUCB(EvidenceAgent):
    """Plays a potential champion against the challenger that is most likely to beat it, optimistically.

    Attributes:
        hypothesis: B, the arm taken for the Condorcet winner, (S,); −1: none.
    """

    Config = UpperBoundConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.hypothesis = np.full(setup.rows, -1)

    def propose(self, observation: Observation) -> Duels:
        """The champion c, and d = argmax_j U[j, c]."""
        level = self.level(self.config.alpha)
        champion = self._champion(self.evidence.max(0) <= level)
        return champion, argmax(self.upper_against(champion, level), self.rng)

    def _champion(self, possible: NDArray[np.bool_]) -> Ids:
        """One of the arms that may beat all others, (S,); ``possible`` is the set C, (S, K)."""
        if self.alone:
            return self._lone_champion(possible)
        flat, starts = possible.reshape(-1), self.row_starts
        only = possible.sum(-1) == 1
        kept = (self.hypothesis >= 0) & flat.take(starts + np.maximum(self.hypothesis, 0))
        self.hypothesis = np.where(only, possible.argmax(-1), np.where(kept, self.hypothesis, -1))
        held = self.hypothesis >= 0
        flat[(starts + self.hypothesis)[held]] = False  # C without B
        stay = held & (only | (self.rng.random(len(possible)) < 0.5))
        return np.where(stay, self.hypothesis, choose(possible, self.rng))

    def _lone_champion(self, possible: NDArray[np.bool_]) -> Ids:
        """The same of a lone row, draw by draw."""
        flags: list[bool] = possible[0].tolist()
        only, held = flags.count(True) == 1, self.hypothesis.item()
        if only:
            held = flags.index(True)
        elif held >= 0 and not flags[held]:
            held = -1
        self.hypothesis = np.array([held])
        if held >= 0:
            possible[0, held] = False  # C without B
        stay = self.rng.random(1).item() < 0.5 or only
        other = choose(possible, self.rng)
        return self.hypothesis if held >= 0 and stay else other
