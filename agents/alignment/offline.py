"""Offline: duels of the reference policy, never refreshed, and a policy trained on them (offline DPO).

The passive baseline of SEA §4.1: preferences come from a fixed distribution, as when a data set was collected once.
"""

from __future__ import annotations

from duelbench.agents.alignment.base import LearningAgent, two_samples
from duelbench.types import Observation, Pair


class Offline(LearningAgent):
    """Two samples of the reference policy a prompt; the policy learns but never proposes."""

    def propose(self, observation: Observation) -> Pair:
        """Two reference samples."""
        return two_samples(self.policy, observation, self.rng, reference=True)
