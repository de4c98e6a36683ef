"""MaxInP: the most uncertain pair of arms that may still be best (Saha 2021, NeurIPS).

C = {i: (x_i − x_j)·θ̂ + η ‖x_i − x_j‖_{V⁻¹} ≥ 0 for all j}; plays the pair in C with the largest ‖x_i − x_j‖_{V⁻¹}, its
two sides in random order. η = c √(d ln T), as all experiments have it, and not the larger η of the theory, which also
starts with random pairs; here the ridge makes V invertible from the start.
"""

from __future__ import annotations

import numpy as np

from duelbench.agents.arms.base import Duels
from duelbench.agents.arms.contextual.base import UtilityAgent, WidthConfig, best_pair, either_way
from duelbench.types import Observation


class MaxInP(UtilityAgent):
    """Explores among the promising arms, without regard to how promising they are."""

    Config = WidthConfig

    def propose(self, observation: Observation) -> Duels:
        """The widest pair of promising arms."""
        features = self.features(observation)
        utility, widths = self.utilities(features), self.widths(features)
        lead = self.radius(self.config.width) * widths
        lead -= utility[:, None, :]
        promising = lead.min(-1) >= -utility  # (S, K); the greedy arm is always one of them
        candidates = promising[:, :, None] & promising[:, None, :]
        return either_way(best_pair(np.where(candidates, widths, -1.0)), self.rng.random(self.setup.rows))
