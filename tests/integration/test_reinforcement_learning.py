"""A plain reinforcement-learning client takes the numeric environments as they are."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest

import duelbench
from duelbench.envs.wrappers import NegativeRegret

ARM_IDS = sorted(name for name in duelbench.ENV_IDS if not name.startswith("LLM"))


@pytest.mark.parametrize("env_id", ARM_IDS)
def test_stable_baselines_accepts_the_numeric_environments(env_id: str) -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checker.check_env(gym.wrappers.FlattenObservation(NegativeRegret(gym.make(env_id))))
        # as a matrix, features are accepted too, with the advice to flatten them
        warnings.filterwarnings("ignore", message=".*unconventional shape")
        checker.check_env(NegativeRegret(gym.make(env_id)))


@pytest.mark.slow
def test_ppo_ends_clearly_below_uniform_regret() -> None:
    sb3 = pytest.importorskip("stable_baselines3")
    env = NegativeRegret(gym.make("MatrixDuel-v0", matrix="bt10", horizon=512))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the client's own deprecations are not ours
        client = sb3.PPO(
            "MultiInputPolicy", env, n_steps=512, batch_size=128, learning_rate=3e-3, gamma=0.0, seed=0, device="cpu"
        )
        client.learn(4096)
    observation, _ = env.reset(seed=1)
    paid = []
    for _ in range(200):
        observation, reward, *_ = env.step(client.predict(observation)[0])
        paid.append(-float(reward))
    uniform = np.mean([env.unwrapped.regrets([i, j])["average"] for i in range(10) for j in range(10)])  # type: ignore[attr-defined]
    assert np.mean(paid) < 0.3 * uniform
