"""Wrappers for other kinds of learners."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from duelbench.envs.duel.env import DuelEnv
from duelbench.envs.duel.problem import KnowsRegret


class NegativeRegret(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """The reward is minus the regret of the duel: what a plain reinforcement-learning client can maximise.

    The client is then told the truth that duels are meant to reveal, so its results are marked as privileged
    (``info["privileged"]``) and never rank next to agents that learn from preferences.

    A duel of an arm with itself counts as any other: an environment that would skip it asks it under this wrapper.

    Args:
        env: an environment of the numeric families.
        kind: which regret: ``average``, ``weak``, ``strong``, ``probability``, ``copeland``, ``borda``, ….
        instance: number of the instance that every episode plays; None lets each reset draw its own.

    >>> import gymnasium as gym, duelbench
    >>> env = NegativeRegret(gym.make("MatrixDuel-v0", matrix="bt10"))
    >>> observation, info = env.reset(seed=0)
    >>> env.step([2, 3])[1] <= 0.0
    True
    """

    def __init__(self, env: gym.Env[Any, Any], kind: str = "average", instance: int | None = 0) -> None:
        RecordConstructorArgs.__init__(self, kind=kind, instance=instance)
        gym.Wrapper.__init__(self, env)
        duel = env.unwrapped
        if not (isinstance(duel, DuelEnv) and isinstance(duel.problem, KnowsRegret)):
            raise TypeError(
                f"NegativeRegret needs an environment of the numeric families, which know their regret, got "
                f"{type(duel).__name__}: take MatrixDuel-v0, LinearDuel-v0, KernelDuel-v0 or NeuralDuel-v0"
            )
        if duel.engine.identical == "skip":
            duel.engine.identical = "ask"  # playing the best arm against itself is what the client should learn
        self.kind, self.instance = kind, instance

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode on the instance."""
        chosen = {} if self.instance is None else {"instance": self.instance}
        return self.env.reset(seed=seed, options=chosen | (options or {}))

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Ask the duel, and pay its regret."""
        assert isinstance(self.env.unwrapped, DuelEnv)
        regrets = self.env.unwrapped.regrets(action)  # of the present context, so before the next one comes
        if self.kind not in regrets:
            raise ValueError(f"this problem has no {self.kind!r} regret: expected one of {sorted(regrets)}")
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, -regrets[self.kind], terminated, truncated, info | {"privileged": True}
