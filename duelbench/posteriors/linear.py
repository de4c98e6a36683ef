"""What the Bayesian logistic posteriors share: r(x) = θ·φ(x), P(y⁺ beats y⁻) = σ(r(y⁺) − r(y⁻)), θ ~ N(0, s² I / p).

The prior makes s the standard deviation of the reward of a typical response, whatever the number p of features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.posteriors.pairs import PairBuffer, accuracy
from duelbench.ranges import Checked, Count, Positive
from duelbench.types import Metrics

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LinearConfig(Checked):
    """Hyper-parameters of every posterior that is linear in features.

    Attributes:
        samples: K.
        prior_std: s, standard deviation of the reward of a typical response before there are labels.
        buffer: most pairs kept; the oldest are dropped.
    """

    samples: Count = 20
    prior_std: Positive = 1.0
    buffer: Count = 50_000


class LinearPosterior:
    """K samples of θ. Subclasses say how they are drawn given the pairs.

    Args:
        dim: d, of the responses' features.
        rng: draws the samples.
        config: hyper-parameters.
        size: p, of what θ multiplies; None: the features themselves, standardised.

    Attributes:
        pairs: what is learned from.
        theta: the samples, (K, p).
    """

    def __init__(self, dim: int, rng: np.random.Generator, config: LinearConfig, size: int | None = None) -> None:
        self.config: LinearConfig = config
        self.pairs = PairBuffer(dim, config.buffer)
        size = size or dim
        self.precision = size / config.prior_std**2  # λ, of the prior
        self._rng = rng
        self.theta: Floats = rng.standard_normal((config.samples, size)) / np.sqrt(self.precision)

    def rewards(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """R: features (..., d) -> the K samples' rewards (K, ...)."""
        flat = features.reshape(-1, features.shape[-1])
        self.pairs.fit_scale(flat)
        scores = self.theta @ self._embed(flat).T
        return scores.astype(np.float32).reshape(-1, *features.shape[:-1])

    def update(self, chosen: NDArray[np.float32], rejected: NDArray[np.float32], labels: int) -> Metrics:
        """Add n pairs of features (n, d) and draw new samples."""
        metrics = accuracy(self.rewards(chosen), self.rewards(rejected)) if len(chosen) else {}
        self.pairs.add(chosen, rejected)
        if len(self.pairs):
            self._learn(chosen, rejected, labels)
            self.theta = self._draw(self._embed(self.pairs.chosen) - self._embed(self.pairs.rejected))
        return metrics

    def _embed(self, features: NDArray[np.float32]) -> Floats:
        """φ of features (n, d), (n, p)."""
        return self.pairs.standardise(features).astype(np.float64)

    def _learn(self, chosen: NDArray[np.float32], rejected: NDArray[np.float32], labels: int) -> None:
        """Improve φ, if it is learned."""

    def _draw(self, differences: Floats) -> Floats:
        """Samples (K, p) given z = φ(y⁺) − φ(y⁻) of all pairs, (n, p)."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Samples, pairs and random state."""
        return self.pairs.state_dict() | {"theta": self.theta, "rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self.pairs.load_state_dict(state)
        self.theta = state["theta"]
        self._rng.bit_generator.state = state["rng"]


def gaussian(mean: Floats, precision: Floats, noise: Floats) -> Floats:
    """Draws from N(mean, precision⁻¹) out of standard normal noise (K, p); one mean and precision, or K of them."""
    root = np.linalg.cholesky(precision).swapaxes(-1, -2)
    drawn: Floats = mean + np.linalg.solve(root, noise[..., None])[..., 0]
    return drawn
