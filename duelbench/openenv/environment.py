"""A Gymnasium duel environment with texts as OpenEnv's server wants it."""

from __future__ import annotations

import math
from typing import Any
from uuid import uuid4

import gymnasium
from openenv.core.env_server.interfaces import Environment

from duelbench.errors import UsageError
from duelbench.openenv.messages import DuelAction, DuelObservation, DuelState

TEXT_ENVS = ("LLMDuel-v0", "LLMDuelPool-v0")


class DuelEnvironment(Environment[DuelAction, DuelObservation, DuelState]):
    """One session: an environment of its own, of which no other session sees or moves anything.

    Args:
        env: ``LLMDuel-v0`` or ``LLMDuelPool-v0``.
        **kwargs: arguments of the environment, as for ``gymnasium.make``.

    Raises:
        UsageError: another environment, whose observations are no prompts.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, env: str = "LLMDuel-v0", **kwargs: Any) -> None:
        super().__init__()
        if env not in TEXT_ENVS:
            raise UsageError(f"OpenEnv gets environments with texts, {' or '.join(TEXT_ENVS)}, not {env}")
        self._env: gymnasium.Env[Any, Any] = gymnasium.make(env, **kwargs)
        self._texts = env == "LLMDuel-v0"
        self._horizon = int(self._env.unwrapped.engine.horizon)  # type: ignore[attr-defined]
        self._state = DuelState(horizon=self._horizon)
        self._begun = self._over = False

    def reset(self, seed: int | None = None, episode_id: str | None = None, **kwargs: Any) -> DuelObservation:
        """Begin an episode; without a seed the draws go on from the last one."""
        seen, _ = self._env.reset(seed=seed)
        self._state = DuelState(episode_id=episode_id or uuid4().hex, horizon=self._horizon)
        self._begun, self._over = True, False
        return _observation(seen)

    def step(self, action: DuelAction, timeout_s: float | None = None, **kwargs: Any) -> DuelObservation:
        """Ask about a duel.

        Raises:
            RuntimeError: there is no episode, or it is over.
            ValueError: the responses are of the wrong kind; no label is used.
        """
        if not self._begun or self._over:
            raise RuntimeError("the episode is over: reset" if self._over else "reset before the first step")
        sides, kind = (action.first, action.second), str if self._texts else int
        if not all(isinstance(side, kind) for side in sides):
            raise ValueError(f"expected two {'texts' if self._texts else 'numbers'}, got {sides}")
        seen, reward, terminated, truncated, info = self._env.step(sides)
        self._over = terminated or truncated
        self._state.step_count += 1
        self._state.labels = int(info["labels"])
        paid = float(reward)
        return _observation(seen, verdict=info["verdict"], done=self._over, reward=None if math.isnan(paid) else paid)

    @property
    def state(self) -> DuelState:
        """Where the episode stands."""
        return self._state

    def close(self) -> None:
        """Close the environment."""
        self._env.close()


def _observation(seen: dict[str, Any], **came: Any) -> DuelObservation:
    return DuelObservation(prompt=seen["prompt"], prompt_id=int(seen["prompt_id"]), **came)
