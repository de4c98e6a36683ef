"""Uniform: random duels of the reference policy, no learning. The floor that every curve is read against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from duelbench.agents.alignment.base import LearningAgent, two_samples
from duelbench.types import Metrics, Observation, Pair


class Uniform(LearningAgent):
    """Asks about two samples of the reference policy and never learns: its regret grows linearly."""

    floor = True

    def propose(self, observation: Observation) -> Pair:
        """Two reference samples."""
        return two_samples(self.policy, observation, self.rng, reference=True)

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """Learns nothing."""
        return {}
