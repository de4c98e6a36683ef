"""Reward model and policy that begin anew every few rounds: `periodic_rm` of Asghari et al. 2026 (arXiv 2603.17378).

Between two restarts the policy stays as it is and only gathers answers. At a restart reward model, policy, optimizer
and anchor go back to where they began and learn from everything so far: the reward model from all answers, round by
round, then the policy on the prompts of all rounds, one round's lessons each, from fresh responses of its own.

It stands between `offline_rm`, whose duels are never refreshed, and `online_rm`, whose duels always are. A restart at
round t costs as much as t rounds of `online_rm`. Verified against secondary sources only (notes on the paper, which
restarts every 400 batches of 64).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.acquisition import choose_rule
from duelbench.agents.alignment.base import Setup
from duelbench.agents.alignment.ladder import Ladder, LadderConfig
from duelbench.learning.packing import pack, unpack
from duelbench.plugins import Choice
from duelbench.ranges import Count
from duelbench.types import Metrics, Observation, Pair


@dataclass(frozen=True)
class PeriodicConfig(LadderConfig):
    """Hyper-parameters of the ladder, and how often it begins anew.

    Attributes:
        period: rounds between two restarts.
    """

    selection: Choice = field(default_factory=partial(choose_rule, "uniform"))
    period: Count = 8


class Periodic(Ladder):
    """Learns nothing for some rounds, and then everything anew."""

    Config = PeriodicConfig

    def __init__(self, setup: Setup, config: Any = None) -> None:
        super().__init__(setup, config)
        self._start = {"policy": self.policy.state_dict(), "learner": self.learner.state_dict()}
        self._rounds: list[tuple[Observation, Pair, NDArray[np.float64]]] = []

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """Keep the answers; learn from all of them when the time has come."""
        self._rounds.append((dict(observation), Pair(pair.first, pair.second, pair.ask), feedback))
        return {} if len(self._rounds) % self.config.period else self._begin_anew()

    def _begin_anew(self) -> Metrics:
        self.policy.load_state_dict(self._start["policy"])
        self.learner.load_state_dict(self._start["learner"])
        self.anchor, self.labels_seen = self._start["policy"], 0
        self.posterior = self.config.posterior.make(self.policy.feature_dim, self.rng)
        self.consider(self._rounds[0][0])  # posteriors take their scale from the first candidates that they score
        metrics: Metrics = {}
        for _, pair, feedback in self._rounds:
            metrics |= self.learn_rewards(pair, feedback)
        for observation, pair, _ in self._rounds if self.labels_seen else []:
            duel = self.consider(observation)
            metrics |= self.teach(*self.lessons(self.duel(duel, pair.ask, duel.candidates)))
            self._move_anchor()
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """What every rung of the ladder keeps, and all rounds so far."""
        return super().state_dict() | {"rounds": pack(self._rounds)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        super().load_state_dict(state)
        self._rounds = unpack(state["rounds"])
