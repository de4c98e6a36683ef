"""RMED1, RMED2, RMED2FH: relative minimum empirical divergence (Komiyama, Honda, Kashima & Nakagawa 2015, COLT).

arXiv 1506.02550, Algorithms 1–3. O_i = {j ≠ i: P̂[i, j] ≤ ½} are the opponents of arm i, I_i = Σ_{j ∈ O_i} N[i, j]
kl(P̂[i, j], ½) is the evidence against it, i* = argmin I. Each pair is drawn once (RMED2FH: ⌈α ln ln T⌉ times). Then
passes: each arm l of a list duels once, in order; an arm j that does not wait for its turn in this pass is on the list
of the next if after some duel I_j − I_{i*} ≤ ln t + f(K), f(K) = slack · K^1.01. RMED1's opponent of l is i* if it is
in O_l or O_l is empty, else argmin_j P̂[l, j]. RMED2 and RMED2FH prefer the opponent that costs least regret,
b = argmin_j max(Δ[i*, l] + Δ[i*, j], 0.01) / kl(P̂[l, j], ½) over P̂[l, j] < ½, with Δ = P̂ − ½; RMED2FH decides on it
once, after the exploration.

Where the paper leaves things open or its authors' code differs, the code is followed: the maximum with 0.01; b ∈ O_l is
played unless i* ∈ O_l and N[l, i*] ≤ N[l, b] / ln ln t; RMED2 sees to N[i, j] ≥ α ln ln t before every duel, not only
before every pass. Pairs count as explored when they have been asked: late answers are not asked for again. As there, a
share never observed is ½; ln ln t, for which the code has ln(ln t + 0.01), is that of t = 3 before the third duel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.agents.arms.base import ArmSetup, Duels, Floats, Ids, argmax
from duelbench.agents.arms.matrix.evidence import EvidenceAgent, divergence
from duelbench.ranges import Checked, NonNegative, Positive
from duelbench.types import Observation

_LEAST_COST = 0.01


@dataclass(frozen=True)
class RMEDConfig(Checked):
    """Hyper-parameters of RMED1.

    Attributes:
        slack: factor of f(K) = slack · K^1.01.
    """

    slack: NonNegative = 0.3


@dataclass(frozen=True)
class RMED2Config(RMEDConfig):
    """Hyper-parameters of RMED2 and RMED2FH.

    Attributes:
        alpha: pairs are explored α ln ln t, or T, times.
    """

    alpha: Positive = 3.0


class RMED1(EvidenceAgent):
    """Passes through the arms that may be best; each meets its likeliest vanquisher.

    Attributes:
        waiting: arms whose turn in this pass is yet to come, (S, K).
        listed: arms of the next pass, so far, (S, K).
        asked: duels proposed so far.
    """

    Config = RMEDConfig
    measure = staticmethod(divergence)

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.waiting = np.ones((setup.rows, setup.arms), bool)
        self.listed = np.zeros_like(self.waiting)
        self.asked = 0
        self._passing = np.zeros(setup.rows, bool)  # rows whose last duel was part of a pass
        self._everyone = np.ones(setup.rows, bool)
        self._initial = np.tile(np.stack(np.triu_indices(setup.arms, 1), -1), (self.explorations(), 1))

    def explorations(self) -> int:
        """How often each pair is drawn at the beginning."""
        return 1

    def propose(self, observation: Observation) -> Duels:
        """Initial pairs, then the next arm of the pass against its opponent."""
        self.asked += 1
        if self.asked <= len(self._initial):
            first, second = self._initial[self.asked - 1]
            return np.full(self.setup.rows, first), np.full(self.setup.rows, second)
        against = self.evidence.sum(0)  # I, (S, K)
        leader = argmax(-against, self.rng)
        self._list(against, leader)
        return self.main_phase(leader)

    def main_phase(self, leader: Ids) -> Duels:
        """The next duel of each row's pass; ``leader`` is i*, (S,)."""
        return self._pass(leader, self._everyone)

    def _list(self, against: Floats, leader: Ids) -> None:
        """Put plausible arms on the list of the next pass, and begin it if this one is over."""
        slack = math.log(max(self.t, 1)) + self.config.slack * self.setup.arms**1.01
        bound = against.reshape(-1).take(self.row_starts + leader) + slack
        plausible = against <= bound[:, None]
        plausible &= self._passing[:, None]
        plausible &= ~self.waiting
        self.listed |= plausible
        over = np.flatnonzero(~self.waiting.any(-1))
        self.waiting[over] = self.listed[over]
        self.listed[over] = False

    def _pass(self, leader: Ids, passing: NDArray[np.bool_]) -> Duels:
        """The duel of the arm whose turn it is, (S,) and (S,); in rows that are ``passing`` it waits no longer."""
        self._passing = passing
        arm = self.waiting.argmax(-1)
        self.waiting.reshape(-1)[self.row_starts + arm] = ~passing
        return arm, self.opponent(arm, leader)

    def opponent(self, arm: Ids, leader: Ids) -> Ids:
        """Whom an arm of each row meets, (S,)."""
        won, played = self.versus(arm)
        opponents = 2.0 * won <= played  # O
        opponents.reshape(-1)[self.row_starts + arm] = False
        inside = opponents.reshape(-1).take(self.row_starts + leader)
        others = np.flatnonzero(~inside & opponents.any(-1))
        if not len(others):
            return leader
        won, played = won[others], played[others]
        mean = np.divide(won, played, out=np.full_like(won, 0.5), where=played > 0)
        opponent = leader.copy()
        opponent[others] = argmax(np.where(opponents[others], -mean, -1.0), self.rng)
        return opponent


class CheapOpponents(RMED1):
    """What RMED2 and RMED2FH share. Subclasses say which opponent is cheap."""

    Config = RMED2Config

    def loglog(self, t: int) -> float:
        """ln ln t."""
        return math.log(math.log(max(t, 3)))

    def opponent(self, arm: Ids, leader: Ids) -> Ids:
        """The cheap opponent, if there is one and the leader has not been neglected for it."""
        usual, cheap = super().opponent(arm, leader), self.cheap(arm, leader)
        played, place = self.played.reshape(-1), (self.row_starts + arm) * self.setup.arms
        neglected = played[place + leader] * self.loglog(self.t) <= played[place + cheap]
        return np.where((cheap < 0) | (neglected & (usual == leader)), usual, cheap)

    def cheap(self, arm: Ids, leader: Ids) -> Ids:
        """b among the opponents of an arm of each row, (S,); −1 if it has none."""
        raise NotImplementedError

    def cheapest(self, rows: Ids, arm: Ids, leader: Ids) -> Ids:
        """b of any arm of any row, (n,); −1 where the arm has beaten all."""
        starts = rows * self.setup.arms
        mean = self._means(starts + arm)
        edge = self._means(starts + leader) - 0.5  # Δ[i*, j]
        regret = np.maximum(edge + edge[np.arange(len(rows)), arm][:, None], _LEAST_COST)
        ahead = mean < 0.5
        evidence = divergence(mean, 1.0 - mean)  # from P̂: arms that are equal in theory are so in floating point
        value = np.where(ahead, -regret / np.where(ahead, evidence, 1.0), -np.inf)
        return np.where(ahead.any(-1), argmax(value, self.rng), -1)

    def _means(self, place: Ids) -> Floats:
        """P̂ of the arms at these places of (S, K) against all, ½ for pairs never played, (n, K)."""
        shape = (-1, self.setup.arms)
        won, played = self.wins.reshape(shape)[place], self.played.reshape(shape)[place]
        return np.divide(won, played, out=np.full_like(won, 0.5), where=played > 0)


class RMED2(CheapOpponents):
    """Learns who is cheap as it goes, and must explore all pairs for that.

    Attributes:
        pairs: how often each pair was proposed, answered or not, at i K + j for i < j, (S, K²).
    """

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        above = np.triu(np.ones((setup.arms, setup.arms), bool), 1)
        self.pairs = np.tile(np.where(above, self.explorations(), np.inf).reshape(-1), (setup.rows, 1))

    def main_phase(self, leader: Ids) -> Duels:
        """A pair that was proposed too rarely, or the next duel of the pass."""
        arms = self.setup.arms
        rare = self.pairs < self.config.alpha * self.loglog(self.t)
        pair = rare.argmax(-1)  # the first one; 0, which is no pair, if there is none
        passing = pair == 0
        arm, opponent = self._pass(leader, passing)
        first, second = np.where(passing, arm, pair // arms), np.where(passing, opponent, pair % arms)
        self.pairs[self.every_row, np.minimum(first, second) * arms + np.maximum(first, second)] += 1.0
        return first, second

    def cheap(self, arm: Ids, leader: Ids) -> Ids:
        """By what is known now."""
        return self.cheapest(self.every_row, arm, leader)


class RMED2FH(CheapOpponents):
    """For a known number of duels: explores first, and decides then who is cheap.

    Attributes:
        fixed: b of each arm, (S, K), once the exploration is over.
    """

    fixed: Ids | None = None

    def explorations(self) -> int:
        """⌈α ln ln T⌉."""
        return max(1, math.ceil(self.config.alpha * self.loglog(self.setup.labels)))

    def main_phase(self, leader: Ids) -> Duels:
        """The next duel of the pass."""
        if self.fixed is None:
            arms, size = self.setup.arms, self.setup.rows
            rows, leaders = np.repeat(self.every_row, arms), np.repeat(leader, arms)
            cheapest = self.cheapest(rows, np.tile(np.arange(arms), size), leaders)
            self.fixed = np.where(cheapest < 0, leaders, cheapest).reshape(size, arms)
        return super().main_phase(leader)

    def cheap(self, arm: Ids, leader: Ids) -> Ids:
        """The fixed one, if it is still ahead of the arm or level with it."""
        assert self.fixed is not None
        cheap: Ids = self.fixed.reshape(-1)[self.row_starts + arm]
        place = (self.row_starts + arm) * self.setup.arms + cheap
        ahead = 2.0 * self.wins.reshape(-1)[place] <= self.played.reshape(-1)[place]
        return np.where(ahead & (cheap != arm), cheap, -1)
