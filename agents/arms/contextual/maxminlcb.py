"""MaxMinLCB: kernel logistic regression, and the pair of a Stackelberg game (Pásztor et al. 2024; arXiv 2406.16745).

With f̂ the kernel logistic estimate, F the logistic function, k_D the kernel of pairs, Z the duels so far and

    σ_ij² = k_D − k_Zᵀ (K_Z + λI)⁻¹ k_Z,    LCB_ij = F(f̂_i − f̂_j) − β σ_ij,

the leader is argmax_i min_j LCB_ij and the follower the minimiser j. LCB_ii = ½, so an arm that surely beats all others
duels itself.

As in the authors' experiments, β is a constant and j ranges over all arms; in the paper's algorithm both range over the
arms that may still be best. Their code multiplies β with the variance; here, as in the paper, with its root. One λ is
both the ridge of the regression and the λκ of the variance.

k is kept as features φ with k(x, y) = φ(x)·φ(y), which turns f̂ into a linear logistic estimate and σ_ij into
√λ ‖φ_i − φ_j‖_{V⁻¹}: eigenfeatures of the K × K kernel matrix, exact if there are K of them, where arms keep their
features; random Fourier features where they are fresh. So cost does not grow with t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import expit

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids, argmax
from duelbench.agents.arms.contextual.base import pair_widths, rank_one, utilities
from duelbench.agents.arms.contextual.logistic import LogisticRegression
from duelbench.ranges import Checked, Count, NonNegative, Positive
from duelbench.types import Observation


@dataclass(frozen=True)
class MaxMinLCBConfig(Checked):
    """Hyper-parameters of MaxMinLCB.

    Attributes:
        width: β, in probability.
        ridge: λ.
        kernel: ``rbf``, exp(−‖x − y‖² / 2ℓ²), or ``linear``, x·y.
        length: ℓ; None takes the mean distance of an arm to its nearest neighbour among the arms first seen, so that
            neighbours correlate by e^−½.
        features: most dimensions of φ: eigenfeatures beyond are dropped; twice the number of random frequencies.
    """

    width: NonNegative = 1.0
    ridge: Positive = 0.25
    kernel: Literal["rbf", "linear"] = "rbf"
    length: Positive | None = None
    features: Count = 100


class MaxMinLCB(ArmAgent):
    """The leader is safe against its worst rival; that rival is the informative duel."""

    Config = MaxMinLCBConfig
    needs_features = True

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        c = self.config
        self._fixed: Floats | None = None  # φ of arms that keep their features
        self._lengths: Floats | None = None
        self.size = setup.dim
        if c.kernel == "rbf":
            self.size = min(c.features, setup.arms) if setup.fixed_features else 2 * (c.features // 2)
        # Two fixed arms meet rarely: with as many features as arms, counting by pair would only make fits slower.
        self.model = LogisticRegression(setup.rows, self.size, c.ridge)
        self.inverse = np.tile(np.eye(self.size) / c.ridge, (setup.rows, 1, 1))
        self._frequencies = self.rng.standard_normal((setup.dim, self.size // 2))

    def propose(self, observation: Observation) -> Duels:
        """Leader and follower."""
        phi = self.embed(observation)
        f = utilities(phi, self.model.theta)
        lower = pair_widths(phi, self.inverse)
        lower *= -self.config.width * np.sqrt(self.config.ridge)
        lower += expit(f[:, :, None] - f[:, None])
        first = argmax(lower.min(-1), self.rng)
        return first, argmax(-lower[self.every_row, first], self.rng)

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Add the duels."""
        phi = self.embed(observation)
        z = phi[self.every_row, firsts] - phi[self.every_row, seconds]
        self.model.add(z, feedback, firsts, seconds)
        self.inverse = rank_one(self.inverse, z, np.where(np.isnan(feedback), 0.0, 1.0))

    def scores(self, observation: Observation) -> Floats:
        """f̂, (S, K)."""
        return utilities(self.embed(observation), self.model.theta)

    def embed(self, observation: Observation) -> Floats:
        """φ of the arms, (S, K, m)."""
        if self._fixed is not None:
            return self._fixed
        x = np.asarray(observation["features"], np.float64)
        if self.config.kernel == "linear":
            return x
        if self._lengths is None:
            self._lengths = self._first_lengths(x)
        if self.setup.fixed_features:
            self._fixed = eigenfeatures(np.exp(-0.5 * square_distances(x) / self._lengths**2), self.size)
            return self._fixed
        waves = np.matmul(x / self._lengths, self._frequencies)
        return np.concatenate([np.cos(waves), np.sin(waves)], axis=-1) / np.sqrt(waves.shape[-1])

    def _first_lengths(self, x: Floats) -> Floats:
        """ℓ of each row, (S, 1, 1)."""
        if self.config.length is not None:
            return np.full((len(x), 1, 1), self.config.length)
        square = square_distances(x) + np.diag(np.full(x.shape[1], np.inf))
        return np.sqrt(square.min(-1)).mean(-1)[:, None, None]


def square_distances(x: Floats) -> Floats:
    """‖x_i − x_j‖², (S, K, K)."""
    return pair_widths(x, np.eye(x.shape[-1])[None]) ** 2


def eigenfeatures(kernel: Floats, size: int) -> Floats:
    """φ with φ_i·φ_j = k_ij, or the best approximation of this size, (S, K, m)."""
    values, vectors = np.linalg.eigh(kernel)
    return vectors[..., -size:] * np.sqrt(np.maximum(values[:, None, -size:], 0.0))
