"""Winner stays, WS-W for weak regret and WS-S for strong (Chen & Frazier 2017, ICML; arXiv 1706.04304).

With C_i the wins minus the losses of arm i, WS-W plays i = argmax C against j = argmax C over the others; arms of the
duel before keep ties, its first arm before its second, other ties are broken at random. So a pair plays until one of
them has fallen behind, and the winner goes on against the next. In round r = 1, 2, … of this tournament every arm but
one falls to C = −r; the round is over when that one has reached C = (K − 1) r. WS-S then plays the winner ⌊βʳ⌋ times
against itself before round r + 1 begins. These are the rounds of the paper, where duelpy counts every single duel of
WS-W as a round; β = 2 is duelpy's default. Late answers are counted when they come: until then the same pair is asked
again, and WS-S goes on exploiting until ⌊βʳ⌋ self-duels have been answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Gt

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids
from duelbench.ranges import Checked
from duelbench.types import Observation


@dataclass(frozen=True)
class WSSConfig(Checked):
    """Hyper-parameters of WS-S.

    Attributes:
        beta: growth of the exploitation phases, larger than 1.
    """

    beta: Annotated[float, Gt(1)] = 2.0


class WSW(ArmAgent):
    """The arm that is ahead stays and meets the next best.

    Attributes:
        balance: C, wins minus losses, (S, K).
        first: first arm of the last duel proposed, −1 before it, (S,).
        second: its second arm, likewise.
    """

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.balance = np.zeros((setup.rows, setup.arms))
        self.first = self.second = np.full(setup.rows, -1)

    def propose(self, observation: Observation) -> Duels:
        """The two arms that are farthest ahead."""
        arms = np.arange(self.setup.arms)
        keys = self.rng.random(self.balance.shape)  # one draw breaks all ties of a round
        keys += 3.0 * (arms == self.first[:, None]) + 2.0 * (arms == self.second[:, None])
        self.first = _leader(self.balance, keys)
        self.second = _leader(np.where(arms == self.first[:, None], -np.inf, self.balance), keys)
        return self.first, self.second

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Move the balances; a tie or a self-duel leaves them."""
        gain = np.where(np.isnan(feedback), 0.0, 2.0 * feedback - 1.0)
        self.balance[self.every_row, firsts] += gain
        self.balance[self.every_row, seconds] -= gain

    def scores(self, observation: Observation) -> Floats:
        """Wins minus losses, (S, K)."""
        return self.balance


class WSS(WSW):
    """Rounds of WS-W, each followed by a longer phase that plays its winner against itself.

    Attributes:
        round: r, of the tournament, (S,).
        exploits: self-duels still to be answered, (S,).
    """

    Config = WSSConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.round = np.ones(setup.rows)
        self.exploits = np.zeros(setup.rows)

    def propose(self, observation: Observation) -> Duels:
        """The duel of WS-W, or the winner twice."""
        before = self.first, self.second
        firsts, seconds = super().propose(observation)
        exploit = self.exploits > 0
        self.first, self.second = np.where(exploit, before, (firsts, seconds))
        return firsts, np.where(exploit, firsts, seconds)

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """As WS-W; count self-duels and see whether a round is over."""
        super().update(observation, firsts, seconds, feedback)
        answered = (firsts == seconds) & ~np.isnan(feedback)
        self.exploits = np.maximum(self.exploits - answered, 0.0)
        over = (self.exploits == 0.0) & (self.balance.max(-1) >= (self.setup.arms - 1) * self.round)
        self.exploits = np.where(over, np.floor(self.config.beta**self.round), self.exploits)
        self.round += over


def _leader(values: Floats, keys: Floats) -> Ids:
    """Index of the largest value in each row, of ties that with the largest key."""
    return np.where(values == values.max(-1, keepdims=True), keys, -1.0).argmax(-1)
