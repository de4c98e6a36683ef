"""Both orders: every duel is asked twice, and answers that contradict each other are a tie.

The usual remedy for a judge that favours a position. It needs no model of the bias and costs two labels per duel. The
base agent, double Thompson sampling or RUCB, learns 1, 0, or ½ where the winner changed with the order.

An answer waits for that of the opposite order; where answers come late, a second one in the same order takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids
from duelbench.agents.arms.matrix.stella import BASES
from duelbench.ranges import Checked
from duelbench.types import Observation


@dataclass(frozen=True)
class SwapOrdersConfig(Checked):
    """Hyper-parameters.

    Attributes:
        base: who chooses the duels.
    """

    base: Literal["double_ts", "rucb"] = "double_ts"


class SwapOrders(ArmAgent):
    """Asks each of its base agent's duels in both orders.

    Attributes:
        base: the agent that chooses.
        waiting: the answer to i against j with i shown first, while the opposite order is open; else NaN, (S, K, K).
    """

    Config = SwapOrdersConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.base = BASES[self.config.base](setup)
        self.waiting = np.full((setup.rows, setup.arms, setup.arms), np.nan)
        self._turned: Duels | None = None

    def propose(self, observation: Observation) -> Duels:
        """The base agent's pair, and the next time the same pair turned round."""
        if self._turned is not None:
            again, self._turned = self._turned, None
            return again
        firsts, seconds = self.base.propose(observation)
        self._turned = seconds, firsts
        return firsts, seconds

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Let the base agent learn from duels that both orders have been answered of."""
        opposite = self.waiting[self.every_row, seconds, firsts]
        both = (np.sign(feedback - 0.5) - np.sign(opposite - 0.5)) / 2.0  # 1: the first won twice; NaN: not both yet
        verdict = np.where(np.abs(both) == 1.0, (both + 1.0) / 2.0, np.where(np.isnan(both), np.nan, 0.5))
        complete = ~np.isnan(verdict)
        self.waiting[self.every_row[complete], seconds[complete], firsts[complete]] = np.nan
        alone = ~complete & ~np.isnan(feedback)
        self.waiting[self.every_row[alone], firsts[alone], seconds[alone]] = feedback[alone]
        if complete.any():
            self.base.update(observation, seconds, firsts, 1.0 - verdict)  # as the base agent named them

    def scores(self, observation: Observation) -> Floats:
        """What the base agent would deploy."""
        return self.base.scores(observation)
