"""Agents that remove arms: against step-by-step references, rows apart from each other, and on problems."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from elimination_references import LABELS, Filter, Mean, Merge, MergeThompson, MergeUpper, Reference, Savage
from numpy.typing import NDArray
from stepwise import play_beside, random_matrix

from duelbench.agents.arms.base import ArmSetup
from duelbench.agents.registry import make_agent
from duelbench.envs.arms.matrices import named_matrix, random_bradley_terry

Floats = NDArray[np.float64]
Rng = np.random.Generator
AGENTS = ["interleaved_filter", "beat_the_mean", "savage", "merge_rucb", "merge_dts"]


def _make(name: str, rows: int, arms: int, rng: Any, *, labels: int = LABELS, **options: Any) -> Any:
    rng = np.random.default_rng(rng) if isinstance(rng, int) else rng
    return make_agent(name, ArmSetup(rows=rows, arms=arms, dim=0, labels=labels, rng=rng), options, arms=True)


def _alive(agent: Any) -> NDArray[np.bool_]:
    """Arms not removed, (S, K)."""
    return np.asarray(agent.scores({}) >= 0.0)


CASES: list[tuple[str, Callable[..., Reference], dict[str, Any], float]] = [  # the last: arms that remain at most
    ("interleaved_filter", Filter, {}, 1.0),
    ("interleaved_filter", Filter, {"width": 0.2}, 0.5),
    ("interleaved_filter", Filter, {"width": 0.2, "prune": False}, 0.6),
    ("beat_the_mean", Mean, {}, 1.0),
    ("beat_the_mean", Mean, {"width": 0.3, "gamma": 1.0}, 0.6),
    ("savage", Savage, {}, 1.0),
    ("savage", Savage, {"width": 0.05}, 0.5),
    ("merge_rucb", MergeUpper, {}, 0.9),
    ("merge_rucb", MergeUpper, {"batch": 2, "alpha": 0.2, "offset": 3.0}, 0.6),
    ("merge_rucb", MergeUpper, {"batch": 4, "alpha": 0.15, "offset": 3.0}, 0.6),
    ("merge_dts", MergeThompson, {}, 0.9),
    ("merge_dts", MergeThompson, {"batch": 2, "alpha": 0.2, "offset": 3.0}, 0.6),
    ("merge_dts", MergeThompson, {"batch": 4, "alpha": 0.15, "offset": 3.0}, 0.6),
]


@pytest.mark.parametrize("delay", [0, 4])
@pytest.mark.parametrize(("seed", "arms"), [(0, 4), (1, 6), (2, 11)])
@pytest.mark.parametrize(
    ("name", "reference", "options", "remain"), CASES, ids=[f"{name}-{options}" for name, _, options, _ in CASES]
)
def test_every_duel_is_that_of_a_step_by_step_reference(
    name: str,
    reference: Callable[..., Reference],
    options: dict[str, Any],
    remain: float,
    seed: int,
    arms: int,
    delay: int,
) -> None:
    world = np.random.default_rng(100 + seed)
    matrix = random_matrix(world, arms)
    agent, scalar = _make(name, 1, arms, seed, **options), reference(arms, np.random.default_rng(seed), **options)

    def count() -> None:
        if isinstance(scalar, Merge):
            scalar.t += 1

    play_beside(agent, scalar, world, matrix, 300, 0.15, delay, count)
    if arms == 6 and not delay:  # the run has shown something
        assert _alive(agent).sum() <= remain * arms


# --- Rows. ------------------------------------------------------------------------------------------------------------


class Deterministic:
    """A random stream without randomness: every row draws the same."""

    def random(self, shape: Any) -> Floats:
        return np.broadcast_to(np.modf(np.arange(1, shape[-1] + 1) * 0.618)[0], shape)

    def integers(self, high: int, size: int) -> NDArray[np.int64]:
        return np.full(size, high - 1)

    def beta(self, a: Floats, b: Floats) -> Floats:
        return a / (a + b)


FAST: dict[str, dict[str, Any]] = {
    "interleaved_filter": {"width": 0.1},
    "beat_the_mean": {"width": 0.2},
    "savage": {"width": 0.05},
    "merge_rucb": {"alpha": 0.1, "offset": 3.0, "batch": 4},
    "merge_dts": {"alpha": 0.1, "offset": 3.0, "batch": 4},
}
STATE = {
    "interleaved_filter": ["wins", "played", "incumbent", "rivals", "turns"],
    "beat_the_mean": ["met", "won", "wins", "played", "active"],
    "savage": ["wins", "played", "active"],
    "merge_rucb": ["wins", "played", "batch", "batches", "stage"],
    "merge_dts": ["wins", "played", "batch", "batches", "stage"],
}


@pytest.mark.parametrize("name", AGENTS)
def test_rows_learn_from_their_own_answers_only(name: str) -> None:
    rows, arms, world = 8, 6, np.random.default_rng(3)
    matrix = random_matrix(world, arms)
    together = _make(name, rows, arms, Deterministic(), **FAST[name])
    alone = [_make(name, 1, arms, Deterministic(), **FAST[name]) for _ in range(rows)]
    for _ in range(400):
        firsts, seconds = together.propose({})
        feedback = (world.random(rows) < matrix[firsts, seconds]).astype(float)
        feedback[world.random(rows) < 0.2] = np.nan
        feedback[2] = np.nan
        for row, agent in enumerate(alone):
            duel = agent.propose({})
            assert (duel[0][0], duel[1][0]) == (firsts[row], seconds[row])
            agent.update({}, *duel, feedback[[row]])
        together.update({}, firsts, seconds, feedback)
    fresh = _make(name, 1, arms, Deterministic(), **FAST[name])
    for row, agent in enumerate(alone):
        for state in STATE[name]:
            np.testing.assert_array_equal(getattr(together, state)[row], getattr(agent, state)[0])
            if row == 2:
                np.testing.assert_array_equal(getattr(together, state)[row], getattr(fresh, state)[0])
    alive = _alive(together).sum(1)
    assert alive[2] == arms and (np.delete(alive, 2) <= 3).all()


@pytest.mark.parametrize("name", AGENTS)
def test_being_asked_for_an_arm_changes_nothing(name: str) -> None:
    asked, other = _make(name, 5, 4, 0), _make(name, 5, 4, 0)
    for t in range(60):
        best = asked.respond({})
        assert best.shape == (5,) and asked.scores({}).shape == (5, 4)
        duels = asked.propose({})
        np.testing.assert_array_equal(duels, other.propose({}))
        for agent in (asked, other):
            agent.update({}, *duels, np.full(5, t % 3 / 2.0))


@pytest.mark.parametrize("name", AGENTS)
def test_somebody_stays_whatever_late_answers_say(name: str) -> None:
    agent, world = _make(name, 30, 5, 0, **FAST[name]), np.random.default_rng(0)
    for t in range(1200):
        agent.propose({})
        firsts, seconds = world.integers(5, size=(2, 30))  # any duels, as if asked long ago
        won = firsts < seconds if t < 300 else firsts > seconds  # first for the last arm, then against it
        agent.update({}, firsts, seconds, np.where(firsts == seconds, 0.5, won))
        assert _alive(agent).any(1).all()
    firsts, seconds = agent.propose({})
    assert _alive(agent)[np.arange(30), firsts].all() and _alive(agent)[np.arange(30), seconds].all()


def test_an_unanswered_duel_does_not_end_a_turn_of_the_filter() -> None:
    agent = _make("interleaved_filter", 2, 3, Deterministic(), width=0.1)  # the incumbent is arm 2
    agent.rivals[:, 0], agent.turns[:] = False, 5.0  # arm 0 had five answers and was dropped, arm 1 had one more
    agent.wins[:, 2, 1] = agent.played[:, 2, 1] = agent.played[:, 1, 2] = 6.0
    agent.update({}, np.array([2, 2]), np.array([1, 1]), np.array([np.nan, 1.0]))
    assert agent.turns.tolist() == [5.0, 7.0] and agent.rivals[:, 1].tolist() == [True, False]


# --- Problems. --------------------------------------------------------------------------------------------------------


def _regret(name: str, matrix: Floats, rounds: int, *, rows: int = 20, **options: Any) -> tuple[Any, Floats]:
    """The agent at the end, and its cumulated average regret, (rounds, rows)."""
    agent, world = _make(name, rows, len(matrix), 5, **{"labels": rounds} | options), np.random.default_rng(6)
    winner = int((matrix > 0.5).sum(1).argmax())
    loss = (matrix[winner][:, None] + matrix[winner][None, :] - 1.0) / 2
    total = []
    for _ in range(rounds):
        duels = agent.propose({})
        total.append(loss[duels])
        agent.update({}, *duels, (world.random(rows) < matrix[duels]).astype(float))
    return agent, np.cumsum(total, axis=0)


BT10 = named_matrix("bt10")
UNIFORM = 2326.0 / 10_000


@pytest.mark.parametrize(
    ("name", "mean", "error"),
    [("savage", 1252.8, 11.0), ("interleaved_filter", 1657.0, 48.0), ("beat_the_mean", 1907.0, 9.0)],
)
def test_regret_is_that_of_komiyama_s_code(name: str, mean: float, error: float) -> None:
    _, regret = _regret(name, BT10, 10_000, rows=40)
    ours = regret[-1].std(ddof=1) / 40**0.5
    assert abs(regret[-1].mean() - mean) < 4.0 * math.hypot(ours, error)


@pytest.mark.parametrize("name", AGENTS)
def test_the_best_arm_is_found_and_then_played_against_itself(name: str) -> None:
    matrix = np.full((5, 5), 0.5) + 0.45 * (np.triu(np.ones((5, 5)), 1) - np.tril(np.ones((5, 5)), -1))
    agent, regret = _regret(name, matrix, 2500, rows=40)
    alive, right = _alive(agent), agent.respond({}) == 0
    assert (alive.sum(1) == 1).all() and right.mean() >= 0.95
    assert (regret[-1] == regret[-100])[right].all()


@pytest.mark.parametrize(("name", "share"), [("merge_rucb", 0.5), ("merge_dts", 0.4)])
def test_merging_agents_are_a_share_of_uniform_pairs(name: str, share: float) -> None:
    _, regret = _regret(name, BT10, 2000)
    assert regret[-1].mean() < share * 2000 * UNIFORM


@pytest.mark.parametrize("name", ["merge_rucb", "merge_dts"])
def test_merging_agents_cope_with_many_arms(name: str) -> None:
    matrix = random_bradley_terry(np.random.default_rng(0), 32)
    winner = matrix[(matrix > 0.5).sum(1).argmax()]
    _, regret = _regret(name, matrix, 6000, rows=10)
    assert regret[-1].mean() < 0.5 * 6000 * (winner - 0.5).mean()


@pytest.mark.parametrize("name", ["merge_rucb", "merge_dts"])
def test_regret_of_merging_agents_hardly_grows_in_the_end(name: str) -> None:
    _, regret = _regret(name, BT10, 6000)
    assert np.median(regret[-1] - regret[2999]) < 0.05 * 3000 * UNIFORM


@pytest.mark.parametrize("name", AGENTS)
def test_no_arm_is_favoured_for_its_number(name: str) -> None:
    straight, mirrored = (_regret(name, matrix, 300, rows=200)[1][-1] for matrix in (BT10, BT10[::-1, ::-1]))
    error = math.hypot(straight.std() / 200**0.5, mirrored.std() / 200**0.5)
    assert abs(straight.mean() - mirrored.mean()) < 4.0 * error


@pytest.mark.parametrize("batch", [2, 3, 4, 7])
@pytest.mark.parametrize("name", ["merge_rucb", "merge_dts"])
def test_batches_stay_a_partition_of_the_remaining_arms(name: str, batch: int) -> None:
    arms, rows, world = 29, 30, np.random.default_rng(batch)
    agent = _make(name, rows, arms, 0, batch=batch, alpha=0.05, offset=3.0)
    matrix = np.where(np.arange(arms)[:, None] < np.arange(arms), 0.9, 0.1)
    stage = agent.stage.copy()
    for _ in range(600):
        firsts, seconds = agent.propose({})
        np.testing.assert_array_equal(agent.batch[agent.every_row, firsts], agent.batch[agent.every_row, seconds])
        agent.update({}, firsts, seconds, (world.random(rows) < matrix[firsts, seconds]).astype(float))
        sizes = (agent.batch[:, :, None] == np.arange(arms)).sum(1)
        np.testing.assert_array_equal(sizes > 0, np.arange(arms) < agent.batches[:, None])
        assert sizes.max() <= 1.5 * batch + 1
        merged = agent.stage > stage
        assert (sizes.sum(1)[merged] <= arms // 2 ** stage[merged] + 1).all()
        stage = agent.stage.copy()
    assert (stage > 1).all() and (agent.batches == 1).all() and ((agent.batch >= 0).sum(1) == 1).mean() > 0.9


def test_batches_merge_again_only_where_one_is_small() -> None:
    agent = _make("merge_rucb", 3, 12, 0, batch=4)
    agent.batch[:] = -1
    agent.batch[0, :6] = [0, 1, 2, 2, 3, 3]  # 2 + 1 twice
    agent.batch[1, :6] = [0, 0, 1, 1, 2, 2]  # 2 + 2, then 4 + 2
    agent.batch[2, :8] = [0, 0, 0, 0, 1, 1, 2, 2]  # one arm too many
    agent.batches[:] = 4, 3, 3
    agent._merge_if_due(np.arange(3))
    assert agent.batches.tolist() == [2, 1, 3] and agent.stage.tolist() == [2, 2, 1]
    sizes = [sorted(np.bincount(row[row >= 0]).tolist()) for row in agent.batch]
    assert sizes == [[3, 3], [6], [2, 2, 4]]
