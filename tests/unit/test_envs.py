"""The environments as Gymnasium sees them, and what must stay hidden."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

import duelbench
from duelbench.assemble import assemble
from duelbench.envs.problem import InvalidActionError
from duelbench.envs.tasks import load_task
from duelbench.journal import Journal
from duelbench.preference import preference_probability
from duelbench.runner import run
from duelbench.spec import RunSpec
from duelbench.streams import Streams
from duelbench.types import Pair, Responses, Verdict

POOL, TEXT = "LLMDuelPool-v0", "LLMDuel-v0"
LLM_IDS = sorted(name for name in duelbench.ENV_IDS if name.startswith("LLM"))
ids = pytest.mark.parametrize("env_id", LLM_IDS)


@pytest.fixture
def small(task_file: str, oracles: str) -> dict[str, Any]:
    """The small task whose responses end in their worth."""
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


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


# Gymnasium's contract


@ids
def test_check_env_has_nothing_to_say(env_id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(env_id)
        check_env(env.unwrapped)
        env.close()
        env.close()


@ids
def test_twin_rollouts_are_equal_and_other_seeds_differ(env_id: str, small: dict[str, Any]) -> None:
    one, two = gym.make(env_id, horizon=5, **small), gym.make(env_id, horizon=5, **small)
    assert rollout(one, 30) == rollout(two, 30) == rollout(one, 30)
    assert rollout(one, 30) != rollout(one, 30, seed=1)


@ids
def test_a_spec_survives_json(env_id: str, small: dict[str, Any]) -> None:
    env = gym.make(env_id, horizon=5, flip=0.2, **small)
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))  # type: ignore[union-attr]
    assert again.spec == env.spec and rollout(again, 12) == rollout(env, 12)
    vector = gym.make_vec(env_id, num_envs=3, horizon=5, **small)
    rebuilt = gym.make_vec(EnvSpec.from_json(vector.spec.to_json()))  # type: ignore[union-attr]
    assert rebuilt.num_envs == 3 and type(rebuilt.unwrapped) is type(vector.unwrapped)
    assert plain(rebuilt.reset(seed=1)) == plain(vector.reset(seed=1))


@ids
def test_an_id_with_its_module_works_in_a_fresh_process(env_id: str) -> None:
    code = f"import gymnasium; print(gymnasium.make('duelbench:{env_id}').reset(seed=0)[0]['prompt_id'])"
    said = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert int(said.stdout) == gym.make(env_id).reset(seed=0)[0]["prompt_id"]


def test_importing_the_package_is_light() -> None:
    code = "import sys, duelbench; print([m for m in ('torch', 'transformers', 'scipy.stats') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_pool_env_loads_no_torch(task_file: str, oracles: str) -> None:
    code = (
        "import sys, duelbench, gymnasium\n"
        f"env = gymnasium.make('{POOL}', task={task_file!r}, oracle={oracles + ':Worth'!r})\n"
        "env.reset(seed=0), env.step([0, 1]); print('torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


@ids
def test_an_episode_is_truncated_at_its_horizon_and_never_terminates(env_id: str, small: dict[str, Any]) -> None:
    env = gym.make(env_id, horizon=3, **small)
    for _ in range(2):
        env.reset(seed=0)
        steps = [env.step(pair(env_id)) for _ in range(3)]
        assert [step[3] for step in steps] == [False, False, True]
        assert [step[4]["labels"] for step in steps] == [1, 2, 3]
        for _, reward, terminated, truncated, info in steps:
            assert type(reward) is float and reward in (0.0, 1.0)
            assert terminated is False and type(truncated) is bool
            assert type(info["labels"]) is int and info["verdict"] == ("first" if reward else "second")


@pytest.mark.parametrize("horizon", [1, 0, -3])
def test_a_horizon_too_short_for_gymnasium_is_refused(horizon: int, small: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        gym.make(POOL, horizon=horizon, **small)


@ids
def test_ansi_rendering_shows_the_last_duel_and_the_next_prompt(env_id: str, small: dict[str, Any]) -> None:
    env = gym.make(env_id, render_mode="ansi", **small)
    observation, _ = env.reset(seed=0)
    assert observation["prompt"] in env.render()  # type: ignore[operator]
    observation, _, _, _, info = env.step(pair(env_id))
    text = env.render()
    assert isinstance(text, str)
    assert observation["prompt"] in text and info["verdict"] in text and "labels 1/" in text


# Vector environments


@pytest.mark.filterwarnings("ignore:.*The reward is a NaN")  # Gymnasium's checker, on a skipped duel
@ids
@pytest.mark.parametrize("seed", [3, [11, 5, 11, 2**31]])
@pytest.mark.parametrize("identical", ["tie", "ask", "skip"])
def test_the_native_vector_env_is_the_sync_vector_env(
    env_id: str, seed: int | list[int], identical: str, small: dict[str, Any]
) -> None:
    kwargs = {"num_envs": 4, "horizon": 5, "identical": identical, "flip": 0.1, **small}
    native = gym.make_vec(env_id, **kwargs)
    sync = gym.make_vec(env_id, vectorization_mode="sync", **kwargs)
    assert native.metadata["autoreset_mode"] == sync.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    assert native.observation_space == sync.observation_space and native.action_space == sync.action_space
    assert same(native.reset(seed=seed), sync.reset(seed=seed))
    sync.action_space.seed(0)
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(25):
        action = sync.action_space.sample()
        copies = rng.random(4) < 0.3  # rows fall out of step, so that some end while others play
        if isinstance(action, tuple):
            action = action[0], tuple(a if c else b for a, b, c in zip(*action, copies, strict=True))
        else:
            action[copies, 1] = action[copies, 0]
        one, two = native.step(action), sync.step(action)
        assert same(one, two)
        ends += int(one[3].sum())
    assert ends >= 8
    assert same(native.reset(), sync.reset()) and same(native.reset(seed=8), sync.reset(seed=8))
    native.close()
    sync.close()


def same(one: tuple[Any, ...], two: tuple[Any, ...]) -> bool:
    """Equal, up to the width of integers and containers: obs, rewards, ends and infos."""

    def bare(x: Any) -> Any:
        if isinstance(x, dict):
            return {key: bare(value) for key, value in x.items()}
        if isinstance(x, tuple | list):
            return [bare(value) for value in x]
        if isinstance(x, np.ndarray):
            return [x.dtype.kind, bare(x.tolist())]
        return "nan" if isinstance(x, float) and np.isnan(x) else x

    return bool(bare(one) == bare(two))


@ids
def test_a_row_behaves_as_a_single_env_with_its_seed(env_id: str, small: dict[str, Any]) -> None:
    vector = gym.make_vec(env_id, num_envs=2, **small)
    singles = [gym.make(env_id, **small) for _ in range(2)]
    observation, _ = vector.reset(seed=40)
    alone = [env.reset(seed=40 + b)[0] for b, env in enumerate(singles)]
    for _ in range(6):
        assert [obs["prompt"] for obs in alone] == list(observation["prompt"])
        duel = pair(env_id)
        batch = np.stack([duel, duel]) if env_id == POOL else ((duel[0],) * 2, (duel[1],) * 2)
        observation, rewards, *_ = vector.step(batch)
        steps = [env.step(duel) for env in singles]
        assert [step[1] for step in steps] == rewards.tolist()
        alone = [step[0] for step in steps]


def test_the_async_vector_env_gives_what_the_native_one_gives(small: dict[str, Any]) -> None:
    native = gym.make_vec(POOL, num_envs=2, horizon=3, **small)
    options = {"shared_memory": False, "context": "spawn"}
    workers = gym.make_vec(POOL, num_envs=2, horizon=3, vectorization_mode="async", vector_kwargs=options, **small)
    assert same(native.reset(seed=0), workers.reset(seed=0))
    for _, action in zip(range(5), actions(native.action_space), strict=False):
        assert same(native.step(action), workers.step(action))
    workers.close()


def test_seeds_must_be_as_many_as_rows(small: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected 3 seeds"):
        gym.make_vec(POOL, num_envs=3, **small).reset(seed=[1, 2])


@ids
def test_returned_data_is_never_touched_again(env_id: str, small: dict[str, Any]) -> None:
    vector = gym.make_vec(env_id, num_envs=2, horizon=3, **small)
    kept, copies = [vector.reset(seed=0)], []
    copies.append(plain(kept[0]))
    for _, action in zip(range(8), actions(vector.action_space), strict=False):
        kept.append(vector.step(action))
        copies.append(plain(kept[-1]))
    assert plain(kept) == copies


@ids
def test_a_batch_is_one_oracle_call(env_id: str, task_file: str, oracles: str, tmp_path: Any) -> None:
    log = tmp_path / "asked.jsonl"
    kwargs = {"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}}
    vector = gym.make_vec(env_id, num_envs=5, **kwargs)
    vector.reset(seed=0)
    duel = pair(env_id)
    batch = np.stack([duel] * 5) if env_id == POOL else ((duel[0],) * 5, (duel[1],) * 5)
    vector.step(batch)
    (call,) = log.read_text().splitlines()
    assert len(json.loads(call)) == 5


# Bad actions

BAD_TEXT = [
    "two strings", ("only one",), ("a", "b", "c"), ("a", 3), (None, "b"), (b"a", "b"), ("a", ["b"]), None, 7, {},
    ("a" * 4097, "b"), ("a", "b\ud800"), np.array([0, 1]), ("a", float("nan")),
]  # fmt: skip
BAD_POOL = [
    np.array([0, 10**6]), np.array([-1, 0]), np.array([0.0, 1.0]), np.array([0]), np.array([0, 1, 1]), "01", None, 3,
    (0, (1, 2)), ("0", "1"), [[0, 1]], (0, None), np.array([True, False]), {},
    np.array([0, 2**63], np.uint64), (0, 2**70),
]  # fmt: skip


@pytest.mark.parametrize(("env_id", "action"), [(TEXT, bad) for bad in BAD_TEXT] + [(POOL, bad) for bad in BAD_POOL])
def test_a_bad_action_uses_up_no_label_and_moves_nothing(env_id: str, action: Any, small: dict[str, Any]) -> None:
    env, twin = gym.make(env_id, **small).unwrapped, gym.make(env_id, **small).unwrapped
    for e in (env, twin):
        e.reset(seed=0)
        e.step(pair(env_id))
    with pytest.raises(InvalidActionError, match="no label was used"):
        env.step(action)
    for a, b in ((0, 1), (2, 1), (3, 0)):
        assert plain(env.step(pair(env_id, a, b))) == plain(twin.step(pair(env_id, a, b)))


BAD_BATCHES = {
    TEXT: [
        (("a",), ("b",)), (("a", "b", "c"), ("a", "b", "c")), ("ab", "cd"), (("a", "b"), ("c",)), (("a", "b"), None),
        (None, None), (("a", "b"), ("c", 3)), [("a", "b")], (3, 4),
    ],
    POOL: [
        np.array([[0, 1]]), np.array([[0, 1]] * 3), np.array([0, 1]), np.array([[0, 1], [0, 99]]),
        np.array([[0.0, 1.0]] * 2), [[0, 1], [0]], None, np.zeros((2, 2, 1), int),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("env_id", "action"), [(env_id, bad) for env_id in BAD_BATCHES for bad in BAD_BATCHES[env_id]])
def test_a_bad_batch_uses_up_no_label_and_moves_no_row(env_id: str, action: Any, small: dict[str, Any]) -> None:
    env, twin = (gym.make_vec(env_id, num_envs=2, **small) for _ in range(2))
    env.reset(seed=0), twin.reset(seed=0)
    with pytest.raises(InvalidActionError, match="no label was used"):
        env.step(action)
    duel = pair(env_id)
    batch = np.stack([duel, duel]) if env_id == POOL else ((duel[0],) * 2, (duel[1],) * 2)
    assert plain(env.step(batch)) == plain(twin.step(batch))


# Identical responses


@ids
def test_identical_responses_tie_are_asked_skip_or_fail(
    env_id: str, task_file: str, oracles: str, tmp_path: Any
) -> None:
    expected = {"tie": ("tie", 0.5, 1, 0), "ask": ("first", 1.0, 1, 1), "skip": ("skipped", "nan", 0, 0)}
    for identical, (verdict, reward, labels, asked) in expected.items():
        log = tmp_path / f"{identical}.jsonl"
        kwargs = {"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}}
        env = gym.make(env_id, identical=identical, **kwargs).unwrapped  # Gymnasium's checker warns of NaN
        before, _ = env.reset(seed=1)
        after, got, _, _, info = env.step(pair(env_id, 1, 1))
        if identical == "ask":
            verdict, reward = ("first", 1.0) if got == 1.0 else ("second", 0.0)  # a fair coin
        assert (info["verdict"], plain(got), info["labels"]) == (verdict, reward, labels)
        assert (len(log.read_text().splitlines()) if log.exists() else 0) == asked
        assert after["prompt_id"] != before["prompt_id"]
    env = gym.make(env_id, identical="error", **kwargs)
    env.reset(seed=1)
    with pytest.raises(InvalidActionError, match="identical"):
        env.step(pair(env_id, 1, 1))
    assert env.step(pair(env_id))[4]["labels"] == 1


def test_skipped_duels_never_reach_the_horizon(small: dict[str, Any]) -> None:
    env = gym.make(POOL, identical="skip", horizon=2, **small).unwrapped
    env.reset(seed=0)
    assert not any(env.step(np.array([2, 2]))[3] for _ in range(10))


def test_an_unknown_way_with_identical_responses_is_refused(small: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="'tie', 'ask', 'skip' or 'error'"):
        gym.make(POOL, identical="ignore", **small)


def test_a_tie_of_identical_responses_is_journaled_and_the_oracle_not_asked(
    task_file: str, oracles: str, tmp_path: Path
) -> None:
    log = tmp_path / "asked.jsonl"
    kwargs = {"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}}
    plays = []
    for _ in range(2):  # the second time all answers come from the journal
        env: Any = gym.make_vec(POOL, num_envs=4, **kwargs).unwrapped
        env.engine.journal = journal = Journal(tmp_path / "journal.sqlite", "run")
        env.reset(seed=0)
        env.abstain(np.array([False, False, False, True]))
        plays.append(plain(env.step(np.array([[1, 1], [0, 1], [2, 2], [3, 3]]))))
        answers = journal.answers()
        journal.close()
        assert [a.duel for a in answers] == [0, 1, 2]  # a row that abstains is in no journal
        for a in (answers[0], answers[2]):
            assert a.first == a.second and a.verdict == Verdict.TIE and a.probability == 0.5
        (call,) = map(json.loads, log.read_text().splitlines())
        assert call == [[answers[1].prompt, answers[1].first, answers[1].second]]
    assert plays[0] == plays[1]


# Rows that abstain


@ids
def test_a_row_that_abstains_goes_on_without_a_duel_for_one_step(
    env_id: str, task_file: str, oracles: str, tmp_path: Path
) -> None:
    log = tmp_path / "asked.jsonl"
    kwargs = {"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}}
    env, twin = gym.make(env_id, **kwargs).unwrapped, gym.make(env_id, **kwargs).unwrapped
    env.reset(seed=1), twin.reset(seed=1)
    env.abstain(np.array([True]))  # type: ignore[attr-defined]
    observation, reward, terminated, truncated, info = env.step(pair(env_id))
    assert np.isnan(reward) and info == {"verdict": "skipped", "labels": 0} and not terminated and not truncated
    assert not log.exists()
    assert plain(observation) == plain(twin.step(pair(env_id))[0])  # the next prompt, whatever was done
    one, two = env.step(pair(env_id)), twin.step(pair(env_id))  # it was for one step, and moved no noise
    assert plain(one[:4]) == plain(two[:4]) and (one[4]["labels"], two[4]["labels"]) == (1, 2)


@ids
@pytest.mark.parametrize("identical", ["tie", "ask", "skip", "error"])
def test_some_rows_abstain_and_the_others_get_their_answers(env_id: str, identical: str, small: dict[str, Any]) -> None:
    env, twin = (gym.make_vec(env_id, num_envs=4, identical=identical, **small).unwrapped for _ in range(2))
    env.reset(seed=3), twin.reset(seed=3)
    away = np.array([True, False, False, True])
    a, b = pair(env_id)
    batch = np.array([[a, b]] * 3 + [[a, a]]) if env_id == POOL else ((a,) * 4, (b,) * 3 + (a,))
    env.abstain(away)  # type: ignore[attr-defined]
    observation, rewards, _, _, info = env.step(batch)
    # the last row's pair is identical, and it abstains: no tie, no label, no error
    others = np.array([[a, b]] * 4) if env_id == POOL else ((a,) * 4, (b,) * 4)
    expected, wanted, _, _, told = twin.step(others)
    assert plain(observation) == plain(expected)
    assert np.isnan(rewards).tolist() == (info["verdict"] == "skipped").tolist() == away.tolist()
    assert rewards[~away].tolist() == wanted[~away].tolist()
    assert info["labels"].tolist() == [0, 1, 1, 0] and told["labels"].tolist() == [1] * 4
    assert plain(env.step(others)[:4]) == plain(twin.step(others)[:4])


@ids
@pytest.mark.parametrize("vector", [False, True])
def test_a_step_that_fails_does_not_use_up_that_a_row_abstains(
    env_id: str, vector: bool, small: dict[str, Any]
) -> None:
    env: Any = gym.make_vec(env_id, num_envs=2, identical="error", **small) if vector else gym.make(env_id, **small)
    env = env.unwrapped
    env.reset(seed=0)
    a, b = pair(env_id)
    good = (np.array([[a, b]] * 2) if env_id == POOL else ((a,) * 2, (b,) * 2)) if vector else pair(env_id)
    clash = np.array([[a, b], [a, a]]) if env_id == POOL else ((a, a), (b, a))
    env.abstain(np.array([True, False] if vector else [True]))
    for bad in (None, clash) if vector else (None,):
        with pytest.raises(InvalidActionError):
            env.step(bad)
    verdict = np.atleast_1d(np.array(env.step(good)[4]["verdict"], object))
    assert verdict[0] == "skipped" and "skipped" not in verdict[1:]
    assert "skipped" not in np.atleast_1d(np.array(env.step(good)[4]["verdict"], object))


class EveryOther:
    """Asks the even rows only."""

    def __init__(self, setup: Any) -> None:
        self.policy, self.rng, self.evaluation_rng = setup.policy, setup.rng, setup.evaluation_rng

    def propose(self, observation: Any) -> Pair:
        drawn = self.policy.sample(observation, 2, self.rng)
        rows = np.arange(len(drawn))
        return Pair(drawn.pick(rows * 0), drawn.pick(rows * 0 + 1), rows % 2 == 0)

    def update(self, observation: Any, pair: Pair, feedback: NDArray[np.float64]) -> dict[str, float]:
        assert np.isnan(feedback[1::2]).all() and np.isfinite(feedback[::2]).all()
        return {}

    def respond(self, observation: Any) -> Responses:
        return self.policy.sample(observation, 1, self.evaluation_rng()).pick(np.zeros(len(observation["prompt"]), int))


def test_a_run_abstains_where_its_agent_does_not_ask(small: dict[str, Any], tmp_path: Path) -> None:
    spec = RunSpec(POOL, f"{__file__}:EveryOther", 0, 32, batch=8, env_kwargs=small)
    journal = Journal(run(spec, tmp_path) / "journal.sqlite", spec.run_id)
    answers = {a.duel: a.verdict.name.lower() for a in journal.answers()}
    journal.close()
    assert list(answers) == list(range(0, 64, 2))  # 32 labels: of eight rows four are asked a round
    parts = assemble(spec)
    env = parts.env.unwrapped
    observation, _ = env.reset(seed=parts.seeds)
    for k in range(8):
        proposed = parts.agent.propose(observation)
        env.abstain(~proposed.ask)
        observation, _, _, _, info = env.step(np.stack([proposed.first.actions, proposed.second.actions], -1))
        assert info["verdict"].tolist() == [answers.get(8 * k + row, "skipped") for row in range(8)]


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
        np.stack([columns, rivals], -1) if env_id == POOL
        else (tuple(texts[columns, columns]), tuple(texts[columns, rivals]))
    )  # fmt: skip
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
    assert np.array_equal(reader.problem.stored_utilities, stored)
    worths = [[float(text.split()[-1]) for text in row] for row in task.references]
    assert namesake.problem.stored_utilities.tolist() == worths


def test_a_bad_temperature_is_said_when_the_env_is_made(small: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="temperature"):
        gym.make(POOL, temperature=0.0, **small)


def test_a_pool_needs_features(tmp_path: Any, oracles: str) -> None:
    path = tmp_path / "bare.jsonl"
    path.write_text('{"prompt": "p", "references": ["a", "b"]}\n{"prompt": "q", "references": ["a", "b"]}\n')
    with pytest.raises(ValueError, match="no stored features"):
        gym.make(POOL, task=str(path), oracle=f"{oracles}:Worth")
