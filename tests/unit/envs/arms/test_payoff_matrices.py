"""Preferences that follow from payoffs, against simulated payoffs."""

import gymnasium as gym
import numpy as np
import pytest

import duelbench  # noqa: F401 - registers the environments
from duelbench.envs.arms.matrices import bernoulli_arms, random_gaussian_arms
from duelbench.study.settings import settings_of

DRAWS = 200_000


def simulated(payoffs):
    """Share of the rounds in which the first column pays more, ties half."""
    return float(np.mean(0.5 * (1.0 + np.sign(payoffs[:, 0] - payoffs[:, 1]))))


@pytest.mark.parametrize("gap", [0.2, 0.5, 1.0])
def test_bernoulli_arms_win_as_often_as_simulated_payoffs_say(gap):
    matrix, rng = bernoulli_arms(4, gap), np.random.default_rng(0)
    means = [0.5 + gap / 2, 0.5 - gap / 2]
    assert matrix[0, 1:] == pytest.approx(0.5 + gap / 2) and matrix[1:, 1:] == pytest.approx(0.5)
    assert simulated((rng.random((DRAWS, 2)) < means).astype(float)) == pytest.approx(matrix[0, 1], abs=0.005)


@pytest.mark.parametrize(("noise", "spread"), [(1.0, 1.0), (3.0, 1.0), (1.0, 2.0)])
def test_gaussian_arms_win_as_often_as_simulated_payoffs_say(noise, spread):
    matrix = random_gaussian_arms(np.random.default_rng(1), 3, noise, spread)
    means, rng = np.random.default_rng(1).normal(0.0, spread, 3), np.random.default_rng(2)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        payoffs = rng.normal([means[i], means[j]], noise, (DRAWS, 2))
        assert simulated(payoffs) == pytest.approx(matrix[i, j], abs=0.005)


def test_only_the_ratio_of_noise_and_spread_counts():
    one, other = (random_gaussian_arms(np.random.default_rng(3), 5, 3.0 * c, c) for c in (1.0, 7.0))
    assert one == pytest.approx(other)


def test_presets_play_and_the_best_arm_is_anywhere():
    for name in ("bernoulli-easy", "bernoulli-hard", "gaussian-easy", "gaussian-hard"):
        env = gym.make("MatrixDuel-v0", **settings_of("MatrixDuel-v0").presets[name])
        best = set()
        for seed in range(8):
            env.reset(seed=seed)
            best.add(int(env.unwrapped.problem.losses(np.zeros(1, np.int64))[0].argmin()))
        assert len(best) > 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: bernoulli_arms(1),
        lambda: bernoulli_arms(3, 0.0),
        lambda: bernoulli_arms(3, 1.5),
        lambda: random_gaussian_arms(np.random.default_rng(0), 3, 0.0),
        lambda: random_gaussian_arms(np.random.default_rng(0), 3, 1.0, np.inf),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(ValueError, match="expected"):
        make()
