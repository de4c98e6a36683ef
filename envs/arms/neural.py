"""NeuralDuel-v0: utilities are a fixed random network of the features. Bandits and learned policies can play it.

**Definition.** Arms are uniform in the cube [−1, 1]^d, drawn once or fresh for every duel. u(x) = s (f(x) − m) / sd
with f a network of ``layers`` hidden layers of tanh units and random weights, and m, sd its mean and standard
deviation over 4096 arms, so that utilities have standard deviation s whatever the architecture. P(i beats j) = F(u_i
− u_j).

**Source.** Random networks as utilities are usual in the literature on neural bandits and on reward models; no paper's
problem is repeated here.

**Difficulty.** Weights have standard deviation ``gain`` / √fan-in. With d = 6 and two layers of 32, a linear fit
explains 87 % of the variance of u at gain 1, 66 % at 2 (the default) and 58 % at 3; a kernel regression on 1000
noiseless values 94 % at gain 2. So linear agents learn fast and then level off at a regret that a network or a kernel
can undercut.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from duelbench.duels.guides import Guide, trivial_guides
from duelbench.duels.preference import LINKS
from duelbench.envs.arms.family import Family, Floats, Instance, Stream, StreamFamily, checked_link
from duelbench.envs.arms.problem import ArmProblem, FixedArms, FreshArms
from duelbench.envs.duel.family import environments

_SAMPLE = 4096  # arms that decide mean and standard deviation of a network


@dataclass(frozen=True)
class NetworkLaw:
    """How arms and networks are drawn.

    Attributes:
        dim: d.
        arms: K.
        hidden: units of each hidden layer.
        layers: hidden layers.
        gain: standard deviation of a weight times √fan-in.
        scale: s, standard deviation of the utilities of arms.
    """

    dim: int
    arms: int
    hidden: int
    layers: int
    gain: float
    scale: float

    def __post_init__(self) -> None:
        if self.dim < 1 or self.arms < 2:
            raise ValueError(f"expected dim of at least 1 and at least 2 arms, got dim={self.dim}, arms={self.arms}")
        if self.hidden < 1 or self.layers < 1:
            raise ValueError(f"a network needs units and layers, got hidden={self.hidden}, layers={self.layers}")
        if not (self.gain > 0 and self.scale > 0):
            raise ValueError(f"gain and scale must be positive, got {self.gain} and {self.scale}")

    def points(self, rng: np.random.Generator, n: int) -> Floats:
        """n sets of arms, (n, K, d)."""
        return rng.uniform(-1.0, 1.0, (n, self.arms, self.dim))

    def describe(self) -> str:
        """In words."""
        return f"a random network, d = {self.dim}, {self.layers} × {self.hidden} units, K = {self.arms}"


class Network:
    """A random network, standardised over the arms.

    Args:
        law: its shape and scale.
        rng: draws weights, biases and the arms it is standardised on.
    """

    def __init__(self, law: NetworkLaw, rng: np.random.Generator) -> None:
        sizes = [law.dim, *[law.hidden] * law.layers, 1]
        self._weights = [rng.standard_normal(shape) * (law.gain / np.sqrt(shape[0])) for shape in pairwise(sizes)]
        self._biases = [rng.standard_normal(size) for size in sizes[1:-1]]
        sample = self._raw(rng.uniform(-1.0, 1.0, (_SAMPLE, law.dim)))
        self._centre, self._factor = sample.mean(), law.scale / sample.std()

    def utilities(self, points: Floats) -> Floats:
        """u of points (..., d), (...)."""
        return (self._raw(points) - self._centre) * self._factor

    def _raw(self, x: Floats) -> Floats:
        for weight, bias in zip(self._weights, self._biases, strict=False):  # the output has no bias
            x = np.tanh(x @ weight + bias)
        return (x @ self._weights[-1])[..., 0]


class FixedNeural(Family):
    """Arms drawn once.

    Args:
        law: how arms and networks are drawn.
        link: from utilities to preferences.
    """

    def __init__(self, law: NetworkLaw, link: str) -> None:
        self.law, self.link = law, checked_link(link)
        self.arms, self.dim, self.name = law.arms, law.dim, law.describe()

    def draw(self, rng: np.random.Generator) -> Instance:
        """One network and one set of arms."""
        network = Network(self.law, rng)
        points = self.law.points(rng, 1)[0]
        utilities = network.utilities(points)
        return Instance(LINKS[self.link](utilities[:, None] - utilities), utilities, points, link=self.link)

    def guides(self, instance: Instance) -> list[Guide]:
        """Uniform pairs and the best arm against a uniform one."""
        assert instance.utilities is not None
        return _guides(instance.utilities)


class FreshNeural(StreamFamily):
    """Arms of its own for every duel.

    Args:
        law: how arms and networks are drawn.
        link: from utilities to preferences.
        heldout: contexts kept for judging.
    """

    def __init__(self, law: NetworkLaw, link: str, heldout: int) -> None:
        self.law, self.link, self.heldout = law, checked_link(link), heldout
        self.arms, self.dim, self.name = law.arms, law.dim, law.describe() + ", fresh each duel"

    def draw(self, rng: np.random.Generator) -> Stream:
        """One network."""
        return _NeuralStream(self, rng)

    def guides(self, stream: Stream) -> list[Guide]:
        """Uniform pairs and the best arm against a uniform one, in the held-out contexts."""
        return _guides(stream.heldout()[1])


class _NeuralStream(Stream):
    def __init__(self, family: FreshNeural, rng: np.random.Generator) -> None:
        self._law = family.law
        self._network = Network(family.law, rng)
        points = family.law.points(rng, family.heldout)
        self._heldout = points, self._network.utilities(points)

    def contexts(self, rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
        points = self._law.points(rng, n)
        return points, self._network.utilities(points)

    def heldout(self) -> tuple[Floats, Floats]:
        return self._heldout


def _guides(utilities: Floats) -> list[Guide]:
    """Guides of contexts with utilities (..., K)."""
    return trivial_guides("cumulative_average_regret", float((utilities.max(-1, keepdims=True) - utilities).mean()))


def NeuralDuel(
    dim: int = 6,
    arms: int = 16,
    hidden: int = 32,
    layers: int = 2,
    gain: float = 2.0,
    scale: float = 2.0,
    fresh: bool = True,
    link: str = "bradley-terry",
    heldout: int = 32,
    position_bias: float = 0.0,
) -> ArmProblem:
    """Duels between two arms with features: P(i beats j) = F(u(x_i) − u(x_j)), u a random network.

    Args:
        dim: d.
        arms: K.
        hidden: units of each hidden layer.
        layers: hidden layers.
        gain: how rugged the network is: standard deviation of a weight times √fan-in.
        scale: standard deviation of the utilities of arms.
        fresh: each duel has arms of its own; otherwise they are drawn once.
        link: F: ``bradley-terry`` (logistic), ``thurstone`` (probit) or ``linear``.
        heldout: contexts kept for judging what is deployed, where arms are fresh.
        position_bias: share of the duels in which the first arm wins just for being first.

    >>> import gymnasium as gym, duelbench
    >>> env = gym.make("NeuralDuel-v0", dim=3, arms=4, horizon=8)
    >>> observation, info = env.reset(seed=0)
    >>> observation["features"].shape
    (4, 3)
    """
    law = NetworkLaw(dim, arms, hidden, layers, gain, scale)
    if fresh:
        return FreshArms(FreshNeural(law, link, heldout), position_bias)
    return FixedArms(FixedNeural(law, link), position_bias)


NeuralDuelEnv, NeuralDuelVectorEnv = environments(NeuralDuel)
