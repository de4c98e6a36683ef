"""What the contextual agents share: θ̂ by logistic regression, and widths ‖x_i − x_j‖ in the metric of V⁻¹."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids
from duelbench.agents.arms.contextual.logistic import LogisticRegression
from duelbench.ranges import Checked, NonNegative, Positive
from duelbench.types import Observation


@dataclass(frozen=True)
class UtilityConfig(Checked):
    """Hyper-parameters of every agent with a linear utility.

    Attributes:
        ridge: λ of the regression and of V.
    """

    ridge: Positive = 1.0


@dataclass(frozen=True)
class WidthConfig(UtilityConfig):
    """Hyper-parameters of every agent with a linear utility and one confidence width.

    Attributes:
        width: c of the confidence width c √(d ln T).
    """

    width: NonNegative = 2.0


def confidence_radius(setup: ArmSetup, width: float) -> float:
    """c √(d ln T), the confidence width that experiments use."""
    return float(width * np.sqrt(setup.dim * np.log(setup.labels)))


class UtilityAgent(ArmAgent):
    """Fits u(x) = x·θ to the answers. Subclasses choose the duels.

    Attributes:
        model: the regression.
        theta: θ̂, (S, d).
        inverse: V⁻¹ of V = λI + Σ w z zᵀ over the duels answered, (S, d, d).
        t: rounds of answers so far.
    """

    Config: ClassVar[type] = UtilityConfig
    needs_features = True

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        pairs = setup.arms if setup.fixed_features else 0
        self.model = LogisticRegression(setup.rows, setup.dim, self.config.ridge, pairs)
        self.inverse = np.tile(np.eye(setup.dim) / self.config.ridge, (setup.rows, 1, 1))
        self.t = 0

    @property
    def theta(self) -> Floats:
        """θ̂, (S, d)."""
        return self.model.theta

    @staticmethod
    def features(observation: Observation) -> Floats:
        """The arms, (S, K, d) float64."""
        return np.asarray(observation["features"], np.float64)

    def difference(self, observation: Observation, firsts: Ids, seconds: Ids) -> Floats:
        """z = x_first − x_second, (S, d)."""
        features = observation["features"]
        first: Floats = features[self.every_row, firsts].astype(np.float64)
        return first - features[self.every_row, seconds]

    def utilities(self, features: Floats) -> Floats:
        """x·θ̂, (S, K)."""
        return utilities(features, self.theta)

    def widths(self, features: Floats) -> Floats:
        """‖x_i − x_j‖_{V⁻¹}, (S, K, K)."""
        return pair_widths(features, self.inverse)

    def radius(self, width: float) -> float:
        """c √(d ln T)."""
        return confidence_radius(self.setup, width)

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Add the duels; the regression is fitted when it is next read."""
        self.t += 1
        z = self.difference(observation, firsts, seconds)
        weight = self.weights(z)
        self.model.add(z, feedback, firsts, seconds, weight)
        self.inverse = rank_one(self.inverse, z, np.where(np.isnan(feedback), 0.0, weight))

    def weights(self, z: Floats) -> Floats:
        """How much each duel counts in the regression and in V, (S,)."""
        return np.ones(len(z))

    def scores(self, observation: Observation) -> Floats:
        """Estimated utilities, (S, K)."""
        return self.utilities(self.features(observation))


def utilities(features: Floats, theta: Floats) -> Floats:
    """x·θ, (S, K)."""
    product: Floats = np.matmul(features, theta[:, :, None])
    return product[..., 0]


def norms(vectors: Floats, inverse: Floats) -> Floats:
    """‖x‖ in the metric of M, (S, K) for vectors (S, K, d)."""
    square = (np.matmul(vectors, inverse) * vectors).sum(-1)
    return np.sqrt(np.maximum(square, 0.0))


def pair_widths(features: Floats, inverse: Floats) -> Floats:
    """‖x_i − x_j‖ in the metric of a matrix M: √(g_ii + g_jj − 2 g_ij) with g = X M Xᵀ, (S, K, K)."""
    gaps: Floats = np.matmul(np.matmul(features, inverse), features.transpose(0, 2, 1))
    square = np.diagonal(gaps, axis1=1, axis2=2).copy()
    gaps *= -2.0  # in place: of all that a round computes, this is the largest
    gaps += square[:, :, None]
    gaps += square[:, None, :]
    return np.sqrt(np.maximum(gaps, 0.0, out=gaps), out=gaps)


def rank_one(inverse: Floats, z: Floats, weight: Floats) -> Floats:
    """(V + w z zᵀ)⁻¹ from V⁻¹ (Sherman–Morrison), (S, d, d)."""
    moved = np.matmul(inverse, z[:, :, None])[..., 0]
    shrink = weight / (1.0 + weight * (z * moved).sum(-1))
    return inverse - (shrink[:, None] * moved)[:, :, None] * moved[:, None, :]


def best_pair(values: Floats) -> Duels:
    """Row and column of the largest entry of each (K, K) matrix, the first of ties, (S,) and (S,)."""
    flat = values.reshape(len(values), -1).argmax(-1)
    return flat // values.shape[-1], flat % values.shape[-1]


def either_way(pair: Duels, drawn: Floats) -> Duels:
    """Each duel in an order that a uniform number (S,) decides, for rules that choose pairs without order."""
    low, high = np.minimum(*pair), np.maximum(*pair)
    return np.where(drawn < 0.5, high, low), np.where(drawn < 0.5, low, high)
