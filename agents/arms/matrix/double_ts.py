"""Double Thompson sampling, DTS and DTS+ (Wu & Liu 2016, NeurIPS; arXiv 1604.07101, Algorithms 1 and 2).

First arm: of the arms with the largest optimistic Copeland score Σ_j 1[U[i, j] > ½], the one with the largest score
ζ_i = Σ_j 1[θ[i, j] > ½] in a sample θ[i, j] ~ Beta(W[i, j] + 1, W[j, i] + 1), θ[j, i] = 1 − θ[i, j]. Second arm: of the
arms i that do not surely beat the first arm a, L[i, a] ≤ ½, the one with the largest *fresh* sample of θ[i, a], where
θ[a, a] = ½. DTS breaks ties of ζ at random, DTS+ by the smallest regret Σ_j (2 max ζ − ζ_i − ζ_j) / kl(θ[i, j], ½).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from duelbench.agents.arms.base import ArmSetup, Duels, Floats, Ids, argmax
from duelbench.agents.arms.matrix.evidence import ConfidenceConfig, EvidenceAgent, divergence
from duelbench.types import Observation


class Pairs:
    """The P = K(K − 1)/2 pairs i < j, in the order (0, 1), (0, 2), …

    Attributes:
        first: i, (P,).
        second: j, (P,).
        number: number of the pair of two arms in either order, (K, K).
    """

    def __init__(self, arms: int) -> None:
        self.first, self.second = np.triu_indices(arms, 1)
        self.number = np.zeros((arms, arms), np.int64)
        self.number[self.first, self.second] = self.number[self.second, self.first] = np.arange(len(self.first))
        self._sign = np.zeros((len(self.first), arms))
        self._sign[np.arange(len(self.first)), self.first] = 1.0
        self._sign[np.arange(len(self.first)), self.second] = -1.0
        self._as_second = np.arange(arms, dtype=np.float64)  # arm k is the second arm of k pairs

    def scores(self, first_wins: NDArray[np.bool_]) -> Floats:
        """Wins of each arm in tournaments given by (n, P) outcomes, (n, K)."""
        return np.matmul(first_wins.astype(np.float64), self._sign) + self._as_second


class SampledTournament:
    """Copeland scores of a Thompson sample, without the sample.

    All that counts is whether θ[i, j] > ½. The chance of that changes with a duel of i and j only, so it is kept for
    all pairs, and a tournament costs one uniform per pair instead of a Beta variate.

    Attributes:
        odds: P(θ[i, j] > ½) of the pairs i < j, (S, P).
    """

    def __init__(self, setup: ArmSetup) -> None:
        self._pairs = Pairs(setup.arms)
        self.odds = np.full((setup.rows, len(self._pairs.first)), 0.5)

    def learn(self, rows: Ids, firsts: Ids, seconds: Ids, won: Floats, lost: Floats) -> None:
        """Take note of the pairs just played and of the first arm's wins and losses against the second, (n,) each."""
        if len(self.odds) == 1 == len(rows):
            self._learn_alone(firsts.item(), seconds.item(), won.item(), lost.item())
            return
        real = np.flatnonzero(firsts != seconds)
        rows, firsts, seconds = rows[real], firsts[real], seconds[real]
        chance = betainc(lost[real] + 1.0, won[real] + 1.0, 0.5)
        self.odds[rows, self._pairs.number[firsts, seconds]] = np.where(firsts < seconds, chance, 1.0 - chance)

    def _learn_alone(self, first: int, second: int, won: float, lost: float) -> None:
        if first != second:
            chance = float(betainc(lost + 1.0, won + 1.0, 0.5))
            self.odds[0, self._pairs.number.item(first, second)] = chance if first < second else 1.0 - chance

    def scores(self, rng: np.random.Generator) -> Floats:
        """Copeland scores of a fresh sample, (S, K)."""
        return self._pairs.scores(rng.random(self.odds.shape) < self.odds)


class DoubleSampling(EvidenceAgent):
    """Two independent Thompson samples, one for each arm; confidence bounds discard hopeless arms."""

    Config = ConfidenceConfig

    def propose(self, observation: Observation) -> Duels:
        """The sampled Copeland winner among plausible ones, and its strongest sampled rival among uncertain ones."""
        level = self.level(self.config.alpha)
        losses = (self.evidence > level).view(np.int8).sum(0, dtype=np.int64)  # that are sure: U[i, j] < ½
        first = self.first(losses == losses.min(-1, keepdims=True))
        return first, self._second(first, level)

    def first(self, kept: NDArray[np.bool_]) -> Ids:
        """The first arms, (S,), of those that are kept, (S, K)."""
        raise NotImplementedError

    def _second(self, first: Ids, level: float) -> Ids:
        """Of the arms not surely better than the first, the likeliest to beat it in a fresh sample."""
        if self.alone:
            return self._lone_second(first.item(), level)
        lost, played = self.versus(first)  # of the first arm: wins over each other
        won = played - lost
        uncertain = (won - lost) ** 2 <= 4.0 * level * played
        uncertain |= won <= lost
        own = self.row_starts + first
        uncertain.reshape(-1)[own] = False
        drawn = np.flatnonzero(uncertain)
        sampled = np.full(won.shape, -1.0)
        sampled.reshape(-1)[drawn] = self.rng.beta(won.reshape(-1)[drawn] + 1.0, lost.reshape(-1)[drawn] + 1.0)
        sampled.reshape(-1)[own] = 0.5
        return sampled.argmax(-1)

    def _lone_second(self, first: int, level: float) -> Ids:
        """The same of a lone row, draw by draw."""
        wins, widest = self.wins[0, first].tolist(), 4.0 * level
        best, largest = first, 0.5
        for arm, played in enumerate(self.played[0, first].tolist()):
            lost = wins[arm]
            won = played - lost
            lead = won - lost
            if arm != first and (lead <= 0.0 or lead * lead <= widest * played):
                sampled = self.rng.beta(won + 1.0, lost + 1.0)
                if sampled > largest or (sampled == largest and arm < best):
                    best, largest = arm, sampled
        return np.array([best])


class DoubleTS(DoubleSampling):
    """DTS: ties of the first arm are broken at random."""

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.tournament = SampledTournament(setup)

    def first(self, kept: NDArray[np.bool_]) -> Ids:
        """The winner of a sampled tournament."""
        return argmax(np.where(kept, self.tournament.scores(self.rng), -1.0), self.rng)

    def recount(self, rows: Ids, firsts: Ids, seconds: Ids, forth: Ids, back: Ids) -> None:
        """Also the odds of the sampled tournament."""
        super().recount(rows, firsts, seconds, forth, back)
        wins = self.wins.reshape(-1)
        self.tournament.learn(rows, firsts, seconds, wins[forth], wins[back])


class DoubleTSPlus(DoubleSampling):
    """DTS+: ties of the first arm go to the arm that would cause least regret until it is known."""

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self._pairs = Pairs(setup.arms)
        self._forth = self._pairs.first * setup.arms + self._pairs.second
        self._back = self._pairs.second * setup.arms + self._pairs.first

    def first(self, kept: NDArray[np.bool_]) -> Ids:
        """The winner of a sampled tournament; if there are several, the one that is cheapest to tell from the rest."""
        wins = self.wins.reshape(len(kept), -1)
        theta = self.rng.beta(wins.take(self._forth, 1) + 1.0, wins.take(self._back, 1) + 1.0)
        scores = self._pairs.scores(theta > 0.5)
        best = np.where(kept, scores, -1.0)
        tied = best == best.max(-1, keepdims=True)
        chosen = tied.argmax(-1)
        rows = np.flatnonzero(tied.sum(-1) > 1)
        costs = np.where(tied[rows], self._costs(theta[rows], scores[rows]), np.inf)
        chosen[rows] = costs.argmin(-1)
        return chosen

    def _costs(self, theta: Floats, scores: Floats) -> Floats:
        """Σ_j (2 max ζ − ζ_i − ζ_j) / kl(θ[i, j], ½), (n, K)."""
        arms = self.setup.arms
        flat = np.zeros((len(theta), arms * arms))  # 1/kl, the order of duels it takes to see who is better
        flat[:, self._forth] = flat[:, self._back] = 1.0 / divergence(theta, 1.0 - theta)
        duels = flat.reshape(-1, arms, arms)
        short = scores.max(-1, keepdims=True) - scores  # summed term by term: equal scores must cost exactly nothing
        return np.asarray(((short[:, :, None] + short[:, None, :]) * duels).sum(-1))
