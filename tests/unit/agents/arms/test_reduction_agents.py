"""Agents that reduce duels to reward bandits, and winner stays: against step-by-step references, and on a problem."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from stepwise import play_beside, random_matrix

from duelbench.agents.arms.base import ArmSetup, draw
from duelbench.agents.arms.matrix.versatile_db import tsallis_weights
from duelbench.agents.registry import make_agent
from duelbench.envs.arms.matrices import named_matrix

Floats = NDArray[np.float64]
Rng = np.random.Generator
AGENTS = ["sparring_ucb", "sparring_ts", "self_sparring", "multisbm", "doubler", "rex3", "versatile_db", "wsw", "wss"]


def _make(name: str, rows: int, arms: int, seed: int, **options: Any) -> Any:
    setup = ArmSetup(rows=rows, arms=arms, dim=0, labels=1000, rng=np.random.default_rng(seed))
    return make_agent(name, setup, options, arms=True)


# --- References: one learner, plain loops, histories instead of statistics. -------------------------------------------


class Reference:
    """Remembers all answered duels as (first, second, feedback)."""

    def __init__(self, arms: int, rng: Rng) -> None:
        self.arms, self.rng = range(arms), rng
        self.history: list[tuple[int, int, float]] = []

    def propose(self) -> tuple[int, int]:
        raise NotImplementedError

    def learn(self, first: int, second: int, feedback: float) -> None:
        self.history.append((first, second, feedback))

    def best(self, values: list[float]) -> int:
        keys = [self.rng.random() for _ in values]
        return max((i for i in self.arms if values[i] == max(values)), key=lambda i: keys[i])

    def ucb(self, paid: list[tuple[int, float]]) -> int:
        values = []
        for arm in self.arms:
            mine = [reward for played, reward in paid if played == arm]
            width = math.sqrt(2.5 * math.log(len(paid)) / len(mine)) if mine else math.inf
            values.append(sum(mine) / len(mine) + width if mine else math.inf)
        return self.best(values)

    def drawn(self, probabilities: list[float]) -> int:
        left = self.rng.random() * sum(probabilities)
        for arm in self.arms:
            left -= probabilities[arm]
            if left < 0:
                return arm
        return len(self.arms) - 1


class SparringUCB(Reference):
    def propose(self) -> tuple[int, int]:
        left = self.ucb([(first, won) for first, _, won in self.history])
        return left, self.ucb([(second, 1.0 - won) for _, second, won in self.history])


class SparringTS(Reference):
    def propose(self) -> tuple[int, int]:
        left = self.thompson([(first, won) for first, _, won in self.history])
        return left, self.thompson([(second, 1.0 - won) for _, second, won in self.history])

    def thompson(self, paid: list[tuple[int, float]]) -> int:
        samples = []
        for arm in self.arms:
            rewards = [reward for played, reward in paid if played == arm]
            samples.append(self.rng.beta(1.0 + sum(rewards), 1.0 + sum(1.0 - r for r in rewards)))
        return samples.index(max(samples))


class SelfSparring(SparringTS):
    def propose(self) -> tuple[int, int]:
        both = [(first, won) for first, _, won in self.history]
        both += [(second, 1.0 - won) for _, second, won in self.history]
        left = self.thompson(both)
        return left, self.thompson(both)


class MultiSBM(Reference):
    def __init__(self, arms: int, rng: Rng) -> None:
        super().__init__(arms, rng)
        self.start = int(rng.integers(arms))

    def propose(self) -> tuple[int, int]:
        left = self.history[-1][1] if self.history else self.start
        return left, self.ucb([(second, 1.0 - won) for first, second, won in self.history if first == left])


class Doubler(Reference):
    def __init__(self, arms: int, rng: Rng) -> None:
        super().__init__(arms, rng)
        self.before = [int(rng.integers(arms))]
        self.epoch = 1

    def propose(self) -> tuple[int, int]:
        left = sorted(self.before)[math.floor(self.rng.random() * len(self.before))]
        return left, self.ucb([(second, 1.0 - won) for _, second, won in self.history])

    def learn(self, first: int, second: int, feedback: float) -> None:
        super().learn(first, second, feedback)
        if len(self.history) == 2**self.epoch:
            self.before = [second for _, second, _ in self.history]
            self.history, self.epoch = [], self.epoch + 1


class REX3(Reference):
    def __init__(self, arms: int, rng: Rng, horizon: int = 10_000) -> None:
        super().__init__(arms, rng)
        self.horizon, self.weights = horizon, [1.0] * arms
        self.last = [0.0] * arms

    def propose(self) -> tuple[int, int]:
        k = len(self.arms)
        self.gamma = min(0.5, math.sqrt(k * math.log(k) / max(len(self.history) + 1, self.horizon)))
        p = [(1 - self.gamma) * w / sum(self.weights) + self.gamma / k for w in self.weights]
        duel = self.drawn(p), self.drawn(p)
        for arm in duel:
            self.last[arm] = p[arm]
        return duel

    def learn(self, first: int, second: int, feedback: float) -> None:
        super().learn(first, second, feedback)
        if first != second and feedback != 0.5:
            winner, loser = (first, second) if feedback == 1.0 else (second, first)
            self.weights[winner] *= math.exp(self.gamma / (len(self.arms) * self.last[winner]))
            self.weights[loser] *= math.exp(-self.gamma / (len(self.arms) * self.last[loser]))


class VersatileDB(Reference):
    def __init__(self, arms: int, rng: Rng, rate: float = 2.0) -> None:
        super().__init__(arms, rng)
        self.rate, self.losses = rate, [[0.0] * arms, [0.0] * arms]
        self.last = [[0.0] * arms, [0.0] * arms]

    def propose(self) -> tuple[int, int]:
        eta = self.rate / math.sqrt(len(self.history) + 1)
        p, q = (bisected(losses, eta) for losses in self.losses)
        first, second = self.drawn(p), self.drawn(q)
        self.last[0][first], self.last[1][second] = p[first], q[second]
        return first, second

    def learn(self, first: int, second: int, feedback: float) -> None:
        super().learn(first, second, feedback)
        self.losses[0][first] += (1.0 - feedback) / self.last[0][first]
        self.losses[1][second] += feedback / self.last[1][second]


def bisected(losses: list[float], eta: float) -> list[float]:
    low, high = min(losses) - 2.0 * math.sqrt(len(losses)) / eta, min(losses) - 2.0 / eta
    for _ in range(100):
        x = (low + high) / 2
        weights = [4.0 / (eta * (loss - x)) ** 2 for loss in losses]
        low, high = (low, x) if sum(weights) > 1.0 else (x, high)
    return weights


class WSW(Reference):
    def __init__(self, arms: int, rng: Rng) -> None:
        super().__init__(arms, rng)
        self.pair = (-1, -1)

    def balance(self) -> list[float]:
        gains = [0.0 for _ in self.arms]
        for first, second, won in self.history:
            gains[first] += 2 * won - 1
            gains[second] -= 2 * won - 1
        return gains

    def propose(self) -> tuple[int, int]:
        gains, keys = self.balance(), [self.rng.random() for _ in self.arms]
        first = self.ahead(gains, keys, list(self.arms))
        self.pair = first, self.ahead(gains, keys, [arm for arm in self.arms if arm != first])
        return self.pair

    def ahead(self, gains: list[float], keys: list[float], among: list[int]) -> int:
        top = [arm for arm in among if gains[arm] == max(gains[other] for other in among)]
        for incumbent in self.pair:
            if incumbent in top:
                return incumbent
        return max(top, key=lambda arm: keys[arm])


class WSS(WSW):
    def __init__(self, arms: int, rng: Rng, beta: float = 2.0) -> None:
        super().__init__(arms, rng)
        self.beta, self.round, self.left = beta, 1, 0

    def propose(self) -> tuple[int, int]:
        before = self.pair
        duel = super().propose()
        if self.left:
            self.pair = before
            return duel[0], duel[0]
        return duel

    def learn(self, first: int, second: int, feedback: float) -> None:
        super().learn(first, second, feedback)
        if first == second and self.left:
            self.left -= 1
        if self.left == 0 and max(self.balance()) >= (len(self.arms) - 1) * self.round:
            self.left, self.round = math.floor(self.beta**self.round), self.round + 1


CASES: list[tuple[str, Callable[..., Reference], dict[str, Any]]] = [
    ("sparring_ucb", SparringUCB, {}),
    ("sparring_ts", SparringTS, {}),
    ("self_sparring", SelfSparring, {}),
    ("multisbm", MultiSBM, {}),
    ("doubler", Doubler, {}),
    ("rex3", REX3, {}),
    ("rex3", REX3, {"horizon": 100}),
    ("rex3", REX3, {"horizon": 1}),
    ("versatile_db", VersatileDB, {}),
    ("versatile_db", VersatileDB, {"rate": 8.0}),
    ("wsw", WSW, {}),
    ("wss", WSS, {}),
    ("wss", WSS, {"beta": 1.3}),
]


@pytest.mark.parametrize("delay", [0, 4])
@pytest.mark.parametrize(("seed", "arms"), [(0, 4), (1, 6)])
@pytest.mark.parametrize(("name", "reference", "options"), CASES, ids=lambda v: v if isinstance(v, str) else None)
def test_every_duel_is_that_of_a_step_by_step_reference(
    name: str, reference: Callable[..., Reference], options: dict[str, Any], seed: int, arms: int, delay: int
) -> None:
    world = np.random.default_rng(100 + seed)
    matrix = random_matrix(world, arms)
    agent, scalar = _make(name, 1, arms, seed, **options), reference(arms, np.random.default_rng(seed), **options)
    play_beside(agent, scalar, world, matrix, 250, 0.2, delay)


# --- Rows. ------------------------------------------------------------------------------------------------------------

STATE = {
    "sparring_ucb": ["wins", "plays"],
    "sparring_ts": ["wins", "plays"],
    "self_sparring": ["wins", "losses"],
    "multisbm": ["reward", "plays"],
    "doubler": ["reward", "plays", "length"],
    "rex3": ["log_weights", "answers"],
    "versatile_db": ["losses", "answers"],
    "wsw": ["balance"],
    "wss": ["balance", "round", "exploits"],
}


def _state(agent: Any, row: int, names: list[str]) -> list[Floats]:
    rows = agent.setup.rows
    return [np.take(v, row, axis=0 if len(v) == rows else 1).copy() for v in (getattr(agent, name) for name in names)]


@pytest.mark.parametrize("name", AGENTS)
def test_rows_learn_from_their_own_answers_only(name: str) -> None:
    rows, arms, rng = 7, 3, np.random.default_rng(3)
    together, alone = _make(name, rows, arms, 0), [_make(name, 1, arms, 1 + row) for row in range(rows)]
    for _ in range(150):
        firsts, seconds = together.propose({})
        feedback = rng.choice([0.0, 0.5, 1.0, np.nan], size=rows, p=[0.2, 0.1, 0.5, 0.2])
        feedback[2] = np.nan
        together.update({}, firsts, seconds, feedback)
        for row, agent in enumerate(alone):
            if hasattr(agent, "drawn_with"):  # how it came to this duel, which is not its own
                agent.drawn_with = together.drawn_with[..., [row], :]
            agent.update({}, firsts[[row]], seconds[[row]], feedback[[row]])
    fresh = _make(name, rows, arms, 0)
    for row, agent in enumerate(alone):
        mine = _state(together, row, STATE[name])
        for ours, theirs in zip(mine, _state(agent, 0, STATE[name]), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        same = [np.array_equal(a, b) for a, b in zip(mine, _state(fresh, row, STATE[name]), strict=True)]
        assert all(same) if row == 2 else not all(same)


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


# --- Problems. --------------------------------------------------------------------------------------------------------


def _regret(name: str, matrix: Floats, rounds: int, *, rows: int = 20, **options: Any) -> Floats:
    """Cumulated average regret, (rounds, rows)."""
    agent, world = _make(name, rows, len(matrix), 5, **options), np.random.default_rng(6)
    winner = int((matrix > 0.5).sum(1).argmax())
    loss = (matrix[winner][:, None] + matrix[winner][None, :] - 1.0) / 2
    total = []
    for _ in range(rounds):
        duels = agent.propose({})
        total.append(loss[duels])
        agent.update({}, *duels, (world.random(rows) < matrix[duels]).astype(float))
    return np.cumsum(total, axis=0)


BT10 = named_matrix("bt10")
UNIFORM = 2326.0 / 10_000


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("sparring_ucb", 0.55),
        ("sparring_ts", 0.25),
        ("self_sparring", 0.2),
        ("multisbm", 0.85),
        ("doubler", 0.8),
        ("rex3", 0.4),
        ("versatile_db", 0.4),
        ("wsw", 0.45),
        ("wss", 0.25),
    ],
)
def test_regret_is_a_share_of_that_of_uniform_pairs(name: str, share: float) -> None:
    regret = _regret(name, BT10, 2000)
    assert regret[-1].mean() < share * 2000 * UNIFORM


@pytest.mark.parametrize("name", AGENTS)
def test_no_arm_is_favoured_for_its_number(name: str) -> None:
    straight, mirrored = (_regret(name, matrix, 300, rows=200)[-1] for matrix in (BT10, BT10[::-1, ::-1]))
    error = math.hypot(straight.std() / 200**0.5, mirrored.std() / 200**0.5)
    assert abs(straight.mean() - mirrored.mean()) < 4.0 * error


@pytest.mark.parametrize(("name", "growth"), [("doubler", 3.3), ("rex3", 2.0), ("versatile_db", 2.0), ("wss", 1.5)])
def test_regret_grows_no_faster_than_promised(name: str, growth: float) -> None:
    # √T doubles from 2000 to 8000 duels, ln T grows by a fifth, uniform pairs' regret fourfold.
    regret = _regret(name, BT10, 8000)
    early, late = np.median(regret[1999]), np.median(regret[7999])
    assert late < growth * early


def test_rounds_of_winner_stays_end_when_all_but_one_have_fallen_behind() -> None:
    agent, world, rows, arms = _make("wss", 40, 5, 0, beta=1.2), np.random.default_rng(0), 40, 5
    matrix = random_matrix(world, arms)
    played = np.zeros((rows, 100))
    for _ in range(600):
        exploring = agent.exploits == 0
        firsts, seconds = agent.propose({})
        np.testing.assert_array_equal(firsts == seconds, ~exploring)
        played[np.arange(rows), agent.round.astype(int)] += exploring
        before = agent.round.copy()
        agent.update({}, firsts, seconds, (world.random(rows) < matrix[firsts, seconds]).astype(float))
        assert (agent.balance.min(1) >= -agent.round).all()
        over = agent.round > before
        sorted_balance = np.sort(agent.balance[over], axis=1)
        np.testing.assert_array_equal(sorted_balance[:, :-1], -np.tile(before[over][:, None], arms - 1))
        np.testing.assert_array_equal(agent.exploits[over], np.floor(1.2 ** before[over]))
    assert (agent.round >= 5).all()
    assert (played[:, 1] >= arms - 1).all()  # a challenger needs at least one duel to fall


@pytest.mark.parametrize("arms", [2, 10, 300])
def test_tsallis_weights_solve_their_equation(arms: int) -> None:
    rng = np.random.default_rng(arms)
    eta = 2.0 / np.sqrt(np.array([1.0, 7.0, 1e3, 1e6]))[:, None]
    for spread in (0.0, 0.01, 1.0, 30.0, 3000.0):
        losses = 17.0 + rng.random((4, arms)) * spread / eta
        weights = tsallis_weights(losses, eta)
        for row in range(4):
            np.testing.assert_allclose(weights[row], bisected(losses[row].tolist(), eta[row, 0]), rtol=1e-6)


def test_draws_follow_their_weights_and_never_fall_on_a_zero() -> None:
    weights = np.tile([0.0, 3.0, 0.0, 1.0, 0.0], (20_000, 1))
    counts = np.bincount(draw(weights, np.random.default_rng(0)), minlength=5)
    assert counts[[0, 2, 4]].tolist() == [0, 0, 0]
    assert abs(counts[1] - 15_000) < 4 * math.sqrt(20_000 * 3 / 16)
