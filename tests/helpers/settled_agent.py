"""An agent that proposes two different responses in its first rounds, and then the same one twice for ever."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench import Pair, Responses

ASKS = 2  # rounds


class Settled:
    """Has nothing to ask after two rounds, as a policy that has collapsed."""

    def __init__(self, setup: Any) -> None:
        self.policy, self.rng, self.evaluation_rng = setup.policy, setup.rng, setup.evaluation_rng
        self.rounds = 0

    def propose(self, observation: Any) -> Pair:
        candidates = self.policy.sample(observation, 8, self.rng)
        columns = candidates.actions
        first = np.zeros(len(columns), np.int64)
        other = (columns != columns[:, :1]).argmax(1)
        self.rounds += 1
        return Pair.of(candidates.pick(first), candidates.pick(other if self.rounds <= ASKS else first))

    def update(self, observation: Any, pair: Pair, feedback: NDArray[np.float64]) -> dict[str, float]:
        return {}

    def respond(self, observation: Any) -> Responses:
        return self.policy.sample(observation, 1, self.evaluation_rng()).pick(np.zeros(len(observation["prompt"]), int))
