"""NeuralDuel-v0: utilities are a fixed random network of the arms' features. Bandits and learned policies can play it.

What the arms are and how hard they are: ``duelbench.envs.arms.neural``.
"""

from __future__ import annotations

from typing import Any

from duelbench.envs.arms.env import ArmEnv, ArmVectorEnv
from duelbench.envs.arms.neural import FixedNeural, FreshNeural, NetworkLaw
from duelbench.envs.arms.problem import ArmProblem, FixedArms, FreshArms


def neural_problem(
    dim: int = 6, arms: int = 16, hidden: int = 32, layers: int = 2, gain: float = 2.0, scale: float = 2.0,
    fresh: bool = True, link: str = "bradley-terry", heldout: int = 32, position_bias: float = 0.0,
) -> ArmProblem:  # fmt: skip
    """Duels with P(i beats j) = F(u(x_i) − u(x_j)), u a random network.

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
    """
    law = NetworkLaw(dim, arms, hidden, layers, gain, scale)
    if fresh:
        return FreshArms(FreshNeural(law, link, heldout), position_bias)
    return FixedArms(FixedNeural(law, link), position_bias)


class NeuralDuelEnv(ArmEnv):
    """One duel a step between two arms with features.

    Args:
        conditions: as for ``ArmEnv``; all other arguments as for ``neural_problem``.

    >>> import gymnasium as gym, duelbench
    >>> env = gym.make("NeuralDuel-v0", dim=3, arms=4, horizon=8)
    >>> observation, info = env.reset(seed=0)
    >>> observation["features"].shape
    (4, 3)
    """

    def __init__(
        self, dim: int = 6, arms: int = 16, hidden: int = 32, layers: int = 2, gain: float = 2.0, scale: float = 2.0,
        fresh: bool = True, link: str = "bradley-terry", heldout: int = 32, position_bias: float = 0.0,
        **conditions: Any,
    ) -> None:  # fmt: skip
        problem = neural_problem(dim, arms, hidden, layers, gain, scale, fresh, link, heldout, position_bias)
        super().__init__(problem, **conditions)


class NeuralDuelVectorEnv(ArmVectorEnv):
    """B duels a step. Arguments as for ``NeuralDuelEnv``, and ``num_envs`` = B."""

    def __init__(
        self, num_envs: int = 1, dim: int = 6, arms: int = 16, hidden: int = 32, layers: int = 2, gain: float = 2.0,
        scale: float = 2.0, fresh: bool = True, link: str = "bradley-terry", heldout: int = 32,
        position_bias: float = 0.0, **conditions: Any,
    ) -> None:  # fmt: skip
        problem = neural_problem(dim, arms, hidden, layers, gain, scale, fresh, link, heldout, position_bias)
        super().__init__(problem, num_envs, **conditions)
