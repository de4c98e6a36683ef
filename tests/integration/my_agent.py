"""An agent as a user writes it: one file, one class, three methods, nothing inherited, no state_dict.

Run it with ``agent="tests/integration/my_agent.py:Scout"``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench import Pair, Responses


class Scout:
    """Learns a linear reward from the answers and duels its favourite sample with a random one."""

    def __init__(self, setup: Any) -> None:
        self.policy, self.rng, self.evaluation_rng = setup.policy, setup.rng, setup.evaluation_rng
        self.weights = np.zeros(self.policy.feature_dim, np.float64)

    def propose(self, observation: Any) -> Pair:
        candidates = self.policy.sample(observation, 6, self.rng)
        favourite = (candidates.features @ self.weights).argmax(-1)
        rival = (favourite + self.rng.integers(1, 6, size=len(favourite))) % 6
        return Pair.of(candidates.pick(favourite), candidates.pick(rival))

    def update(self, observation: Any, pair: Pair, feedback: NDArray[np.float64]) -> dict[str, float]:
        answered = ~np.isnan(feedback)
        gap = (pair.first.features - pair.second.features)[answered]
        error = feedback[answered] - 1 / (1 + np.exp(-gap @ self.weights))
        self.weights += 0.1 * error @ gap
        return {"weight_norm": float(np.linalg.norm(self.weights))}

    def respond(self, observation: Any) -> Responses:
        candidates = self.policy.sample(observation, 6, self.evaluation_rng())
        return candidates.pick((candidates.features @ self.weights).argmax(-1))
