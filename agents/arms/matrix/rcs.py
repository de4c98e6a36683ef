"""RCS: relative confidence sampling (Zoghi, Whiteson, de Rijke & Munos 2014, WSDM, Algorithm 1).

The champion c is the arm that beats all others in a sample θ[i, j] ~ Beta(W[i, j] + 1, W[j, i] + 1), if there is one,
else the arm that was champion least often. The challenger is argmax_j U[j, c], U = P̂ + √(α ln t / N), as in RUCB. An
arm has been champion as often as duels with it as the first arm were answered. A pair never played has
U = 2: the paper sets x/0 := 1 in both terms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmSetup, Duels, Ids, argmax
from duelbench.agents.arms.matrix.double_ts import SampledTournament
from duelbench.agents.arms.matrix.evidence import EvidenceAgent, UpperBoundConfig
from duelbench.types import Observation


class RCS(EvidenceAgent):
    """A sampled champion against the challenger that is most likely to beat it, optimistically.

    Attributes:
        reigns: how often each arm was champion, (S, K).
    """

    Config = UpperBoundConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.reigns = np.zeros((setup.rows, setup.arms))
        self.tournament = SampledTournament(setup)

    def propose(self, observation: Observation) -> Duels:
        """The champion c, and argmax_j U[j, c]."""
        scores = self.tournament.scores(self.rng)
        best = scores.argmax(-1)
        unbeaten = scores.reshape(-1)[self.row_starts + best] == self.setup.arms - 1
        champion = np.where(unbeaten, best, argmax(-self.reigns, self.rng))
        return champion, argmax(self.upper_against(champion, self.level(self.config.alpha)), self.rng)

    def recount(self, rows: Ids, firsts: Ids, seconds: Ids, forth: Ids, back: Ids) -> None:
        """Also who was champion, and the odds of the sampled tournament."""
        super().recount(rows, firsts, seconds, forth, back)
        self.reigns[rows, firsts] += 1.0
        wins = self.wins.reshape(-1)
        self.tournament.learn(rows, firsts, seconds, wins[forth], wins[back])
