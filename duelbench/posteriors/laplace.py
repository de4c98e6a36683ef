"""Last-layer Laplace: a Gaussian around the most probable weights of Bradley–Terry's logistic regression.

θ ~ N(θ̂, H⁻¹) with θ̂ the maximum of the posterior and H = Σ σ'(z·θ̂) z zᵀ + λ I the curvature there: exact in the limit
of many labels. The features are those of the responses, or the last hidden layer of a reward network that learns from
the same pairs, taken as if it were fixed (Kristiadi et al. 2020, ICML). Checked against a dense grid in two dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from duelbench.posteriors.ensemble import EnsembleConfig, EnsemblePosterior
from duelbench.posteriors.linear import Floats, LinearConfig, LinearPosterior, gaussian

_MAX_STEPS = 50
_LONGEST = 1.5  # max|z·step|, in logits: Newton steps up to here decrease a loss that is self-concordant
_SHORT = 1e-6


@dataclass(frozen=True)
class LaplaceConfig(LinearConfig):
    """Hyper-parameters of the Laplace posterior.

    Attributes:
        learned: whether the features are the last hidden layer of a network that learns.
        torso: that network; one of it, whatever its ``members``.
    """

    learned: bool = False
    torso: EnsembleConfig = field(default_factory=EnsembleConfig)


class LaplacePosterior(LinearPosterior):
    """Samples of the last layer. Arguments as for ``LinearPosterior``."""

    Config = LaplaceConfig
    config: LaplaceConfig

    def __init__(self, dim: int, rng: np.random.Generator, config: LaplaceConfig | None = None) -> None:
        config = config or LaplaceConfig()
        self._torso = EnsemblePosterior(dim, rng, replace(config.torso, members=1)) if config.learned else None
        super().__init__(dim, rng, config, config.torso.hidden if config.learned else None)
        if self._torso is not None:
            self._torso.pairs = self.pairs  # one buffer, on one scale
        self._mode = np.zeros(self.theta.shape[1])

    def _embed(self, features: NDArray[np.float32]) -> Floats:
        standard = self.pairs.standardise(features)
        if self._torso is None:
            return standard.astype(np.float64)
        with torch.no_grad():
            hidden = self._torso.hidden(torch.from_numpy(standard))[0].numpy()
        return hidden.astype(np.float64)

    def _learn(self, chosen: NDArray[np.float32], rejected: NDArray[np.float32], labels: int) -> None:
        if self._torso is None:
            return
        self._torso.learn(labels)
        size = (self._embed(self.pairs.chosen) ** 2).sum(-1).mean()
        self.precision = float(size) / self.config.prior_std**2

    def _draw(self, differences: Floats) -> Floats:
        self._mode, hessian = posterior_mode(differences, self.precision, self._mode)
        return gaussian(self._mode, hessian, self._rng.standard_normal(self.theta.shape))

    def state_dict(self) -> dict[str, Any]:
        """Samples, mode, pairs, random state, and the network if there is one."""
        torso = {} if self._torso is None else {"torso": self._torso.state_dict()}
        return super().state_dict() | {"mode": self._mode, "precision": self.precision} | torso

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        if self._torso is not None:
            self._torso.load_state_dict(state["torso"])
        super().load_state_dict(state)
        self._mode, self.precision = state["mode"], float(state["precision"])


def posterior_mode(differences: Floats, precision: float, start: Floats) -> tuple[Floats, Floats]:
    """θ̂ = argmin ½ λ‖θ‖² − Σ log σ(z·θ), (p,), by Newton's method, and the Hessian there, (p, p)."""
    theta = start
    for _ in range(_MAX_STEPS):
        lost = expit(-differences @ theta)  # σ(−z·θ), (n,)
        gradient = precision * theta - differences.T @ lost
        hessian = (differences.T * (lost * (1.0 - lost))) @ differences + precision * np.eye(len(theta))
        step = np.linalg.solve(hessian, gradient)
        length = np.abs(differences @ step).max()
        theta = theta - step * min(1.0, _LONGEST / max(length, _SHORT))
        if length < _SHORT:
            break
    return theta, hessian
