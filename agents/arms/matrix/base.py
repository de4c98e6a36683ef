"""Counts of wins: all that the classic dueling bandits remember."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Floats, Ids
from duelbench.types import Observation


class MatrixAgent(ArmAgent):
    """Counts wins. Subclasses choose the duels from ``wins``, ``played`` and the number of answers.

    Attributes:
        wins: W[s, i, j], wins of arm i over arm j in row s, (S, K, K) float64; a tie is half a win for both.
        played: N = W + Wᵀ, (S, K, K). The diagonal counts self-duels twice and is not to be used.
        t: rounds asked so far.
    """

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        shape = (setup.rows, setup.arms, setup.arms)
        self.wins, self.played = np.zeros(shape), np.zeros(shape)
        self.t = 0
        self._counts_starts = self.every_row * setup.arms**2
        self._places = np.arange(setup.arms**2).reshape(setup.arms, setup.arms, 1)

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Count the answers."""
        self.t += 1
        if self.alone and len(firsts) == 1:
            self._count_alone(firsts, seconds, feedback.item())
            return
        rows: Ids = self.every_row
        starts: Ids = self._counts_starts
        unknown = np.isnan(feedback)
        if np.count_nonzero(unknown):  # in a third of the time of any()
            known = np.flatnonzero(~unknown)
            rows, starts = rows[known], starts[known]
            firsts, seconds, feedback = firsts[known], seconds[known], feedback[known]
        forth, back = starts + firsts * self.setup.arms + seconds, starts + seconds * self.setup.arms + firsts
        wins, played = self.wins.reshape(-1), self.played.reshape(-1)
        wins[forth] += feedback
        wins[back] += 1.0 - feedback
        played[forth] += 1.0
        played[back] += 1.0
        self.recount(rows, firsts, seconds, forth, back)

    def _count_alone(self, firsts: Ids, seconds: Ids, won: float) -> None:
        """Count the answer of a lone row."""
        if math.isnan(won):
            return
        first, second = firsts.item(), seconds.item()
        forth, back = self._places[first, second], self._places[second, first]
        wins, played = self.wins.reshape(-1), self.played.reshape(-1)
        wins[forth.item()] += won
        wins[back.item()] += 1.0 - won
        played[forth.item()] += 1.0
        played[back.item()] += 1.0
        self.recount(self.every_row, firsts, seconds, forth, back)

    def recount(self, rows: Ids, firsts: Ids, seconds: Ids, forth: Ids, back: Ids) -> None:
        """Called when the counts of some pairs have changed; subclasses that derive more from them do so here.

        Args:
            rows: rows with an answer, each at most once, (n,).
            firsts: their first arms, (n,).
            seconds: their second arms, (n,).
            forth: places of (row, first, second) in the flattened counts, (n,).
            back: places of (row, second, first), (n,).
        """

    def scores(self, observation: Observation) -> Floats:
        """Empirical Copeland scores, ties in the order of empirical Borda scores, (S, K)."""
        mean = self.mean(0.5)
        diagonal = np.eye(self.setup.arms, dtype=bool)
        beaten = np.where(diagonal, 0.0, (mean > 0.5) + 0.5 * (mean == 0.5)).sum(-1)
        borda = np.where(diagonal, 0.0, mean).sum(-1) / self.setup.arms
        return beaten + 0.4 * borda  # a Copeland score is a multiple of ½, a Borda score below 1

    def mean(self, unseen: float) -> Floats:
        """Empirical P̂ = W / N with ``unseen`` where a pair was never played, (S, K, K)."""
        return np.divide(self.wins, self.played, out=np.full_like(self.wins, unseen), where=self.played > 0)
