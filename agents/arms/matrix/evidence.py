"""How strongly duels say that one arm loses to another: all that confidence bounds and divergences need to know.

A bound √(α ln t / N) leaves it open whether arm i beats arm j, U[i, j] ≥ ½, exactly if (½ − P̂[i, j])² N ≤ α ln t or
P̂[i, j] ≥ ½. The left side changes only for the pair that has just been played, the right side is one number: no round
has to compute K² bounds. The same holds for the likelihood ratio N kl(P̂[i, j], ½).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import xlogy

from duelbench.agents.arms.base import ArmSetup, Floats, Ids
from duelbench.agents.arms.matrix.base import MatrixAgent
from duelbench.ranges import Checked, NonNegative, Positive


@dataclass(frozen=True)
class ConfidenceConfig(Checked):
    """Hyper-parameters of every agent whose only one is its confidence width.

    Attributes:
        alpha: confidence width in √(α ln t / N); the theory of RUCB and CCB needs α > ½.
    """

    alpha: NonNegative = 0.51


@dataclass(frozen=True)
class UpperBoundConfig(ConfidenceConfig):
    """Hyper-parameters of agents whose challenger has the largest upper bound.

    Attributes:
        unseen: U of a pair never played. The papers set x/0 := 1, which makes both terms of U equal to 1: hence 2,
            above the bound of most pairs that were played, so that new challengers go first. Komiyama's code for RUCB
            has 1, with which they wait until the bounds of the known ones have come down to 1.
    """

    unseen: Positive = 2.0


def squared_gap(wins: Floats, losses: Floats) -> Floats:
    """(P̂ − ½)² N."""
    lead, played = wins - losses, wins + losses
    return lead * lead / (4.0 * played)


def divergence(wins: Floats, losses: Floats) -> Floats:
    """N kl(P̂, ½), with kl the Kullback–Leibler divergence of Bernoulli distributions."""
    half = 0.5 * (wins + losses)
    ratio: Floats = xlogy(wins, wins / half) + xlogy(losses, losses / half)
    return ratio


class EvidenceAgent(MatrixAgent):
    """Keeps the evidence of all pairs up to date. Subclasses say what it is.

    Attributes:
        measure: evidence by wins and losses, a symmetric function, 0 if they are equal.
        evidence: e[j, s, i], how strongly row s holds that arm i loses to arm j; 0 unless it is behind, (K, S, K). The
            opponents come first since NumPy sums and compares fastest along a first axis.
    """

    measure: Callable[[Floats, Floats], Floats] = staticmethod(squared_gap)

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.evidence = np.zeros((setup.arms, setup.rows, setup.arms))

    def recount(self, rows: Ids, firsts: Ids, seconds: Ids, forth: Ids, back: Ids) -> None:
        """Weigh the pairs just played."""
        arms, size = self.setup.arms, self.setup.rows
        wins, flat = self.wins.reshape(-1), self.evidence.reshape(-1)
        if self.alone and len(rows) == 1:
            one, other = wins.item(forth.item()), wins.item(back.item())
            behind = float(self.measure(one, other))  # type: ignore[arg-type]
            flat[back.item()] = behind * (one < other)
            flat[forth.item()] = behind * (other < one)
            return
        won, lost = wins[forth], wins[back]
        weight = self.measure(won, lost)
        flat[(seconds * size + rows) * arms + firsts] = weight * (won < lost)
        flat[(firsts * size + rows) * arms + seconds] = weight * (lost < won)

    def level(self, alpha: float) -> float:
        """α ln t in round t = 1, 2, …: U[i, j] ≥ ½ if and only if the squared gap is not above it."""
        return alpha * math.log(self.t + 1)

    def versus(self, arms: Ids) -> tuple[Floats, Floats]:
        """Wins of one arm of each row over the others, and its duels with them, (S, K) and (S, K)."""
        place = self.row_starts + arms
        shape = (-1, self.setup.arms)
        return self.wins.reshape(shape).take(place, 0), self.played.reshape(shape).take(place, 0)

    def upper_against(self, arms: Ids, level: float) -> Floats:
        """U[j, i] = P̂[j, i] + √(level / N[j, i]) of all arms j against one arm i of each row, (S, K).

        It is ``config.unseen`` for pairs never played and ½ for the arm itself.
        """
        if self.alone:
            arm, new = arms.item(), self.config.unseen
            counts = zip(self.wins[0, arm].tolist(), self.played[0, arm].tolist(), strict=True)
            bounds = [
                math.sqrt(level / played) + (played - lost) / played if played else new for lost, played in counts
            ]
            bounds[arm] = 0.5
            return np.array([bounds])
        lost, played = self.versus(arms)
        unseen = played == 0.0
        some = np.count_nonzero(unseen) > 0
        if some:
            played[unseen] = 1.0
        upper = level / played
        np.sqrt(upper, out=upper)
        upper += (played - lost) / played
        if some:
            upper[unseen] = self.config.unseen
        upper.reshape(-1)[self.row_starts + arms] = 0.5
        return upper
