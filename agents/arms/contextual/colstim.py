"""CoLSTIM: an arm that is best in perturbed utilities, against an optimistic rival (Bengs et al. 2022, ICML).

First arm: argmax_i x_i·θ̂ + ε_i ‖x_i‖_{V⁻¹} with Gumbel ε clipped to ±√(d ln T): one draw per arm with probability
p_t = min(1, d ln(dT) / √t), else one draw for all. Second arm: argmax_j (x_j − x_i)·θ̂ + c₁ ‖x_j − x_i‖_{V⁻¹} with
c₁ = c √(d ln T). The paper's coupling is used; the code of Di et al. (2024) has it the other way round. The paper's
random duels at the start are left out, as in that code: the ridge makes V invertible without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmSetup, Duels, Floats
from duelbench.agents.arms.contextual.base import UtilityAgent, UtilityConfig, norms
from duelbench.ranges import NonNegative
from duelbench.types import Observation


@dataclass(frozen=True)
class CoLSTIMConfig(UtilityConfig):
    """Hyper-parameters of CoLSTIM.

    Attributes:
        width: c of the confidence width c₁ = c √(d ln T) of the second arm.
        clip: the same of the largest perturbation.
    """

    width: NonNegative = 2.0
    clip: NonNegative = 1.0


class CoLSTIM(UtilityAgent):
    """Imitates the noise of the answers in its choice of the first arm."""

    Config = CoLSTIMConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.asked = 0

    def propose(self, observation: Observation) -> Duels:
        """The perturbed leader and its challenger."""
        features = self.features(observation)
        utility = self.utilities(features)
        first = (utility + self._perturbations() * norms(features, self.inverse)).argmax(-1)
        contrast = features - features[self.every_row, first][:, None]
        challenge = utility + self.radius(self.config.width) * norms(contrast, self.inverse)
        return first, challenge.argmax(-1)

    def _perturbations(self) -> Floats:
        """ε, clipped, (S, K)."""
        self.asked += 1
        dim, rows = self.setup.dim, self.setup.rows
        several = self.rng.random(rows) < dim * np.log(dim * self.setup.labels) / np.sqrt(self.asked)
        noise = self.rng.gumbel(size=(rows, self.setup.arms))
        largest = self.radius(self.config.clip)
        return np.where(several[:, None], noise, noise[:, :1]).clip(-largest, largest)
