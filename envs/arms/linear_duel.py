"""LinearDuel-v0: arms with features and one hidden θ. The contextual dueling bandit, with exact regret."""

from __future__ import annotations

from typing import Any

from duelbench.envs.arms.env import ArmEnv, ArmVectorEnv
from duelbench.envs.arms.kl import BudgetedArms
from duelbench.envs.arms.linear import Design, FixedLinear, LinearLaw, LinearStream
from duelbench.envs.arms.problem import ArmProblem, FixedArms, FreshArms


def linear_problem(
    dim: int = 5, arms: int = 32, design: Design = "sphere", fresh: bool = False, norm: float = 4.0,
    sparsity: int | None = None, link: str = "bradley-terry", scale: float = 1.0, hidden: int = 0, drift: float = 0.0,
    heldout: int = 32, position_bias: float = 0.0, kl_weight: float = 0.0,
) -> ArmProblem:  # fmt: skip
    """Duels with P(i beats j) = F((x_i − x_j)·θ).

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
        drift: how far θ moves a duel, relative to its norm.
        heldout: contexts kept for judging what is deployed, where arms are fresh.
        position_bias: share of the duels in which the first arm wins just for being first.
        kl_weight: β > 0 makes regret that of u + β log π_ref (``duelbench.envs.arms.kl``); for arms that stay.
    """
    law = LinearLaw(dim, arms, design, scale, norm, sparsity, hidden)
    if fresh or drift:
        if kl_weight:
            raise ValueError("kl_weight needs arms and utilities that stay: leave out fresh and drift")
        return FreshArms(LinearStream(law, link, fresh, drift, heldout if fresh else 1), position_bias)
    if kl_weight:
        return BudgetedArms(FixedLinear(law, link), position_bias, law.bound, kl_weight)
    return FixedArms(FixedLinear(law, link), position_bias, law.bound)


class LinearDuelEnv(ArmEnv):
    """One duel a step between two arms with features.

    Args:
        conditions: as for ``ArmEnv``; all other arguments as for ``linear_problem``.

    >>> import gymnasium as gym, duelbench
    >>> env = gym.make("LinearDuel-v0", fresh=True, horizon=8)
    >>> observation, info = env.reset(seed=0)
    >>> observation["features"].shape
    (32, 5)
    """

    def __init__(
        self, dim: int = 5, arms: int = 32, design: Design = "sphere", fresh: bool = False, norm: float = 4.0,
        sparsity: int | None = None, link: str = "bradley-terry", scale: float = 1.0, hidden: int = 0,
        drift: float = 0.0, heldout: int = 32, position_bias: float = 0.0, kl_weight: float = 0.0, **conditions: Any,
    ) -> None:  # fmt: skip
        problem = linear_problem(
            dim, arms, design, fresh, norm, sparsity, link, scale, hidden, drift, heldout, position_bias, kl_weight
        )
        super().__init__(problem, **conditions)


class LinearDuelVectorEnv(ArmVectorEnv):
    """B duels a step. Arguments as for ``LinearDuelEnv``."""

    def __init__(
        self, num_envs: int = 1, dim: int = 5, arms: int = 32, design: Design = "sphere", fresh: bool = False,
        norm: float = 4.0, sparsity: int | None = None, link: str = "bradley-terry", scale: float = 1.0,
        hidden: int = 0, drift: float = 0.0, heldout: int = 32, position_bias: float = 0.0, kl_weight: float = 0.0,
        **conditions: Any,
    ) -> None:  # fmt: skip
        problem = linear_problem(
            dim, arms, design, fresh, norm, sparsity, link, scale, hidden, drift, heldout, position_bias, kl_weight
        )
        super().__init__(problem, num_envs, **conditions)
