"""LinearDuel-v0: linear utilities u(x) = x·θ. The contextual dueling bandit, with exact regret.

Where the arms come from, what θ looks like, and how it drifts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from duelbench.duels.guides import Guide, linear_guides
from duelbench.duels.preference import LINKS
from duelbench.envs.arms.family import Family, Floats, Instance, Stream, StreamFamily, checked_link
from duelbench.envs.arms.kl import BudgetedArms
from duelbench.envs.arms.problem import ArmProblem, FixedArms, FreshArms
from duelbench.envs.duel.family import environments

Design = Literal["sphere", "cube", "hypercube"]
_ARM_NOISE = 0.1


@dataclass(frozen=True)
class LinearLaw:
    """How arms and θ are drawn.

    Attributes:
        dim: d.
        arms: K.
        design: arms uniform on the unit ``sphere``, uniform in the ``cube`` [−scale, scale]^d, or the 2^d corners of
            the ``hypercube`` {−1, 1}^d, each moved by −U[0, 0.1) per coordinate (Di et al. 2024).
        scale: half the side of the cube.
        norm: ‖θ‖.
        sparsity: coordinates of θ that are not 0; None for all.
        hidden: coordinates, the last ones, that the utility depends on and the learner does not see.
    """

    dim: int
    arms: int
    design: Design
    scale: float
    norm: float
    sparsity: int | None
    hidden: int

    def __post_init__(self) -> None:
        if self.design not in ("sphere", "cube", "hypercube"):
            raise ValueError(f"unknown design {self.design!r}: expected 'sphere', 'cube' or 'hypercube'")
        if self.dim < 1 or self.arms < 2:
            raise ValueError(f"expected dim of at least 1 and at least 2 arms, got dim={self.dim}, arms={self.arms}")
        if self.design == "hypercube" and self.arms != 2**self.dim:
            raise ValueError(f"the hypercube of dimension {self.dim} has {2**self.dim} arms, got arms={self.arms}")
        if self.sparsity is not None and not 1 <= self.sparsity <= self.dim:
            raise ValueError(f"sparsity must lie in [1, dim={self.dim}], got {self.sparsity}")
        if not 0 <= self.hidden < self.dim:
            raise ValueError(f"hidden coordinates must lie in [0, dim={self.dim}), got {self.hidden}")
        if not (self.norm > 0 and self.scale > 0):
            raise ValueError(f"norm and scale must be positive, got {self.norm} and {self.scale}")

    @property
    def bound(self) -> float:
        """Largest absolute feature."""
        return {"sphere": 1.0, "cube": self.scale, "hypercube": 1.0 + _ARM_NOISE}[self.design]

    def points(self, rng: np.random.Generator, n: int) -> Floats:
        """n sets of arms, (n, K, d)."""
        shape = (n, self.arms, self.dim)
        if self.design == "cube":
            return rng.uniform(-self.scale, self.scale, shape)
        if self.design == "sphere":
            points = rng.standard_normal(shape)
            return points / np.linalg.norm(points, axis=-1, keepdims=True)
        corners = np.where(np.arange(self.arms)[:, None] >> np.arange(self.dim) & 1, 1.0, -1.0)
        return corners + _ARM_NOISE * (rng.random(shape) - 1.0)

    def parameter(self, rng: np.random.Generator) -> Floats:
        """θ with its first ``sparsity`` coordinates not 0, (d,)."""
        positive = self.design == "hypercube"  # as in the experiment this design comes from
        theta = rng.random(self.dim) if positive else rng.standard_normal(self.dim)
        if self.sparsity is not None:
            theta[self.sparsity :] = 0.0
        return theta * (self.norm / np.linalg.norm(theta))

    def seen(self, points: Floats) -> Floats:
        """What the learner sees of the arms."""
        return points[..., : self.dim - self.hidden]

    def describe(self) -> str:
        """In words."""
        return f"{self.design} arms, d = {self.dim}, K = {self.arms}, |θ| = {self.norm:g}"


class FixedLinear(Family):
    """Arms drawn once. In the hypercube, θ repeats the first numbers of the arms' noise, as its authors' code has it.

    Args:
        law: how arms and θ are drawn.
        link: from utilities to preferences.
    """

    def __init__(self, law: LinearLaw, link: str) -> None:
        self.law, self.link = law, checked_link(link)
        self.arms, self.dim, self.name = law.arms, law.dim - law.hidden, law.describe()

    def draw(self, rng: np.random.Generator) -> Instance:
        """One set of arms and its θ."""
        again = np.random.Generator(type(rng.bit_generator)())
        again.bit_generator.state = rng.bit_generator.state
        points = self.law.points(rng, 1)[0]
        theta = self.law.parameter(again if self.law.design == "hypercube" else rng)
        utilities = points @ theta
        preferences = LINKS[self.link](utilities[:, None] - utilities)
        return Instance(preferences, utilities, self.law.seen(points), self.law.seen(theta), link=self.link)

    def guides(self, instance: Instance) -> list[Guide]:
        """Rates, uniform pairs and the estimation floor."""
        assert instance.utilities is not None and instance.features is not None
        return _guides(instance.features[None], instance.utilities[None], self.link)


class LinearStream(StreamFamily):
    """Arms fresh for every duel, or a θ that drifts.

    Args:
        law: how arms and θ are drawn.
        link: from utilities to preferences.
        fresh: whether each duel has arms of its own.
        drift: how far θ moves per duel, relative to its norm, in a random direction; its norm stays.
        heldout: contexts kept for judging.
    """

    def __init__(self, law: LinearLaw, link: str, fresh: bool, drift: float, heldout: int) -> None:
        if drift < 0:
            raise ValueError(f"drift is a step length and must be at least 0, got {drift}")
        self.law, self.link, self.fresh, self.drift = law, checked_link(link), fresh, drift
        self.heldout = heldout
        self.arms, self.dim, self.bound = law.arms, law.dim - law.hidden, law.bound
        self.fixed_features = not fresh
        self.name = law.describe() + (", fresh each duel" if fresh else "") + (", drifting θ" if drift else "")

    def draw(self, rng: np.random.Generator) -> Stream:
        """One θ, and the arms if they stay."""
        return _LinearPath(self, rng)

    def guides(self, stream: Stream) -> list[Guide]:
        """Rates and uniform pairs."""
        return _guides(*stream.heldout(), self.link)


class _LinearPath(Stream):
    def __init__(self, family: LinearStream, rng: np.random.Generator) -> None:
        self.family = family
        self._points = None if family.fresh else family.law.points(rng, 1)
        self._theta = family.law.parameter(rng)
        self._heldout = self._draw_points(rng, family.heldout)
        self.moves = family.drift > 0
        self.parameter = None if family.drift else family.law.seen(self._theta)

    def contexts(self, rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        points = self._draw_points(rng, n)
        thetas = self._drifted(rng, n) if self.family.drift else np.tile(self._theta, (n, 1))
        return self.family.law.seen(points), np.einsum("nkd,nd->nk", points, thetas)

    def heldout(self) -> tuple[Floats, Floats]:
        return self.family.law.seen(self._heldout), self._heldout @ self._theta

    def _draw_points(self, rng: np.random.Generator, n: int) -> Floats:
        return self.family.law.points(rng, n) if self._points is None else np.repeat(self._points, n, 0)

    def _drifted(self, rng: np.random.Generator, n: int) -> Floats:
        """θ before each of n duels, (n, d)."""
        law, path = self.family.law, np.empty((n, self.family.law.dim))
        steps = self.family.drift * law.norm * rng.standard_normal((n, law.dim)) / np.sqrt(law.dim)
        for t in range(n):
            path[t] = self._theta
            moved = self._theta + steps[t]
            self._theta = moved * (law.norm / np.linalg.norm(moved))
        return path


def _guides(features: Floats, utilities: Floats, link: str) -> list[Guide]:
    """Guides of n contexts (n, K, d), (n, K)."""
    uniform = float((utilities.max(-1, keepdims=True) - utilities).mean())
    gaps = features[:, :, None] - features[:, None]
    return linear_guides(features.shape[-1], uniform, float((gaps**2).sum(-1).max()), link)


def LinearDuel(
    dim: int = 5,
    arms: int = 32,
    design: Design = "sphere",
    fresh: bool = False,
    norm: float = 4.0,
    sparsity: int | None = None,
    link: str = "bradley-terry",
    scale: float = 1.0,
    hidden: int = 0,
    drift: float = 0.0,
    heldout: int = 32,
    position_bias: float = 0.0,
    kl_weight: float = 0.0,
) -> ArmProblem:
    """Duels between two arms with features: P(i beats j) = F((x_i − x_j)·θ).

    Args:
        dim: d.
        arms: K.
        design: arms on the unit ``sphere``, in the ``cube`` [−scale, scale]^d or at the corners of the ``hypercube``.
        fresh: each duel has arms of its own; otherwise they are drawn once.
        norm: ‖θ‖.
        sparsity: coordinates of θ that are not 0; None for all.
        link: F: ``bradley-terry`` (logistic), ``thurstone`` (probit) or ``linear``.
        scale: half the side of the cube.
        hidden: coordinates that the utility depends on and the learner does not see.
        drift: how far θ moves per duel, relative to its norm.
        heldout: contexts kept for judging what is deployed, where arms are fresh.
        position_bias: share of the duels in which the first arm wins just for being first.
        kl_weight: β > 0 makes regret that of u + β log π_ref (``duelbench.envs.arms.kl``); for arms that stay.

    >>> import gymnasium as gym, duelbench
    >>> env = gym.make("LinearDuel-v0", fresh=True, horizon=8)
    >>> observation, info = env.reset(seed=0)
    >>> observation["features"].shape
    (32, 5)
    """
    law = LinearLaw(dim, arms, design, scale, norm, sparsity, hidden)
    if fresh or drift:
        if kl_weight:
            raise ValueError("kl_weight needs arms and utilities that stay: leave out fresh and drift")
        return FreshArms(LinearStream(law, link, fresh, drift, heldout if fresh else 1), position_bias)
    if kl_weight:
        return BudgetedArms(FixedLinear(law, link), position_bias, law.bound, kl_weight)
    return FixedArms(FixedLinear(law, link), position_bias, law.bound)


LinearDuelEnv, LinearDuelVectorEnv = environments(LinearDuel)
