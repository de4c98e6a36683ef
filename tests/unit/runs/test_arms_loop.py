from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lockstep_agents import Recorder

import duelbench  # noqa: F401 - registers the environments
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.arms_loop import run_lockstep
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.judging.schedule import evaluation_points
from duelbench.streams import Streams

AGENTS = Path(__file__).parents[2] / "helpers" / "lockstep_agents.py"


def spec_of(agent="uniform", env="MatrixDuel-v0", labels=150, seeds=4, seed=0, every=50, **kwargs):
    return RunSpec(
        env=env,
        agent=agent,
        seed=seed,
        labels=labels,
        batch=1,
        judging=Judging(every=every),
        env_kwargs=kwargs,
        lockstep=seeds,
    )


def curves_of(spec, out):
    with np.load(run_lockstep(spec, out) / "curves.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


@pytest.fixture
def recorded(tmp_path):
    """Answers that an agent got: (rounds begun, row, first, second, reward)."""

    def play(**kwargs):
        run_lockstep(spec_of("lockstep_agents:Recorder", labels=200, **kwargs), tmp_path)
        return Recorder.log

    return play


@given(st.integers(1, 5000), st.integers(1, 500))
def test_evaluation_points_ascend_from_none_to_all_labels(labels, every):
    points = evaluation_points(labels, every)
    assert points == sorted(set(points)) and points[0] == 0 and points[-1] == labels
    assert set(range(every, labels, every)) <= set(points)


def test_the_record_holds_the_regret_of_what_was_played(tmp_path):
    """Brute force: the same duels, one environment a seed."""
    # evaluations so far apart that contexts are overwritten several times between two of them
    curves = curves_of(spec_of(env="LinearDuel-v0", fresh=True, arms=4, labels=1500, every=1500), tmp_path)
    rng = Streams(0).generator("agent")
    sums = {kind: np.zeros(4) for kind in ("average", "weak", "strong", "probability")}
    envs = [gym.make("LinearDuel-v0", fresh=True, arms=4, horizon=2000) for _ in range(4)]
    for seed, env in enumerate(envs):
        env.reset(seed=seed)
    for t in range(1, 1501):
        firsts = rng.integers(4, size=4)
        seconds = (firsts + rng.integers(1, 4, size=4)) % 4
        for seed, env in enumerate(envs):
            pair = [firsts[seed], seconds[seed]]
            for kind in sums:
                sums[kind][seed] += env.unwrapped.regrets(pair)[kind]
            env.step(pair)
        if t in curves["labels"]:
            column = curves["labels"].tolist().index(t)
            for kind, values in sums.items():
                assert curves[f"cumulative_{kind}_regret"][:, column] == pytest.approx(values)
    assert curves["seeds"].tolist() == [0, 1, 2, 3]


def test_the_same_run_twice_is_the_same_file(tmp_path):
    one, two = (run_lockstep(spec_of("rucb"), tmp_path / name) for name in ("a", "b"))
    assert (one / "curves.npz").read_bytes() == (two / "curves.npz").read_bytes()


def test_other_seeds_and_other_numbers_of_seeds_are_other_runs():
    ids = {spec_of().run_id, spec_of(seeds=5).run_id, spec_of(seed=1).run_id}
    assert len(ids) == 3


def test_the_oracle_has_no_regret_and_uniform_has_that_of_random_pairs(tmp_path):
    oracle = curves_of(spec_of("oracle", matrix="bt10", labels=2000), tmp_path)
    assert oracle["cumulative_average_regret"].max() == 0.0 and oracle["best_arm_rate"].min() == 1.0
    uniform = curves_of(spec_of("uniform", matrix="bt10", labels=2000, seeds=20), tmp_path)
    assert uniform["cumulative_average_regret"][:, -1].mean() == pytest.approx(2000 * 0.2326, rel=0.03)


@pytest.mark.parametrize("env", ["LinearDuel-v0"])
def test_the_oracle_knows_the_best_arm_of_every_context(tmp_path, env):
    curves = curves_of(spec_of("oracle", env=env, fresh=True), tmp_path)
    assert curves["cumulative_average_regret"].max() == 0.0 and curves["simple_regret"].max() == 0.0


def test_every_answer_comes_once_with_what_was_asked(recorded):
    log = recorded(env="LinearDuel-v0", fresh=True, arms=4)
    assert len(log) == 4 * 200 and all(reward in (0.0, 1.0) for *_, reward in log)


def test_late_answers_come_once_with_what_was_asked(recorded):
    log = recorded(env="LinearDuel-v0", fresh=True, arms=4, delay=20, delay_spread=6)
    per_row = np.bincount([row for _, row, *_ in log], minlength=4)
    assert (per_row >= 150).all() and (per_row <= 200).all()


def test_a_delay_of_nothing_changes_nothing(tmp_path):
    plain = curves_of(spec_of("rucb"), tmp_path / "a")
    # the delays' stream is spawned, so it moves nothing; every answer is due at once
    late = curves_of(spec_of("rucb", delay_spread=1e-9), tmp_path / "b")
    assert np.array_equal(plain["cumulative_average_regret"], late["cumulative_average_regret"])


def test_a_record_is_read_as_one_run_a_seed(tmp_path):
    folder = run_lockstep(spec_of("rucb", seed=7), tmp_path)
    runs = load_runs(tmp_path)
    assert [run.spec["seed"] for run in runs] == [7, 8, 9, 10]
    whole = resolve(spec_of("rucb", seed=7)).run_id
    assert [run.run_id for run in runs] == [f"{whole}/{seed}" for seed in range(7, 11)]
    with np.load(folder / "curves.npz") as stored:
        for k, run in enumerate(runs):
            assert run.rows[-1]["labels"] == 150
            assert run.rows[-1]["cumulative_weak_regret"] == stored["cumulative_weak_regret"][k, -1]
    assert runs[0].manifest["agent_config"] == {"alpha": 0.51, "unseen": 2.0}
    assert {guide["name"] for guide in runs[0].manifest["guides"]} >= {"uniform pairs", "c ln T (slope only)"}


def test_a_failed_run_leaves_its_traceback_and_is_no_result(tmp_path):
    with pytest.raises(RuntimeError, match="no idea"):
        run_lockstep(spec_of(f"{AGENTS}:Broken"), tmp_path)
    (run,) = load_runs(tmp_path)
    assert not run.finished and "no idea" in str(run.error)


def test_an_agent_that_needs_features_says_so(tmp_path):
    with pytest.raises(ValueError, match="features"):
        run_lockstep(spec_of("max_pair_ucb"), tmp_path)


def test_networks_compute_with_the_threads_of_the_specification(tmp_path):
    was = torch.get_num_threads()
    try:
        torch.set_num_threads(was + 1)
        run_lockstep(spec_of(agent="neural_ts", env="LinearDuel-v0", arms=4, labels=3, seeds=2), tmp_path)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(was)
