"""STELLA-like: learns how far a judge favours a position, and calibrates it (idea: Ma et al. 2023, arXiv 2312.15746).

**Judge.** With a bias b ≥ 0 a share b of the duels goes to the arm shown first, whichever it is; with b < 0 a share |b|
goes to the one shown second; P decides the others. Shown first, arm i beats arm j with probability
q[i, j] = (1 − |b|) P[i, j] + max(b, 0), so that q[i, j] + q[j, i] = 1 + b for every pair, whatever P is.

**Probing.** The first duels ask random pairs in both orders. Afterwards a pair is shown in the order that it was shown
in less often, so that every duel goes on probing. An equal number of answers in both orders has the first position win
with probability m = (1 + b)/2; m has the prior Beta(c, c), and b is 2 m − 1 at the posterior mean. Answers are pooled
over all pairs, of each as many as it has in its rarer order; a duel of an arm with itself is in both orders at once.

**Calibration.** An answer y of a duel with i shown first gives (y − max(b, 0))/(1 − |b|), an unbiased estimate of
P[i, j]; P̂ is their mean, clipped to [0, 1]. In balanced orders and near P = ½ it has the variance of
N (1 − |b|)/(1 + |b|) answers of an unbiased judge. The base agent is given that many duels, with the share P̂ won, each
time it chooses.

**Source.** After the idea of STELLA; rule stated here. Of the paper the abstract was read: a probing stage finds the
pattern of position bias as a transition matrix, and a second one corrects what a recommending model answers by Bayes'
rule with an entropy indicator. Duels, and how their answers are calibrated here, are not in it; no entropy is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids
from duelbench.agents.arms.matrix.double_ts import DoubleTS
from duelbench.agents.arms.matrix.evidence import EvidenceAgent
from duelbench.agents.arms.matrix.rucb import RUCB
from duelbench.ranges import Checked, Natural, Positive
from duelbench.types import Observation

BASES: dict[str, type[EvidenceAgent]] = {"double_ts": DoubleTS, "rucb": RUCB}
"""Agents that can choose duels from calibrated counts."""


@dataclass(frozen=True)
class StellaConfig(Checked):
    """Hyper-parameters.

    Attributes:
        base: who chooses the duels.
        probes: pairs that are asked in both orders before anything else; each costs two labels.
        prior: c, as many imagined wins of each position; 1 is the uniform prior.
        calibrate: whether answers are calibrated; if not, orders are balanced and answers taken as they come.
    """

    base: Literal["double_ts", "rucb"] = "double_ts"
    probes: Natural = 5
    prior: Positive = 1.0
    calibrate: bool = True


class Stella(ArmAgent):
    """Shows pairs in both orders, and lets a base agent choose them from calibrated counts.

    Attributes:
        base: the agent that chooses.
        shown: n[s, i, j], answers to duels of i against j with i shown first, (S, K, K).
        won: F[s, i, j], those of them that i won; a tie is half a win, (S, K, K).
        bias: b, (S,).
    """

    Config = StellaConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.base = BASES[self.config.base](setup)
        self.shown, self.won, self._asked = np.zeros((3, setup.rows, setup.arms, setup.arms))
        self.bias = np.zeros(setup.rows)
        self._probed = 0
        self._turned: Duels | None = None  # the last probe, as long as its other order is to be asked

    def propose(self, observation: Observation) -> Duels:
        """A probe, or the base agent's pair in the order that was asked less often."""
        firsts, seconds = self._probe() if self._probed < 2 * self.config.probes else self._chosen(observation)
        self._asked[self.every_row, firsts, seconds] += 1.0
        return firsts, seconds

    def _probe(self) -> Duels:
        """A random pair of different arms; every other time the last one turned round."""
        self._probed += 1
        if self._turned is not None:
            again, self._turned = self._turned, None
            return again
        firsts = self.rng.integers(self.setup.arms, size=self.setup.rows)
        seconds = (firsts + self.rng.integers(1, self.setup.arms, size=self.setup.rows)) % self.setup.arms
        self._turned = seconds, firsts
        return firsts, seconds

    def _chosen(self, observation: Observation) -> Duels:
        firsts, seconds = self.base.propose(observation)
        turn = self._asked[self.every_row, firsts, seconds] > self._asked[self.every_row, seconds, firsts]
        return np.where(turn, seconds, firsts), np.where(turn, firsts, seconds)

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Count the answers by order, learn the bias from them, and calibrate all of them again."""
        known = ~np.isnan(feedback)
        self.shown[self.every_row, firsts, seconds] += known
        self.won[self.every_row, firsts, seconds] += np.where(known, feedback, 0.0)
        if self.config.calibrate:
            self.bias = position_bias(self.won, self.shown, self.config.prior)
        self._hand_over()

    def _hand_over(self) -> None:
        """Give the base agent the calibrated counts in place of its own."""
        base = self.base
        base.wins[:], base.played[:] = calibrated(self.won, self.shown, self.bias)
        base.t += 1
        rows, firsts, seconds = np.nonzero(np.triu(base.played, 1))
        starts, arms = rows * self.setup.arms**2, self.setup.arms
        base.recount(rows, firsts, seconds, starts + firsts * arms + seconds, starts + seconds * arms + firsts)

    def scores(self, observation: Observation) -> Floats:
        """What the base agent would deploy."""
        return self.base.scores(observation)

    def measures(self) -> dict[str, Floats]:
        """The bias as it is believed to be."""
        return {"position_bias_estimate": self.bias} if self.config.calibrate else {}


def position_bias(won: Floats, shown: Floats, prior: float) -> Floats:
    """Posterior mean of 2 m − 1 with m ~ Beta(c + wins, c + losses) of the first position in balanced orders, (S,).

    Args:
        won: F[s, i, j], wins of i over j when i was shown first, (S, K, K).
        shown: n[s, i, j], such duels, (S, K, K).
        prior: c.
    """
    balanced = np.minimum(shown, shown.transpose(0, 2, 1))
    wins = np.divide(balanced * won, shown, out=np.zeros_like(won), where=shown > 0).sum((1, 2))
    return 2.0 * (prior + wins) / (2.0 * prior + balanced.sum((1, 2))) - 1.0


def calibrated(won: Floats, shown: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """Wins W[s, i, j] and duels N[s, i, j] of an unbiased judge that say as much, (S, K, K) each.

    Args:
        won: F[s, i, j], wins of i over j when i was shown first, (S, K, K).
        shown: n[s, i, j], such duels, (S, K, K).
        bias: b, (S,), in (−1, 1).
    """
    lean = np.abs(bias)[:, None, None]
    forth = (won - np.maximum(bias, 0.0)[:, None, None] * shown) / (1.0 - lean)
    answers = shown + shown.transpose(0, 2, 1)
    unbiased = forth + (shown - forth).transpose(0, 2, 1)
    share = np.divide(unbiased, answers, out=np.full_like(unbiased, 0.5), where=answers > 0).clip(0.0, 1.0)
    played = answers * (1.0 - lean) / (1.0 + lean)
    return share * played, played
