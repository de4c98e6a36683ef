"""Online: passive online preference learning (online DPO; OAIF, arXiv 2402.04792; SEA Table 1, variant 1)."""

from __future__ import annotations

from duelbench.agents.alignment.base import LearningAgent, two_samples
from duelbench.types import Observation, Pair


class Online(LearningAgent):
    """Two samples of the current policy a prompt, and gradient steps on their verdicts."""

    def propose(self, observation: Observation) -> Pair:
        """Two samples of the current policy."""
        return two_samples(self.policy, observation, self.rng, reference=False)
