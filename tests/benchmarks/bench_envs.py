"""Duels per second of all environments, alone: no policy, no learning.

make bench
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import duelbench  # registers the environments

ROUNDS = 50


def _actions(env: Any, rows: int) -> Any:
    """Different stored responses in every row, in the environment's own form."""
    problem = env.unwrapped.problem
    if hasattr(problem, "n_responses") or hasattr(problem, "arms"):
        return np.tile([0, 1], (rows, 1))
    stored = problem.task.references
    return tuple(np.resize(stored[:, 0], rows).tolist()), tuple(np.resize(stored[:, 1], rows).tolist())


@pytest.mark.parametrize("rows", [32, 1024])
@pytest.mark.parametrize("env_id", sorted(duelbench.ENV_IDS))
def test_vector_duels(benchmark: Any, env_id: str, rows: int) -> None:
    env = gym.make_vec(env_id, num_envs=rows, horizon=10**9)
    env.reset(seed=0)
    actions = _actions(env, rows)

    def duel() -> None:
        for _ in range(ROUNDS):
            env.step(actions)

    benchmark(duel)
    benchmark.extra_info["duels_per_second"] = round(ROUNDS * rows / benchmark.stats.stats.median)


@pytest.mark.parametrize("env_id", sorted(duelbench.ENV_IDS))
def test_scalar_duels(benchmark: Any, env_id: str) -> None:
    env = gym.make(env_id, horizon=10**9)
    env.reset(seed=0)
    env.action_space.seed(0)
    action = env.action_space.sample()

    def duel() -> None:
        for _ in range(ROUNDS):
            env.step(action)

    benchmark(duel)
    benchmark.extra_info["duels_per_second"] = round(ROUNDS / benchmark.stats.stats.median)
