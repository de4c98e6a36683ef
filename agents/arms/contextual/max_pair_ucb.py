"""MaxPairUCB: the pair with the largest optimistic sum of utilities (as implemented by Di et al. 2024, ICLR).

Plays argmax over pairs of (x_i + x_j)·θ̂ + β ‖x_i − x_j‖_{V⁻¹} with β = c √(d ln T), its two sides in random order. The
pair may be an arm and itself.
"""

from __future__ import annotations

from duelbench.agents.arms.base import Duels
from duelbench.agents.arms.contextual.base import UtilityAgent, WidthConfig, best_pair, either_way
from duelbench.types import Observation


class MaxPairUCB(UtilityAgent):
    """Good arms, and arms whose difference is unknown, in one sum."""

    Config = WidthConfig

    def propose(self, observation: Observation) -> Duels:
        """The pair that is best together, optimistically."""
        features = self.features(observation)
        utility = self.utilities(features)
        values = self.widths(features)
        values *= self.radius(self.config.width)
        values += utility[:, :, None]
        values += utility[:, None, :]
        return either_way(best_pair(values), self.rng.random(self.setup.rows))
