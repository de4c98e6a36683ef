"""KernelDuel-v0: utilities that are no linear function of the features. Seven test functions of optimisation on a grid.

**Definition.** An arm is a point of a G₁ × G₂ grid over the function's usual domain; its features are its coordinates,
scaled to [−1, 1]². Its utility is the function's value, negated where the function is meant to be minimised, and scaled
linearly so that the worst arm has −3 and the best has 3. P(i beats j) = F(u_i − u_j). An instance relabels the arms.

**Source.** The functions as in Pásztor et al. 2024 (arXiv 2406.16745), who play them on a 10 × 10 grid with T = 2000.
They narrow two domains, Ackley's to [−5, 5]² and Eggholder's to [−100, 100]², and flatten Michalewicz (m = 5); here all
are the usual ones, with m = 10.

**Difficulty**, on the 10 × 10 grid. Rosenbrock and Matyas are smooth valleys with 46 and 12 arms within 0.1 of the
best, Branin has three basins and 9 such arms: regret is small there, and the best arm hard to name. Ackley and Hölder
have four best arms, equal by symmetry, in the middle and towards the corners, and no other within 0.7 of them
(Ackley: 3.1, a needle whose ripples are noise on a cone). Eggholder and Michalewicz have one best arm, half a unit
ahead, and look rugged on so coarse a grid: neighbours say little about each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from duelbench.duels.guides import Guide, trivial_guides
from duelbench.duels.preference import LINKS
from duelbench.envs.arms.family import Family, Floats, Instance, checked_link
from duelbench.envs.arms.problem import FixedArms
from duelbench.envs.duel.family import environments

_HIGHEST = 3.0


@dataclass(frozen=True, slots=True)
class TestFunction:
    """A function of two variables.

    Attributes:
        value: its values at coordinates x and y, to be minimised.
        x: its domain's first interval.
        y: its domain's second interval.
    """

    value: Callable[[Floats, Floats], Floats]
    x: tuple[float, float]
    y: tuple[float, float]


def _ackley(x: Floats, y: Floats) -> Floats:
    waves = np.exp(0.5 * (np.cos(2 * np.pi * x) + np.cos(2 * np.pi * y)))
    return 20.0 + np.e - 20.0 * np.exp(-0.2 * np.sqrt(0.5 * (x**2 + y**2))) - waves


def _branin(x: Floats, y: Floats) -> Floats:
    valley = y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6.0
    return valley**2 + 10.0 * (1.0 - 1.0 / (8 * np.pi)) * np.cos(x) + 10.0


def _eggholder(x: Floats, y: Floats) -> Floats:
    lifted = y + 47.0
    return -lifted * np.sin(np.sqrt(np.abs(x / 2 + lifted))) - x * np.sin(np.sqrt(np.abs(x - lifted)))


def _hoelder(x: Floats, y: Floats) -> Floats:
    return -np.abs(np.sin(x) * np.cos(y) * np.exp(np.abs(1.0 - np.hypot(x, y) / np.pi)))


def _matyas(x: Floats, y: Floats) -> Floats:
    return 0.26 * (x**2 + y**2) - 0.48 * x * y


def _michalewicz(x: Floats, y: Floats) -> Floats:
    return -np.sin(x) * np.sin(x**2 / np.pi) ** 20 - np.sin(y) * np.sin(2 * y**2 / np.pi) ** 20


def _rosenbrock(x: Floats, y: Floats) -> Floats:
    return 100.0 * (y - x**2) ** 2 + (1.0 - x) ** 2


FUNCTIONS = {
    "ackley": TestFunction(_ackley, (-32.768, 32.768), (-32.768, 32.768)),
    "branin": TestFunction(_branin, (-5.0, 10.0), (0.0, 15.0)),
    "eggholder": TestFunction(_eggholder, (-512.0, 512.0), (-512.0, 512.0)),
    "hoelder": TestFunction(_hoelder, (-10.0, 10.0), (-10.0, 10.0)),
    "matyas": TestFunction(_matyas, (-10.0, 10.0), (-10.0, 10.0)),
    "michalewicz": TestFunction(_michalewicz, (0.0, np.pi), (0.0, np.pi)),
    "rosenbrock": TestFunction(_rosenbrock, (-5.0, 10.0), (-5.0, 10.0)),
}
"""Functions by name, with the domains that collections of test problems give them."""


class GridFamily(Family):
    """A test function on a grid, its arms relabelled at random.

    Args:
        function: a name in ``FUNCTIONS``.
        grid: points along each axis, or along the two axes.
        link: from utilities to preferences.
    """

    dim = 2

    def __init__(self, function: str = "ackley", grid: int | Sequence[int] = 10, link: str = "bradley-terry") -> None:
        if function not in FUNCTIONS:
            raise ValueError(f"unknown function {function!r}: expected one of {sorted(FUNCTIONS)}")
        sides = (grid, grid) if isinstance(grid, int) else tuple(grid)
        if len(sides) != 2 or min(sides) < 2:
            raise ValueError(f"grid is a number of points of at least 2, or two of them, got {grid!r}")
        self.link = checked_link(link)
        self._features = np.stack(np.meshgrid(*(np.linspace(-1.0, 1.0, n) for n in sides)), -1).reshape(-1, 2)
        self._utilities = _utilities(FUNCTIONS[function], self._features)
        self.arms, self.name = len(self._features), f"{function} on a {sides[0]} × {sides[1]} grid"

    def draw(self, rng: np.random.Generator) -> Instance:
        """The grid with its arms in random order."""
        order = rng.permutation(self.arms)
        utilities = self._utilities[order]
        preferences = LINKS[self.link](utilities[:, None] - utilities)
        return Instance(preferences, utilities, self._features[order], link=self.link)

    def guides(self, instance: Instance) -> list[Guide]:
        """Uniform pairs and the best arm against a uniform one."""
        assert instance.utilities is not None
        return trivial_guides("cumulative_average_regret", float(_HIGHEST - instance.utilities.mean()))


def _utilities(function: TestFunction, points: Floats) -> Floats:
    """Utilities in [−3, 3] of points of [−1, 1]²."""
    x, y = (low + (high - low) * 0.5 * (points[:, k] + 1.0) for k, (low, high) in enumerate((function.x, function.y)))
    values = function.value(x, y)
    return _HIGHEST - 2.0 * _HIGHEST * (values - values.min()) / (values.max() - values.min())


class KernelDuel(FixedArms):
    """Duels between two points of a grid.

    Args:
        function: a name in ``FUNCTIONS``.
        grid: points along each axis, or along the two axes.
        link: from utilities to preferences: ``bradley-terry`` (logistic), ``thurstone`` (probit) or ``linear``.
        position_bias: share of the duels in which the first arm wins just for being first.

    >>> import gymnasium as gym, duelbench
    >>> env = gym.make("KernelDuel-v0", function="branin", grid=[4, 5], horizon=8)
    >>> observation, info = env.reset(seed=0)
    >>> observation["features"].shape
    (20, 2)
    """

    def __init__(
        self,
        function: str = "ackley",
        grid: int | Sequence[int] = 10,
        link: str = "bradley-terry",
        position_bias: float = 0.0,
    ) -> None:
        super().__init__(GridFamily(function, grid, link), position_bias)


KernelDuelEnv, KernelDuelVectorEnv = environments(KernelDuel)
