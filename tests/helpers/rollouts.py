"""Seeded rollouts of the environments of responses, as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

import duelbench

POOL, TEXT = "LLMDuelPool-v0", "LLMDuel-v0"
LLM_IDS = sorted(name for name in duelbench.ENV_IDS if name.startswith("LLM"))


def actions(space: gym.Space[Any], seed: int = 0) -> Iterator[Any]:
    """An endless seeded sequence of actions; every fourth duel is between identical responses."""
    space.seed(seed)
    k = 0
    while True:
        action = space.sample()
        k += 1
        if k % 4 == 0:
            action = (action[0], action[0]) if isinstance(action, tuple) else np.array([action[0]] * 2)
        yield action


def plain(x: Any) -> Any:
    """Anything an env returns as plain Python, so that == compares everything; NaN becomes text."""
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    if isinstance(x, tuple | list):
        return [plain(value) for value in x]
    if isinstance(x, np.ndarray | np.generic):
        return [str(x.dtype), plain(x.tolist())]
    return "nan" if isinstance(x, float) and np.isnan(x) else x


def rollout(env: gym.Env[Any, Any], steps: int, seed: int | None = 0, **reset: Any) -> list[Any]:
    seen: list[Any] = [env.reset(seed=seed, **reset)]
    for _, action in zip(range(steps), actions(env.action_space), strict=False):
        seen.append(env.step(action))
        if seen[-1][3]:
            seen.append(env.reset())
    return plain(seen)


def pair(env_id: str, a: int = 0, b: int = 1) -> Any:
    """Two different responses."""
    return np.array([a, b]) if env_id == POOL else (f"response {a}", f"response {b}")
