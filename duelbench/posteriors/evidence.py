"""Bayesian logistic regression whose prior is set by the evidence (MacKay 1992), for good features and few labels.

r(x) = θ·φ(x) with θ ~ N(0, I / λ), φ the features in units of their common spread: a component that an encoder makes
large is one that tastes are thought to depend on. Laplace's approximation around the mode θ̂, with the
precision λ at the maximum of its evidence times a Gamma prior that is worth ν parameters at λ₀ = p / s²:

    λ (‖θ̂‖² + ν / λ₀) = γ + ν,   γ = p − λ tr H⁻¹,   H = Σ σ'(z·θ̂) z zᵀ + λ I

γ counts the directions that the labels have settled. Where features say nothing of a taste the weights shrink and the
belief stays near a coin toss; where they say much the prior gets out of the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.posteriors.laplace import posterior_mode
from duelbench.posteriors.linear import Floats, LinearConfig, LinearPosterior, gaussian
from duelbench.ranges import Count, NonNegative

_ROUNDS = 6  # of mode and precision in turn, from where the last update left them


@dataclass(frozen=True)
class EvidenceConfig(LinearConfig):
    """Hyper-parameters of Bayesian logistic regression by the evidence.

    Attributes:
        samples: K.
        trust: ν, how many parameters the guess ``prior_std`` is worth; 0 leaves the scale to the labels alone.
    """

    samples: Count = 100
    trust: NonNegative = 4.0


class EvidencePosterior(LinearPosterior):
    """Samples of θ around its mode. Arguments as for ``LinearPosterior``."""

    Config = EvidenceConfig
    config: EvidenceConfig

    def __init__(self, dim: int, rng: np.random.Generator, config: EvidenceConfig | None = None) -> None:
        super().__init__(dim, rng, config or EvidenceConfig())
        self._guess = self.precision
        self._mode = np.zeros(dim)

    def _embed(self, features: NDArray[np.float32]) -> Floats:
        """φ of features (n, d): centred, and divided by one number, so that components keep their proportions."""
        standard = self.pairs.standardise(features).astype(np.float64)
        scale = self.pairs.scale
        return standard * (scale / np.sqrt((scale**2).mean()))

    def _draw(self, differences: Floats) -> Floats:
        n, p = differences.shape
        # fewer pairs than features: they speak of their own span alone, and the prior holds in every other direction
        basis = np.linalg.qr(differences.T)[0] if n < p else np.eye(p)  # (p, r)
        seen, mode = differences @ basis, self._mode @ basis
        for _ in range(_ROUNDS):
            mode, hessian = posterior_mode(seen, self.precision, mode)
            self.precision = next_precision(mode, hessian, self.precision, self._guess, self.config.trust)
        mode, hessian = posterior_mode(seen, self.precision, mode)
        self._mode = basis @ mode
        noise = self._rng.standard_normal(self.theta.shape)
        inside = noise @ basis
        outside = (noise - inside @ basis.T) / np.sqrt(self.precision)
        return gaussian(mode, hessian, inside) @ basis.T + outside

    def state_dict(self) -> dict[str, Any]:
        """Samples, mode, precision, pairs and random state."""
        return super().state_dict() | {"mode": self._mode, "precision": self.precision}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        super().load_state_dict(state)
        self._mode, self.precision = state["mode"], float(state["precision"])


def next_precision(mode: Floats, hessian: Floats, precision: float, guess: float, trust: float) -> float:
    """λ = (γ + ν) / (‖θ̂‖² + ν / λ₀), one step of the fixed point.

    Args:
        mode: θ̂, (p,).
        hessian: H at this mode and precision, (p, p).
        precision: λ so far.
        guess: λ₀.
        trust: ν.
    """
    settled = len(mode) - precision * float(np.trace(np.linalg.inv(hessian)))
    return (settled + trust) / (float(mode @ mode) + trust / guess)
