"""Common random numbers, feedback, oracles, and what must stay hidden."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from numpy.typing import NDArray
from rollouts import LLM_IDS, POOL, TEXT, pair, plain

from duelbench.duels.preference import preference_probability
from duelbench.envs.text.tasks import load_task
from duelbench.streams import Streams

ids = pytest.mark.parametrize("env_id", LLM_IDS)


@pytest.fixture
def small(task_file: str, oracles: str) -> dict[str, Any]:
    """The small task whose responses end in their worth."""
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


# Common random numbers and starting again


@ids
@pytest.mark.parametrize("start", [1, 5, 255, 256, 257, 511, 600])
def test_starting_at_a_duel_meets_what_playing_up_to_it_meets(env_id: str, start: int, small: dict[str, Any]) -> None:
    played, begun = gym.make(env_id, **small).unwrapped, gym.make(env_id, **small).unwrapped
    played.reset(seed=9)
    for k in range(start):
        seen = played.step(pair(env_id, k % 3, 4))[0]
    now, _ = begun.reset(seed=9, options={"start": start})
    assert plain(now) == plain(seen)
    for _ in range(260 if start == 255 else 20):
        one, two = played.step(pair(env_id)), begun.step(pair(env_id))
        assert plain(one[0]) == plain(two[0]) and one[1] == two[1]


@ids
def test_a_vector_env_starts_at_a_duel_too(env_id: str, small: dict[str, Any]) -> None:
    played, begun = (gym.make_vec(env_id, num_envs=2, **small) for _ in range(2))
    played.reset(seed=[4, 9])
    duel = pair(env_id)
    batch = np.stack([duel, duel]) if env_id == POOL else ((duel[0],) * 2, (duel[1],) * 2)
    for _ in range(258):
        seen = played.step(batch)[0]
    assert plain(begun.reset(seed=[4, 9], options={"start": 258})[0]) == plain(seen)
    assert begun.step(batch)[1].tolist() == played.step(batch)[1].tolist()


@ids
@pytest.mark.parametrize("identical", ["tie", "skip"])
def test_equal_pairs_get_equal_verdicts_whatever_was_played_before(
    env_id: str, identical: str, small: dict[str, Any]
) -> None:
    one = gym.make(env_id, identical=identical, temperature=5.0, flip=0.2, **small)
    two = gym.make(env_id, identical=identical, temperature=5.0, flip=0.2, **small)
    one.reset(seed=7), two.reset(seed=7)
    rng = np.random.default_rng(0)
    verdicts = []
    for k in range(300):
        if k % 2:  # anything: other pairs, ties, skipped duels
            assert plain(one.step(pair(env_id, *rng.integers(4, size=2)))[0]) == plain(
                two.step(pair(env_id, *rng.integers(4, size=2)))[0]
            )
        else:
            a, b = one.step(pair(env_id, 0, 3)), two.step(pair(env_id, 0, 3))
            assert a[1] == b[1] and a[4]["verdict"] == b[4]["verdict"]
            verdicts.append(a[1])
    assert 0 < sum(verdicts) < len(verdicts)


def test_rows_of_a_run_are_seeded_alike_for_every_batch_size(small: dict[str, Any]) -> None:
    few, many = Streams(3).integers("environment", 4), Streams(3).integers("environment", 9)
    one, two = gym.make_vec(POOL, num_envs=4, **small), gym.make_vec(POOL, num_envs=9, **small)
    assert one.reset(seed=few)[0]["prompt_id"].tolist() == two.reset(seed=many)[0]["prompt_id"].tolist()[:4]


@ids
def test_duels_never_use_a_held_out_prompt_and_use_all_others(env_id: str, small: dict[str, Any]) -> None:
    env = gym.make_vec(env_id, num_envs=64, **small)
    seen = {int(i) for seed in range(20) for i in env.reset(seed=64 * seed)[0]["prompt_id"]}
    problem = env.unwrapped.problem  # type: ignore[attr-defined]
    assert seen == set(range(problem.n_prompts))
    assert not seen & set(problem.heldout_ids().tolist())


# Feedback and truth


def test_verdicts_follow_the_utilities_of_the_pair(small: dict[str, Any]) -> None:
    env = gym.make(POOL, feedback="deterministic", **small)
    observation, _ = env.reset(seed=0)
    rng = np.random.default_rng(0)
    task = env.unwrapped.problem.task  # type: ignore[attr-defined]
    for _ in range(50):
        a, b = rng.choice(7, size=2, replace=False)
        u = [float(task.references[observation["prompt_id"], m].split()[-1]) for m in (a, b)]
        observation, reward, *_ = env.step(np.array([a, b]))
        assert reward == (0.5 if u[0] == u[1] else float(u[0] > u[1]))


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_win_frequencies_follow_the_temperature(temperature: float, small: dict[str, Any]) -> None:
    env = gym.make_vec(POOL, num_envs=200, temperature=temperature, **small)
    observation, _ = env.reset(seed=0)
    task = env.unwrapped.problem.task  # type: ignore[attr-defined]
    expected, wins = [], 0.0
    for _ in range(20):
        u = [[float(task.references[i, m].split()[-1]) for m in (0, 1)] for i in observation["prompt_id"]]
        expected += [preference_probability(*two, temperature=temperature) for two in u]
        observation, rewards, *_ = env.step(np.tile([0, 1], (200, 1)))
        wins += rewards.sum()
    p = np.array(expected)
    assert abs(wins - p.sum()) < 5 * np.sqrt((p * (1 - p)).sum())


@ids
def test_nothing_about_utilities_reaches_the_learner(env_id: str, small: dict[str, Any]) -> None:
    env = gym.make(env_id, **small)
    observation, info = env.reset(seed=0)
    assert info == {}
    allowed = {"prompt", "prompt_id"} | ({"features", "reference_log_probs"} if env_id == POOL else set())
    for _ in range(3):
        assert set(observation) == allowed
        observation, _, _, _, info = env.step(pair(env_id))
        assert set(info) == {"verdict", "labels"}
    vector = gym.make_vec(env_id, num_envs=2, **small)
    assert set(vector.reset(seed=0)[0]) == allowed
    duel = pair(env_id)
    batch = np.stack([duel, duel]) if env_id == POOL else ((duel[0],) * 2, (duel[1],) * 2)
    assert set(vector.step(batch)[4]) == {"verdict", "labels", "_verdict", "_labels"}


def test_the_truth_of_every_pair_of_the_pool_is_the_brute_force_truth(small: dict[str, Any]) -> None:
    env: Any = gym.make(POOL, temperature=2.0, **small).unwrapped
    task = env.problem.task
    n = task.references.shape[1]
    for i in (0, 17, len(task.prompts) - 1):
        u = [float(text.split()[-1]) for text in task.references[i]]
        truth = env.truth(np.full(n, i), np.arange(n))
        assert truth.utilities.tolist() == u and truth.best.tolist() == [max(u)] * n
        assert (truth.best - truth.utilities).min() == 0.0
        for a in range(n):
            p = [1 / (1 + np.exp(-(u[a] - v) / 2.0)) for v in u]
            assert truth.win_probability()[a] == pytest.approx(np.mean(p))
            assert truth.win_rate()[a] == pytest.approx(np.mean([float(u[a] > v) + 0.5 * (u[a] == v) for v in u]))
            assert truth.best_beats()[a] == pytest.approx(1 / (1 + np.exp(-(max(u) - u[a]) / 2.0)))


def test_free_text_has_the_truth_of_any_text(small: dict[str, Any]) -> None:
    env: Any = gym.make(TEXT, **small).unwrapped
    task = env.problem.task
    texts = np.array(["splendid worth 99", task.references[3, 2]], dtype=object)
    truth = env.truth(np.array([3, 3]), texts)
    u = [float(text.split()[-1]) for text in task.references[3]]
    assert truth.utilities.tolist() == [99.0, u[2]]
    assert truth.best.tolist() == [max(u)] * 2  # a pseudo-regret: a text may be better than every stored one
    assert truth.win_rate()[0] == 1.0


@ids
def test_held_out_prompts_are_observed_as_a_batch(env_id: str, small: dict[str, Any]) -> None:
    env: Any = gym.make(env_id, **small).unwrapped
    observation = env.heldout()
    n = len(env.problem.heldout_ids())
    assert all(len(value) == n for value in observation.values()) and n == 6
    for b in range(n):
        assert {name: value[b] for name, value in observation.items()} in env.observation_space


# Oracles


@ids
def test_an_oracle_without_utilities_has_no_truth_but_beats_references(
    env_id: str, task_file: str, oracles: str
) -> None:
    env: Any = gym.make(env_id, task=task_file, oracle=f"{oracles}:Judge").unwrapped
    task, held = env.problem.task, env.problem.heldout_ids()
    responses = np.zeros(len(held), np.int64) if env_id == POOL else task.references[held, 0]
    assert env.truth(held, responses) is None
    u = [[float(text.split()[-1]) for text in row] for row in task.references[held]]
    expected = [np.mean([1 / (1 + np.exp(v - row[0])) for v in row]) for row in u]
    np.testing.assert_allclose(env.problem.beats_reference(held, responses), expected)


@ids
def test_a_row_that_the_oracle_fails_on_is_invalid_and_the_others_keep_their_answers(
    env_id: str, task_file: str, oracles: str
) -> None:
    picky, judge = (
        gym.make_vec(env_id, num_envs=7, task=task_file, oracle=f"{oracles}:{name}") for name in ("Picky", "Judge")
    )
    references: NDArray[Any] = picky.unwrapped.problem.task.references  # type: ignore[attr-defined]
    picky.reset(seed=0)
    observation, _ = judge.reset(seed=0)
    columns = np.arange(7)  # every third response is odd, and Picky fails on odd firsts
    texts = references[observation["prompt_id"]]
    rivals = (columns + 1) % 7
    batch = (
        np.stack([columns, rivals], -1)
        if env_id == POOL
        else (tuple(texts[columns, columns]), tuple(texts[columns, rivals]))
    )
    _, rewards, _, _, info = picky.step(batch)
    _, expected, _, _, answers = judge.step(batch)
    odd = columns % 3 == 0
    assert (info["verdict"] == "invalid").tolist() == odd.tolist() == np.isnan(rewards).tolist()
    assert rewards[~odd].tolist() == expected[~odd].tolist()
    assert info["verdict"][~odd].tolist() == answers["verdict"][~odd].tolist()
    assert info["labels"].tolist() == [1] * 7


@ids
def test_references_of_unknown_utility_are_left_out_of_the_truth(env_id: str, task_file: str, oracles: str) -> None:
    env: Any = gym.make(env_id, task=task_file, oracle=f"{oracles}:Forgetful").unwrapped
    row = env.problem.task.references[5]
    u = [float(text.split()[-1]) for text in row if not text.startswith("odd")]
    truth = env.truth(np.array([5, 5]), np.array([0, 1]) if env_id == POOL else row[:2])  # the first one is odd
    assert truth.best.tolist() == [max(u)] * 2
    assert np.isnan([truth.utilities[0], truth.win_rate()[0], truth.win_probability()[0]]).all()
    assert truth.win_rate()[1] == pytest.approx(np.mean([(u[0] > v) + 0.5 * (u[0] == v) for v in u]))
    assert truth.win_probability()[1] == pytest.approx(np.mean([1 / (1 + np.exp(v - u[0])) for v in u]))
    blank: Any = gym.make(env_id, task=task_file, oracle=f"{oracles}:Blank").unwrapped
    truth = blank.truth(np.array([5]), np.array([1]) if env_id == POOL else row[1:2])
    assert np.isnan([truth.best[0], truth.win_rate()[0]]).all()


def test_stored_utilities_are_those_of_the_packaged_reader_only(task_file: str, oracles: str, tmp_path: Path) -> None:
    task = load_task(task_file)
    stored = np.full(task.references.shape, 7.0)
    path = tmp_path / "stored.npz"
    dataclasses.replace(task, utilities={"reader": stored}).save(path)
    reader: Any = gym.make(POOL, task=str(path)).unwrapped
    namesake: Any = gym.make(POOL, task=str(path), oracle=f"{oracles}:Namesake").unwrapped
    assert reader.problem.oracle.name == namesake.problem.oracle.name == "reader"
    everything = np.arange(len(task.prompts))
    assert np.array_equal(reader.problem.stored_utilities(everything), stored)
    worths = [[float(text.split()[-1]) for text in row] for row in task.references]
    assert namesake.problem.stored_utilities(everything).tolist() == worths


def test_a_bad_temperature_is_said_when_the_env_is_made(small: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="temperature"):
        gym.make(POOL, temperature=0.0, **small)


def test_a_pool_needs_features(tmp_path: Any, oracles: str) -> None:
    path = tmp_path / "bare.jsonl"
    path.write_text('{"prompt": "p", "references": ["a", "b"]}\n{"prompt": "q", "references": ["a", "b"]}\n')
    with pytest.raises(ValueError, match="no stored features"):
        gym.make(POOL, task=str(path), oracle=f"{oracles}:Worth")


def test_a_text_is_scored_once_for_a_duel_and_its_truth(small: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    env: Any = gym.make(TEXT, **small).unwrapped
    assert env.problem.stored_utilities(np.arange(46)) is not None  # scored before the duels
    utilities, scored = env.problem.oracle.utilities, []

    def counting(prompts: Any, responses: Any) -> Any:
        scored.extend(zip(prompts, responses, strict=True))
        return utilities(prompts, responses)

    monkeypatch.setattr(env.problem.oracle, "utilities", counting)
    env.reset(seed=0)
    texts = np.array(["worth 1.5", "worth -0.5"], dtype=object)
    for duels in (1, 2):  # what was scored for older duels is forgotten
        at = env.engine.prompt_ids.repeat(2)
        env.step(tuple(texts))
        assert env.truth(at, texts).utilities.tolist() == [1.5, -0.5]
        assert len(scored) == 2 * duels
    env.truth(at, np.array(["worth 1.5", "worth 3.0"], dtype=object))
    assert len(scored) == 5


# What is asked, when, and of what kind of object


class Counting:
    """Keeps every question: utilities of texts, and preferences that do not follow from them."""

    name = "counting"

    def __init__(self) -> None:
        self.scored: list[tuple[str, str]] = []
        self.compared: list[tuple[str, str, str]] = []

    def utilities(self, prompts: Any, responses: Any) -> Any:
        self.scored += zip(prompts, responses, strict=True)
        return np.array([float(text.split()[-1]) for text in responses])

    def preference(self, prompts: Any, firsts: Any, seconds: Any) -> Any:
        self.compared += zip(prompts, firsts, seconds, strict=True)
        return np.ones(len(prompts))  # always the first


@ids
def test_stored_responses_are_scored_when_their_prompt_comes_and_duels_ask_the_oracles_own_preference(
    env_id: str, task_file: str
) -> None:
    oracle = Counting()
    env: Any = gym.make(env_id, task=task_file, oracle=oracle).unwrapped
    assert env.problem.oracle is oracle and not oracle.scored
    observation, _ = env.reset(seed=0)
    worse, better = (0, 1) if env_id == POOL else ("x worth 1.0", "x worth 9.0")
    assert env.step((worse, better) if env_id == TEXT else np.array([worse, better]))[1] == 1.0
    assert len(oracle.compared) == 1 and not oracle.scored
    ids = np.array([observation["prompt_id"]] * 2)
    texts = np.array([0, 1]) if env_id == POOL else np.array([worse, better], dtype=object)
    for _ in range(2):
        env.truth(ids, texts)
    stored = [(prompt, text) for prompt, text in oracle.scored if "répönse" in text]
    assert len(stored) == len(set(stored)) == 7 and {prompt for prompt, _ in stored} == {observation["prompt"]}
    assert len(oracle.scored) == (7 if env_id == POOL else 9) and len(oracle.compared) == 1


@ids
def test_references_limit_what_judging_asks(env_id: str, task_file: str, oracles: str) -> None:
    oracle = Counting()
    env: Any = gym.make(env_id, task=task_file, oracle=oracle, references=2).unwrapped
    responses = np.array([5]) if env_id == POOL else np.array(["x worth 1.0"], dtype=object)
    truth = env.truth(np.array([41]), responses)
    assert truth.references.shape == (1, 2) and len(oracle.scored) == 3
    env.problem.beats_reference(np.array([41]), responses)
    assert len(oracle.compared) == 2
    assert "2" in env.problem.comparator and env.problem.reference.startswith("2 stored")
    for wrong in (0, 8):
        with pytest.raises(ValueError, match="references must lie in"):
            gym.make(env_id, task=task_file, oracle=oracle, references=wrong)


def test_a_temperature_has_no_say_over_an_oracles_own_preference(task_file: str) -> None:
    with pytest.raises(ValueError, match="has no effect on oracle 'counting'"):
        gym.make(POOL, task=task_file, oracle=Counting(), temperature=2.0)


def length(prompt: str, response: str) -> float:
    return float(len(response))


@ids
def test_objects_are_taken_where_names_are(env_id: str, task_file: str) -> None:
    task = load_task(task_file)
    named = f"{__file__}:length"
    for given in (length, named):
        for maker in (gym.make, lambda env_id, **kwargs: gym.make_vec(env_id, num_envs=2, **kwargs)):
            env: Any = maker(env_id, task=task, oracle=given, task_options={"limit": 9}).unwrapped
            assert env.problem.oracle.name == "length" and env.problem.n_prompts == 9
    env = gym.make(env_id, task=task, oracle=Counting, feedback="deterministic")
    env.reset(seed=0)
    assert env.step(pair(env_id))[1] == 1.0
