"""Laplace double TS: each arm is best in its own draw from the Laplace approximation of the posterior of θ.

Draws θ¹, θ² from N(θ̂, v² H⁻¹) with θ̂ the regularised logistic estimate, i.e. the posterior mode under a Gaussian prior,
and H the Hessian of its loss at θ̂; plays argmax_i x_i·θ¹ against argmax_j x_j·θ². Thompson sampling by Laplace's
approximation is due to Chapelle & Li (2011, NeurIPS), two independent draws for a duel to Wu & Liu (2016, NeurIPS). The
two arms may be one and the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from duelbench.agents.arms.base import Duels
from duelbench.agents.arms.contextual.base import UtilityAgent, UtilityConfig
from duelbench.ranges import NonNegative
from duelbench.types import Observation


@dataclass(frozen=True)
class LaplaceTSConfig(UtilityConfig):
    """Hyper-parameters of Laplace double TS.

    Attributes:
        spread: v, by which the standard deviations of the posterior are multiplied.
    """

    spread: NonNegative = 1.0


class LaplaceTS(UtilityAgent):
    """Two draws of θ, two arms."""

    Config = LaplaceTSConfig

    def propose(self, observation: Observation) -> Duels:
        """The best arm of each draw."""
        noise = self.rng.standard_normal((self.setup.rows, 2, self.setup.dim))
        theta = self.theta[:, None]  # fits, if it must, before the Hessian is read
        root = np.linalg.cholesky(self.model.inverse_hessian)
        drawn = theta + self.config.spread * np.matmul(noise, root.transpose(0, 2, 1))  # (S, 2, d)
        best = np.matmul(drawn, self.features(observation).transpose(0, 2, 1)).argmax(-1)
        return best[:, 0], best[:, 1]
