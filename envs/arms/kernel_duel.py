"""KernelDuel-v0: a test function of optimisation on a grid, negated. Utilities that no linear function fits.

What the arms are, where the functions come from and how hard they are: ``duelbench.envs.arms.kernel``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from duelbench.envs.arms.env import ArmEnv, ArmVectorEnv
from duelbench.envs.arms.kernel import GridFamily
from duelbench.envs.arms.problem import FixedArms


class KernelDuelEnv(ArmEnv):
    """One duel a step between two points of a grid.

    Args:
        function, grid, link: as for ``GridFamily``.
        position_bias: share of the duels in which the first arm wins just for being first.
        conditions: as for ``ArmEnv``.

    >>> import gymnasium as gym, duelbench
    >>> env = gym.make("KernelDuel-v0", function="branin", grid=[4, 5], horizon=8)
    >>> observation, info = env.reset(seed=0)
    >>> observation["features"].shape
    (20, 2)
    """

    def __init__(
        self, function: str = "ackley", grid: int | Sequence[int] = 10, link: str = "bradley-terry",
        position_bias: float = 0.0, **conditions: Any,
    ) -> None:  # fmt: skip
        super().__init__(FixedArms(GridFamily(function, grid, link), position_bias), **conditions)


class KernelDuelVectorEnv(ArmVectorEnv):
    """B duels a step. Arguments as for ``KernelDuelEnv``, and ``num_envs`` = B."""

    def __init__(
        self, num_envs: int = 1, function: str = "ackley", grid: int | Sequence[int] = 10,
        link: str = "bradley-terry", position_bias: float = 0.0, **conditions: Any,
    ) -> None:  # fmt: skip
        super().__init__(FixedArms(GridFamily(function, grid, link), position_bias), num_envs, **conditions)
