"""CCB: Copeland confidence bound (Zoghi, Karnin, Whiteson & de Rijke 2015, NeurIPS; arXiv 1506.00312, Algorithm 1).

Bounds U, L = P̂ ± √(α ln t / N) give each arm an optimistic and a pessimistic Copeland score. C are the arms with the
largest optimistic one. Hypotheses: B, arms that may be Copeland winners; B^i, arms that may beat arm i; L̄, losses of a
Copeland winner. They are corrected each round (``_reset``, ``_remove``, ``_add``). With probability ¼ a pair i, j ∈ B^i
whose order is open is played. Else c is drawn from C, or with probability ⅔ from C ∩ B, and meets argmax_j U[j, c] over
arms j with L[j, c] ≤ ½, with probability ½ over those in B^c only. As in Wu & Liu's code, an empty set is not insisted
upon: all arms are taken for it. The algorithm looks for Copeland winners, which need not beat all others.
A pair never played has U = 2 and L = 0, as the paper's x/0 := 1 makes it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.agents.arms.base import ArmSetup, Duels, Ids, argmax, choose
from duelbench.agents.arms.matrix.evidence import EvidenceAgent, UpperBoundConfig
from duelbench.types import Observation

Mask = NDArray[np.bool_]
_BELOW_HALF = np.nextafter(0.5, 0.0)


class CCB(EvidenceAgent):
    """Tests hypotheses of which arms are Copeland winners and of who beats the others.

    Attributes:
        best: B, (S, K).
        threats: whether j ∈ B^i, [j, s, i], (K, S, K).
        losses: L̄, (S,).
    """

    Config = UpperBoundConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.best = np.ones((setup.rows, setup.arms), bool)
        self.threats = np.zeros((setup.arms, setup.rows, setup.arms), bool)
        self.losses = np.full(setup.rows, setup.arms)

    def propose(self, observation: Observation) -> Duels:
        """Correct the hypotheses, then test them or play the best."""
        level = self.level(self.config.alpha)
        loses = self.evidence > level  # [j, s, i]: i surely loses to j, U[i, j] < ½ < L[j, i]
        wins = np.ascontiguousarray(loses.transpose(2, 1, 0))  # i surely beats j
        optimistic = self.setup.arms - 1 - _count(loses)
        pessimistic = _count(wins)
        candidates = optimistic == optimistic.max(-1, keepdims=True)
        self._reset(_any(self.threats & wins))
        self._remove(optimistic < pessimistic.max(-1, keepdims=True), loses)
        self._add(candidates & (optimistic == pessimistic), optimistic.max(-1))
        first, second = self._play(candidates, loses, level)
        return self._test(first, second, self.threats & ~loses & ~wins)

    def _reset(self, rows: Mask) -> None:
        """A. Forget the hypotheses of rows in which one was disproved, (S,)."""
        if rows.any():
            self.best[rows], self.threats[:, rows], self.losses[rows] = True, False, self.setup.arms

    def _remove(self, hopeless: Mask, loses: Mask) -> None:
        """B. Drop arms that are no Copeland winners, (S, K), and note who beats them."""
        dropped = self.best & hopeless
        if dropped.any():
            self.best &= ~dropped
            noted = dropped & (_count(self.threats) != self.losses[:, None] + 1)
            np.copyto(self.threats, loses, where=noted)
            self._reset(~np.asarray(self.best.any(-1)))

    def _add(self, found: Mask, optimistic: Ids) -> None:
        """C. Add arms that surely are Copeland winners, (S, K); to be none, an arm must lose once more than they."""
        rows = np.asarray(found.any(-1))
        if not rows.any():
            return
        self.best |= found
        self.losses[rows] = self.setup.arms - 1 - optimistic[rows]
        self.threats &= ~found
        surplus = np.where(rows[:, None], _count(self.threats) - self.losses[:, None] - 1, 0)
        self.threats &= surplus >= 0
        row, arm = np.nonzero(surplus > 0)
        keys = np.where(self.threats[:, row, arm].T, self.rng.random((len(row), self.setup.arms)), -1.0)
        rank = keys.argsort(-1).argsort(-1)  # the L̄ + 1 arms with the largest keys stay
        self.threats[:, row, arm] = (rank >= self.setup.arms - 1 - self.losses[row][:, None]).T

    def _play(self, candidates: Mask, loses: Mask, level: float) -> Duels:
        """An arm c that may be best, and the arm most likely to beat it, optimistically."""
        both = candidates & self.best
        restricted = both.any(-1) & (self.rng.random(len(both)) < 2.0 / 3.0)
        first = choose(np.where(restricted[:, None], both, candidates), self.rng)
        own = self.row_starts + first
        allowed = ~loses.transpose(2, 1, 0)[first, self.every_row]  # L[j, c] ≤ ½, (S, K)
        threats = allowed & self.threats[:, self.every_row, first].T
        restricted = threats.any(-1) & (self.rng.random(len(both)) < 0.5)
        upper = self.upper_against(first, level)
        upper.reshape(-1)[own] = _BELOW_HALF  # c is not chosen in a tie
        return first, argmax(np.where(np.where(restricted[:, None], threats, allowed), upper, -1.0), self.rng)

    def _test(self, first: Ids, second: Ids, open_pairs: Mask) -> Duels:
        """With probability ¼ a random open pair (i, j), [j, s, i], instead of the given arms."""
        rows = np.flatnonzero((self.rng.random(len(first)) < 0.25) & _any(open_pairs))
        open_pairs = open_pairs[:, rows].transpose(1, 2, 0).reshape(len(rows), self.setup.arms**2)
        pair = choose(open_pairs, self.rng)
        first[rows], second[rows] = pair // self.setup.arms, pair % self.setup.arms
        return first, second


def _count(mask: Mask) -> Ids:
    """How many are true along the first axis, (S, K)."""
    return mask.view(np.int8).sum(0, dtype=np.int64)


def _any(pairs: Mask) -> Mask:
    """Whether any pair of a row is true, (S,), of (K, S, K)."""
    return np.asarray(pairs.any(0).any(-1))
