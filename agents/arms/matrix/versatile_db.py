"""Versatile-DB: two Tsallis-INF players, optimal for adversarial and stochastic duels (Saha & Gaillard 2022, ICML).

A player with cumulated loss estimates L draws its arm from w_i = 4 / (η (L_i − x))², where x is such that Σw = 1: the
minimiser of ⟨w, L⟩ − (4/η) Σ√w_i, with η = rate/√t. The loser's player adds 1/w_i to the estimate of the arm it
chose. For rate = 2 that is the importance-weighted Tsallis-INF with α = ½ of Zimmert & Seldin (2021). The w_i is that
of the player's last draw of arm i: exact as long as an answer comes before the arm is drawn again, biased for later
ones. (With the w_i of the round in which it comes, late answers to one arm would raise each other without bounds.)
arXiv 2202.06694.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids, draw
from duelbench.ranges import Checked, Positive
from duelbench.types import Observation

_NEWTON_STEPS = 5  # leave less than 1e-14 for up to 1000 arms


@dataclass(frozen=True)
class VersatileDBConfig(Checked):
    """Hyper-parameters of Versatile-DB.

    Attributes:
        rate: learning rate, η = rate/√t.
    """

    rate: Positive = 2.0


def tsallis_weights(losses: Floats, eta: Floats) -> Floats:
    """w = 4 / (η (L − x))² with x such that w sums to 1 along the last axis.

    Newton's method for h(x) = (Σw)^−½ = 1. h is concave and decreasing, a straight line if all losses are equal, and
    h ≤ 1 at min L − 2/η, where the best arm alone has w = 1. From there no step crosses the root.
    """
    gap = losses - losses.min(-1, keepdims=True) + 2.0 / eta  # L − x
    for _ in range(_NEWTON_STEPS):
        inverse = 1.0 / gap
        square = inverse * inverse
        total = square.sum(-1, keepdims=True)
        gap += (2.0 / eta * np.sqrt(total) - 1.0) * total / (square * inverse).sum(-1, keepdims=True)
    weights = gap**-2.0
    return weights / weights.sum(-1, keepdims=True)


class VersatileDB(ArmAgent):
    """Each player minimises its own losses.

    Attributes:
        losses: estimated losses of each arm of the first player and of the second, (2, S, K).
        drawn_with: probability of each arm when the player last drew it, (2, S, K).
        answers: duels answered so far, (S,).
    """

    Config = VersatileDBConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.losses = np.zeros((2, setup.rows, setup.arms))
        self.drawn_with = np.full_like(self.losses, 1.0 / setup.arms)
        self.answers = np.zeros(setup.rows)

    def propose(self, observation: Observation) -> Duels:
        """A draw of each player."""
        eta = self.config.rate / np.sqrt(self.answers + 1.0)
        probabilities = tsallis_weights(self.losses, eta[:, None])
        firsts, seconds = draw(probabilities, self.rng)
        for player, arms in enumerate((firsts, seconds)):
            self.drawn_with[player, self.every_row, arms] = probabilities[player, self.every_row, arms]
        return firsts, seconds

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Charge the loser's player, both by half for a tie."""
        known = ~np.isnan(feedback)
        won = np.where(known, feedback, 0.0)
        for player, arms, loss in ((0, firsts, known - won), (1, seconds, won)):
            self.losses[player, self.every_row, arms] += loss / self.drawn_with[player, self.every_row, arms]
        self.answers += known

    def scores(self, observation: Observation) -> Floats:
        """Minus the estimated losses of both players, (S, K)."""
        return -self.losses.sum(0)
