"""The behaviour suite: its tasks, what it adds to the environments, its scores and its pictures."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import duelbench  # noqa: F401 - registers the environments
from duelbench.agents.alignment.online import Online
from duelbench.agents.arms.baselines import OracleArms, UniformArms
from duelbench.envs.arms.kl import BudgetedArms
from duelbench.records.record import load_runs
from duelbench.results.report.pictures.radar import save_radar
from duelbench.results.statistics.scores import Score, final_regrets, seed_scores
from duelbench.runs.arms_loop import run_lockstep
from duelbench.study.suite import TAGS, TASKS, Task, select, task_specs, why_not

every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
NAMED = {task.name: task for task in TASKS}
SEEDS = range(4)


def regrets_of(task: Task, name: str, agent: type, out: Path) -> dict[int, float]:
    for spec in task_specs(task, name, SEEDS, labels=60):
        run_lockstep(spec, out)
    return final_regrets(load_runs(out))


@every_task
def test_gymnasium_accepts_the_task_and_any_agent_can_play_it(task: Task) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(task.env, **task.kwargs).unwrapped
        if not task.late:  # the reward of a duel without an answer is NaN, which the checker does not know
            check_env(env)
    observation, _ = env.reset(seed=0)
    assert observation["features"].shape == (env.problem.arms, env.problem.dim)  # type: ignore[attr-defined]
    assert env.problem.fixed_features  # type: ignore[attr-defined] - so that counting wins makes sense


@every_task
def test_the_oracle_scores_one_and_uniform_pairs_score_zero(task: Task, tmp_path: Path) -> None:
    uniform = regrets_of(task, "uniform", UniformArms, tmp_path / "uniform")
    oracle = regrets_of(task, "oracle", OracleArms, tmp_path / "oracle")
    assert set(uniform) == set(oracle) == set(SEEDS) and min(uniform.values()) > 0
    assert seed_scores(oracle, uniform) == pytest.approx([1.0] * len(SEEDS))
    assert seed_scores(uniform, uniform) == (0.0,) * len(SEEDS)


def test_scores_are_by_seed_and_clipped() -> None:
    assert seed_scores({3: 5.0, 1: 30.0, 2: -1.0}, {1: 10.0, 2: 10.0, 3: 20.0}) == (0.0, 1.0, 0.75)
    score = Score("basic", "me", (0.0, 1.0))
    assert score.mean == 0.5 and score.error == pytest.approx(0.5)
    assert np.isnan(Score("basic", "me", reason="late").mean)


def test_names_differ_and_everything_can_be_selected() -> None:
    assert len(NAMED) == len(TASKS) == 14
    assert select() == list(TASKS)
    assert {task.name for tag in TAGS for task in select([tag])} == set(NAMED)
    assert [task.name for task in select(["timing"])] == ["delay", "batches"]
    smoke = select(smoke=True)
    assert 3 <= len(smoke) <= 5 and "basic" in [task.name for task in smoke]
    with pytest.raises(ValueError, match="timing"):
        select(["timings"])
    with pytest.raises(ValueError, match="smoke"):
        select(["change"], smoke=True)


@pytest.mark.parametrize("name", ["delay", "batches", "flips", "adversary", "position_bias", "kl_budget"])
def test_tasks_that_change_one_thing_keep_the_instances_of_basic(name: str) -> None:
    envs: list[Any] = [gym.make(NAMED[which].env, **NAMED[which].kwargs).unwrapped for which in ("basic", name)]
    for seed in range(3):
        for env in envs:
            env.reset(seed=seed)
        basic, other = (env.problem.instances[0] for env in envs)
        assert np.array_equal(basic.preferences, other.preferences)


def test_agents_that_learn_in_batches_play_what_they_can() -> None:
    assert [task.name for task in TASKS if why_not(task, Online)] == ["delay", "batches"]
    assert not any(why_not(task, UniformArms) for task in TASKS)
    specs = task_specs(NAMED["basic"], "online", range(3))
    assert [spec.seed for spec in specs] == [0, 1, 2] and specs[0].batch > 1 and specs[0].lockstep == 0
    assert task_specs(NAMED["drift"], "online", range(1))[0].batch == 1
    (spec,) = task_specs(NAMED["drift"], "uniform", range(3))
    assert spec.lockstep == 3 and spec.labels == NAMED["drift"].labels


@pytest.mark.parametrize("rows", [1, 3])
def test_answers_of_a_batch_come_together_with_its_last_duel(rows: int) -> None:
    def make(**kwargs: Any) -> Any:
        return gym.make_vec("MatrixDuel-v0", num_envs=rows, matrix="bt10", horizon=200, **kwargs)

    plain, batched = make(), make(answer_batch=7)
    plain.reset(seed=2)
    batched.reset(seed=2)
    truth: list[Any] = []
    for t in range(70):
        actions = np.tile([t % 10, (t + 3) % 10], (rows, 1))
        truth.append(plain.step(actions)[1])
        _, rewards, _, _, info = batched.step(actions)
        ends = t % 7 == 6
        assert np.array_equal(rewards, truth[-1]) if ends else np.isnan(rewards).all()
        for row in range(rows):
            due = [(duel, truth[duel][row]) for duel in range(t - 6, t + 1)] if ends else []
            assert sorted(info["answers"][row]) == due


def test_an_answer_batch_of_one_answers_at_once() -> None:
    env = gym.make("MatrixDuel-v0", matrix="bt10", answer_batch=1)
    env.reset(seed=0)
    _, reward, _, _, info = env.step([0, 1])
    assert info["answers"] == [(0, reward)]


def test_one_hot_features_name_the_arms_and_change_nothing_else() -> None:
    plain, shown = (gym.make("MatrixDuel-v0", matrix="bt", arms=6, one_hot=one_hot) for one_hot in (False, True))
    plain.reset(seed=3)
    observation, _ = shown.reset(seed=3)
    assert np.array_equal(observation["features"], np.eye(6))
    for i in range(6):
        for env in (plain, shown):
            assert env.unwrapped.regrets([i, 2]) == plain.unwrapped.regrets([i, 2])  # type: ignore[attr-defined]
        assert np.array_equal(plain.step([i, 2])[1], shown.step([i, 2])[1], equal_nan=True)


@pytest.mark.parametrize(
    ("env_id", "kwargs"),
    [
        ("LinearDuel-v0", {"dim": 3, "arms": 6}),
        ("MatrixDuel-v0", {"matrix": "bt", "arms": 6}),
        ("MatrixDuel-v0", {"matrix": [0.0, 1.5, 2.0, -1.0]}),
    ],
)
def test_regret_under_a_kl_budget_is_that_of_the_value(env_id: str, kwargs: dict[str, Any]) -> None:
    weight = 1.7
    env: Any = gym.make(env_id, kl_weight=weight, **kwargs).unwrapped
    plain: Any = gym.make(env_id, **kwargs).unwrapped
    references = []
    for seed in range(3):
        observation, _ = env.reset(seed=seed)
        plain.reset(seed=seed)
        log_probs = observation["reference_log_probs"].astype(float)
        references.append(log_probs)
        assert np.exp(log_probs).sum() == pytest.approx(1.0, abs=1e-5)
        preferences = plain.problem.instances[0].preferences
        assert np.array_equal(env.problem.instances[0].preferences, preferences)  # the oracle knows of no budget
        values = np.log(preferences[:, 0] / preferences[0]) + weight * log_probs  # u up to a constant, for any link
        arms = range(env.problem.arms)
        for i in arms:
            assert env.problem.losses(np.array([0]))[0, i] == pytest.approx(values.max() - values[i], abs=1e-5)
            for j in arms:
                losses = values.max() - values[[i, j]]
                expected = {"average": losses.mean(), "weak": losses.min(), "strong": losses.max()}
                assert env.regrets([i, j]) == pytest.approx(expected, abs=1e-5)
    assert not np.allclose(references[0], references[1])
    assert isinstance(env.problem, BudgetedArms) and env.problem.guides(0)[0].coefficient > 0


@pytest.mark.parametrize(
    ("env_id", "kwargs", "words"),
    [
        ("MatrixDuel-v0", {"answer_batch": 5, "delay": 3.0}, "not both"),
        ("MatrixDuel-v0", {"answer_batch": -1}, "answer_batch"),
        ("MatrixDuel-v0", {"kl_weight": 1.0, "matrix": "hudry13"}, "no utilities"),
        ("MatrixDuel-v0", {"kl_weight": 1.0, "matrix": [[0.5, 0.6], [0.4, 0.5]]}, "no utilities"),
        ("MatrixDuel-v0", {"kl_weight": -1.0, "matrix": "bt"}, "positive"),
        ("LinearDuel-v0", {"kl_weight": 1.0, "drift": 0.1}, "stay"),
        ("LinearDuel-v0", {"kl_weight": 1.0, "fresh": True}, "stay"),
        ("LinearDuel-v0", {"kl_weight": -1.0}, "positive"),
    ],
)
def test_what_does_not_fit_together_gets_one_clear_error(env_id: str, kwargs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        gym.make(env_id, **kwargs)


def test_a_radar_can_have_gaps_single_seeds_and_several_agents(tmp_path: Path) -> None:
    tasks = ["basic", "noise", "delay"]
    scores = [Score(task, "a", (0.2, 0.4)) for task in tasks]
    scores += [Score("basic", "b", (0.9,)), Score("noise", "b", (0.5,)), Score("delay", "b", reason="late")]
    for agents in ("a", "b", "ab"):
        save_radar(tmp_path / f"{agents}.png", tasks, [score for score in scores if score.agent in agents])
        assert (tmp_path / f"{agents}.png").read_bytes().startswith(b"\x89PNG")
