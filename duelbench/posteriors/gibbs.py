"""Exact Bayesian logistic regression by the Pólya-Gamma Gibbs sampler (Polson, Scott & Windle 2013, arXiv 1205.0310).

With ω_i | θ ~ PG(1, z_i·θ), θ | ω is Gaussian: precision ZᵀΩZ + λI, mean (ZᵀΩZ + λI)⁻¹ Zᵀ½, since every pair is written
as won. The K posterior samples are the states of K chains that never meet, which go on from where they were when labels
come in. Cost: K p² n a sweep, so this is for checking others, and for few features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from duelbench.posteriors.linear import Floats, LinearConfig, LinearPosterior, gaussian
from duelbench.posteriors.polya_gamma import polya_gamma
from duelbench.ranges import Count


@dataclass(frozen=True)
class GibbsConfig(LinearConfig):
    """Hyper-parameters of the Gibbs sampler.

    Attributes:
        sweeps: of each chain in an update.
    """

    sweeps: Count = 3


class GibbsPosterior(LinearPosterior):
    """K chains. Arguments as for ``LinearPosterior``."""

    Config = GibbsConfig
    config: GibbsConfig

    def __init__(self, dim: int, rng: np.random.Generator, config: GibbsConfig | None = None) -> None:
        super().__init__(dim, rng, config or GibbsConfig())

    def _draw(self, differences: Floats) -> Floats:
        theta, ridge = self.theta, self.precision * np.eye(differences.shape[1])
        won = 0.5 * differences.sum(0)
        for _ in range(self.config.sweeps):
            weights = polya_gamma(theta @ differences.T, self._rng)  # (K, n)
            precision = (differences.T * weights[:, None]) @ differences + ridge  # (K, p, p)
            mean = np.linalg.solve(precision, won[:, None])[..., 0]
            theta = gaussian(mean, precision, self._rng.standard_normal(theta.shape))
        return theta
