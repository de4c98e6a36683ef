"""What an environment does with bad actions, identical responses and rows that abstain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from journals import journal_of
from numpy.typing import NDArray
from rollouts import LLM_IDS, POOL, TEXT, pair, plain

from duelbench.envs.duel.problem import InvalidActionError
from duelbench.records.answers.journal import Journal
from duelbench.records.answers.journaled_oracle import JournaledDuels
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.assemble import assemble
from duelbench.runs.policy_loop import run
from duelbench.types import Pair, Responses, Verdict

ids = pytest.mark.parametrize("env_id", LLM_IDS)


@pytest.fixture
def small(task_file: str, oracles: str) -> dict[str, Any]:
    """The small task whose responses end in their worth."""
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


# Bad actions

BAD_TEXT = [
    "two strings",
    ("only one",),
    ("a", "b", "c"),
    ("a", 3),
    (None, "b"),
    (b"a", "b"),
    ("a", ["b"]),
    None,
    7,
    {},
    ("a" * 4097, "b"),
    ("a", "b\ud800"),
    np.array([0, 1]),
    ("a", float("nan")),
]
BAD_POOL = [
    np.array([0, 10**6]),
    np.array([-1, 0]),
    np.array([0.0, 1.0]),
    np.array([0]),
    np.array([0, 1, 1]),
    "01",
    None,
    3,
    (0, (1, 2)),
    ("0", "1"),
    [[0, 1]],
    (0, None),
    np.array([True, False]),
    {},
    np.array([0, 2**63], np.uint64),
    (0, 2**70),
]


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
        (("a",), ("b",)),
        (("a", "b", "c"), ("a", "b", "c")),
        ("ab", "cd"),
        (("a", "b"), ("c",)),
        (("a", "b"), None),
        (None, None),
        (("a", "b"), ("c", 3)),
        [("a", "b")],
        (3, 4),
    ],
    POOL: [
        np.array([[0, 1]]),
        np.array([[0, 1]] * 3),
        np.array([0, 1]),
        np.array([[0, 1], [0, 99]]),
        np.array([[0.0, 1.0]] * 2),
        [[0, 1], [0]],
        None,
        np.zeros((2, 2, 1), int),
    ],
}


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
        env: Any = gym.make_vec(POOL, num_envs=4, identical="tie", **kwargs).unwrapped
        journal = Journal(tmp_path / "journal.sqlite", "run")
        env.engine.store = JournaledDuels(journal)
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
    spec = RunSpec(POOL, f"{__file__}:EveryOther", 0, 32, batch=8, env_kwargs=small | {"identical": "tie"})
    journal = journal_of(run(spec, tmp_path))
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
