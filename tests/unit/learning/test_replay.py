"""Replay: what is drawn, how often, and that an agent which replays learns more from the same labels."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from pool_runs import probabilities, rounds, spec_of, worths

from duelbench.learning.replay import Replay
from duelbench.runs.configuration.assemble import Parts, assemble
from duelbench.types import Pair


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


def parts_of(task: dict[str, Any], agent: str, steps: int) -> Parts:
    return assemble(spec_of(agent, task, labels=1000, learner={"learning_rate": 3e-3, "steps": steps}))


def listed(duels: Pair, first_wins: Any) -> list[tuple[int, int, bool]]:
    columns = duels.first.actions, duels.second.actions, first_wins
    return [(int(a), int(b), bool(w)) for a, b, w in zip(*columns, strict=True)]


def test_every_duel_so_far_is_drawn_alike_and_none_twice(task: dict[str, Any]) -> None:
    replay, rng = Replay(), np.random.default_rng(0)
    kept: list[tuple[int, int, bool]] = []
    for round_, (_, pair, feedback) in enumerate(rounds(parts_of(task, "online", 1), 3)):
        rows = ~pair.identical & (np.arange(len(pair)) >= round_)  # rounds of different sizes
        replay.add(pair.rows(rows), feedback[rows] == 1.0)
        kept += listed(pair.rows(rows), feedback[rows] == 1.0)
    assert len(replay) == len(kept)
    assert listed(*replay.draw(10**6, rng)) == kept
    seen = Counter(duel for _ in range(400) for duel in listed(*replay.draw(5, rng)))
    assert seen.total() == 2000
    shares = np.array([seen[duel] / kept.count(duel) for duel in set(kept)]) * len(kept) / 2000
    assert shares.min() > 0.6 and shares.max() < 1.4


@pytest.mark.parametrize("agent", ["online", "xpo", "sea", "ide", "nash_md"])
def test_steps_cost_no_label_and_are_all_taken(agent: str, task: dict[str, Any]) -> None:
    taken = []
    for steps in (1, 4):
        parts = parts_of(task, agent, steps)
        list(rounds(parts, 3))
        taken.append(parts.agent.learner.steps)  # type: ignore[attr-defined]
    assert taken == [3, 12]


def test_replaying_teaches_more_of_the_same_labels(task: dict[str, Any]) -> None:
    worth = []
    for steps in (1, 8):
        parts = parts_of(task, "online", steps)
        list(rounds(parts, 12))
        mass = probabilities(parts)
        of_each = [worths(parts, np.arange(len(mass)), np.full(len(mass), column)) for column in range(mass.shape[1])]
        worth.append(float((mass * np.stack(of_each, -1)).sum(-1).mean()))
    assert worth[1] > worth[0] + 0.1


@pytest.mark.parametrize("agent", ["online", "xpo", "sea"])
def test_a_restored_agent_replays_the_same(agent: str, task: dict[str, Any]) -> None:
    one, other = (parts_of(task, agent, 3) for _ in range(2))
    list(rounds(one, 3))
    other.agent.load_state_dict(one.agent.state_dict())  # type: ignore[attr-defined]
    for parts in (one, other):
        list(rounds(parts, 3, seed=1))
    assert np.array_equal(probabilities(one), probabilities(other))
