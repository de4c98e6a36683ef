"""The contextual agents, decision by decision, against plain scalar versions that remember every duel."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scalar_contextual import (
    ALL_PAIRS,
    ARMS,
    DIM,
    ROOT,
    ROUNDS,
    ScalarCoLSTIM,
    ScalarMaxInP,
    ScalarMaxPairUCB,
    ScalarRCDB,
    ScalarStaD,
    ScalarVACDB,
    sided,
)

import duelbench.agents.arms.contextual.logistic as logistic
from duelbench.agents.arms.base import ArmSetup
from duelbench.agents.arms.contextual.base import either_way, norms, pair_widths, rank_one
from duelbench.agents.arms.contextual.layered import random_pair
from duelbench.agents.registry import make_agent
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.arms_loop import run_lockstep

Floats = NDArray[np.float64]
AGENTS = ("max_inp", "max_pair_ucb", "rcdb", "colstim", "vacdb", "stad")


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit to the last digits every round, so that no decision hangs on when the solver stops."""
    monkeypatch.setattr(logistic, "_SHORT", 1e-9)
    monkeypatch.setattr(logistic, "_ALWAYS", 10**9)


REFERENCES: dict[str, tuple[type[Any], dict[str, Any], dict[str, Any]]] = {
    "max_inp": (ScalarMaxInP, {"width": 0.4}, {"width": 0.4}),
    "max_pair_ucb": (ScalarMaxPairUCB, {"width": 0.7}, {"width": 0.7}),
    "rcdb": (ScalarRCDB, {"width": 0.7}, {"width": 0.7, "alpha": 0.3}),
    "colstim": (ScalarCoLSTIM, {"width": 0.7}, {"width": 0.7}),
    "vacdb": (ScalarVACDB, {"width": 0.4}, {"layers": 3, "width": 0.4}),
    "stad": (ScalarStaD, {"width": 0.08}, {"width": 0.08}),
}


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("name", AGENTS)
def test_decides_as_the_scalar_version(name: str, fresh: bool) -> None:
    exploited = 0
    for seed in range(2):
        world = np.random.default_rng(seed)
        cls, arguments, options = REFERENCES[name]
        setup = ArmSetup(1, ARMS, DIM, ROUNDS, np.random.default_rng(seed + 10), fixed_features=not fresh)
        agent, scalar = make_agent(name, setup, options, arms=True), cls(np.random.default_rng(seed + 10), **arguments)
        agent.asked = scalar.asked = 3000  # CoLSTIM: late enough for perturbations that all arms share
        theta, duels = 1.5 * world.standard_normal(DIM), set()
        arms = world.standard_normal((1, ARMS, DIM))
        for t in range(ROUNDS):
            arms = world.standard_normal((1, ARMS, DIM)) if fresh else arms
            observation = {"features": arms.astype(np.float32)}
            x = arms[0].astype(np.float32).astype(float)
            firsts, seconds = agent.propose(observation)
            pair = scalar.ask(x)
            assert (firsts[0], seconds[0]) == pair, f"round {t}, seed {seed}"
            won = float(world.random() < 1 / (1 + np.exp(-(x[pair[0]] - x[pair[1]]) @ theta)))
            agent.update(observation, firsts, seconds, np.array([won]))
            scalar.learn(x, pair, won)
            duels.add(pair)
        assert len(duels) > 4, "the comparison must see more than a few pairs"
        exploited += getattr(scalar, "exploited", 1)
    assert exploited or fresh, "the comparison must get to the last layer"


def play(agent: Any, arms: Floats, theta: Floats, rounds: int, rng: np.random.Generator) -> list[Any]:
    history = []
    for _ in range(rounds):
        observation = {"features": arms}
        firsts, seconds = agent.propose(observation)
        rows = range(len(arms))
        gap = ((arms[rows, firsts] - arms[rows, seconds]) * theta).sum(-1)
        won = (rng.random(len(arms)) < 1 / (1 + np.exp(-gap))).astype(float)
        agent.update(observation, firsts, seconds, won)
        history.append((observation, firsts, seconds, won))
    return history


def setup_of(rows: int, seed: int = 0) -> ArmSetup:
    return ArmSetup(rows, ARMS, DIM, ROUNDS, np.random.default_rng(seed))


@pytest.mark.parametrize("name", AGENTS)
def test_rows_learn_alone(name: str) -> None:
    """Each row of three, told the same duels, ends where it would have ended alone."""
    rng = np.random.default_rng(0)
    arms, theta = rng.standard_normal((3, ARMS, DIM)), rng.standard_normal((3, DIM))
    together = make_agent(name, setup_of(3), arms=True)
    history = play(together, arms, theta, 60, rng)
    for row in range(3):
        at = slice(row, row + 1)
        alone = make_agent(name, setup_of(1), arms=True)
        for observation, firsts, seconds, won in history:
            alone.update({"features": observation["features"][at]}, firsts[at], seconds[at], won[at])
        scores = together.scores({"features": arms})[at]
        np.testing.assert_allclose(alone.scores({"features": arms[at]}), scores, atol=2e-3)
        for matrix in ("inverse", "layer_inverse"):
            if hasattr(alone, matrix):
                np.testing.assert_allclose(getattr(alone, matrix), getattr(together, matrix)[at], atol=1e-9)


@pytest.mark.parametrize("name", AGENTS)
def test_a_row_without_answer_stays_as_it_was(name: str) -> None:
    rng = np.random.default_rng(1)
    arms, theta = rng.standard_normal((3, ARMS, DIM)), rng.standard_normal((3, DIM))
    agent = make_agent(name, setup_of(3), arms=True)
    play(agent, arms, theta, 30, rng)

    def state() -> list[Floats]:
        models = [agent.model] + ([agent.layer_model] if hasattr(agent, "layer_model") else [])
        parts = [part for model in models for part in (model.theta, model.inverse_hessian)]
        return [part.reshape(3, -1).copy() for part in [*parts, agent.inverse, getattr(agent, "layer_inverse", theta)]]

    before = state()
    for k in range(1, ARMS):
        wins = np.array([1.0, np.nan, 1.0])
        agent.update({"features": arms}, np.full(3, k), np.full(3, k - 1), wins)
    after = state()
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old[1], new[1])
    assert (before[0][[0, 2]] != after[0][[0, 2]]).any(-1).all()


@functools.cache
def regret(name: str, *conditions: tuple[str, Any]) -> float:
    """Mean final average regret."""
    hypercube = {"design": "hypercube", "dim": 4, "arms": 16, "sparsity": 2, "norm": 2.0}
    spec = RunSpec(
        env="LinearDuel-v0",
        agent=name,
        seed=0,
        labels=400,
        batch=1,
        judging=Judging(every=400),
        lockstep=8,
        env_kwargs=hypercube | dict(conditions),
    )
    with tempfile.TemporaryDirectory() as out:
        curves = np.load(run_lockstep(spec, Path(out)) / "curves.npz")
    return float(curves["cumulative_average_regret"][:, -1].mean())


FRESH = (("fresh", True), ("design", "sphere"), ("norm", 5.0))
LATE = (("delay", 20.0), ("delay_spread", 10.0))


@pytest.mark.parametrize(("share", "conditions"), [(0.5, ()), (0.8, FRESH), (0.7, LATE)])
@pytest.mark.parametrize("name", AGENTS)
def test_learns(name: str, share: float, conditions: tuple[tuple[str, Any], ...]) -> None:
    assert regret(name, *conditions) < share * regret("uniform", *conditions)


def test_colstim_is_told_nothing_by_the_number_of_updates() -> None:
    """Its perturbations depend on the duels asked, however the answers arrive."""
    rng = np.random.default_rng(2)
    arms = rng.standard_normal((1, ARMS, DIM))
    setups = [ArmSetup(1, ARMS, DIM, 2, np.random.default_rng(0)) for _ in range(2)]
    agents = [make_agent("colstim", setup, arms=True) for setup in setups]
    for _ in range(300):
        pairs = [agent.propose({"features": arms}) for agent in agents]
        assert pairs[0] == pairs[1]
        agents[0].update({"features": arms}, *pairs[0], np.array([np.nan]))


@pytest.mark.parametrize("name", ["vacdb", "stad"])
def test_layers_need_no_walk_from_the_first(name: str) -> None:
    """Where arms stay, a walk may begin at the layer that changed, whichever duels the answers are about."""
    rng = np.random.default_rng(5)
    arms, theta = rng.standard_normal((3, ARMS, DIM)), rng.standard_normal((3, DIM))
    agents = [make_agent(name, setup_of(3), {"width": 0.05}, arms=True) for _ in range(2)]
    asked: list[Any] = []
    moved = 0
    for t in range(200):
        agents[1]._entry[:] = 0
        pairs = [agent.propose({"features": arms}) for agent in agents]
        np.testing.assert_array_equal(pairs[0], pairs[1], err_msg=f"round {t}")
        asked.append(pairs[0] if t % 3 else rng.integers(ARMS, size=(2, 3)))
        firsts, seconds = asked[max(0, t - 10)]
        gap = ((arms[range(3), firsts] - arms[range(3), seconds]) * theta).sum(-1)
        won = (rng.random(3) < 1 / (1 + np.exp(-gap))).astype(float)
        moved = max(moved, int(agents[0]._entry.max()))
        for agent in agents:
            agent.update({"features": arms}, firsts, seconds, won)
    assert moved >= 1


def test_vacdb_exploits_the_best_pair_optimistically() -> None:
    agent = make_agent("vacdb", setup_of(2), arms=True)
    rng = np.random.default_rng(6)
    for _ in range(20):
        utility, widths = rng.standard_normal((2, ARMS)), rng.random((2, ARMS, ARMS))
        widths += widths.transpose(0, 2, 1)
        found = agent.exploit(utility, widths, np.array([0.2, 0.9]))
        for row in range(2):
            value = {p: utility[row][list(p)].sum() + 0.25 * ROOT * widths[row][p] for p in ALL_PAIRS}
            assert tuple(found[row]) == sided(max(value, key=lambda p: value[p]), (0.2, 0.9)[row])


def test_rcdb_trusts_uncertain_duels_less() -> None:
    agent = make_agent("rcdb", setup_of(1), {"alpha": 0.5}, arms=True)
    z = np.array([[3.0, 4.0, 0.0]])
    np.testing.assert_allclose(agent.weights(z), 0.1)
    np.testing.assert_allclose(agent.weights(0.01 * z), 1.0)
    np.testing.assert_allclose(agent.weights(0 * z), 1.0)


def test_widths_and_norms_match_their_definition() -> None:
    rng = np.random.default_rng(3)
    x, root = rng.standard_normal((2, ARMS, DIM)), rng.standard_normal((2, DIM, DIM))
    metric = root @ root.transpose(0, 2, 1)
    found, lengths = pair_widths(x, metric), norms(x, metric)
    for row in range(2):
        for i in range(ARMS):
            assert lengths[row, i] == pytest.approx(np.sqrt(x[row, i] @ metric[row] @ x[row, i]))
            for j in range(ARMS):
                z = x[row, i] - x[row, j]
                assert found[row, i, j] == pytest.approx(np.sqrt(z @ metric[row] @ z), abs=1e-7)
        assert (np.diagonal(found[row]) == 0).all()
    z, w = rng.standard_normal((2, DIM)), np.array([0.7, 0.0])
    expected = np.linalg.inv(np.linalg.inv(metric) + w[:, None, None] * z[:, :, None] * z[:, None, :])
    np.testing.assert_allclose(rank_one(metric, z, w), expected)


def test_random_pairs_are_uniform_over_the_mask() -> None:
    mask = np.random.default_rng(4).random((3, ARMS, ARMS)) < 0.4
    for row in range(3):
        expected = np.argwhere(mask[row])
        n = len(expected)
        found = random_pair(np.repeat(mask[row : row + 1], n, 0), (np.arange(n) + 0.5) / n)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(random_pair(mask[row : row + 1], np.array([1 - 1e-12])), expected[-1:])


def test_sides_are_drawn() -> None:
    pair = np.array([1, 3]), np.array([2, 0])
    assert [side.tolist() for side in either_way(pair, np.array([0.2, 0.2]))] == [[2, 3], [1, 0]]
    assert [side.tolist() for side in either_way(pair, np.array([0.9, 0.9]))] == [[1, 0], [2, 3]]
