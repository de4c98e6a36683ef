"""The classic dueling bandits against scalar references, and what must hold for any of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference_matrix import CCB, RCS, RMED1, RMED2, RMED2FH, RUCB, DoubleTS, DoubleTSPlus
from scipy import stats

from duelbench.agents.arms.base import ArmSetup, argmax
from duelbench.agents.arms.matrix.double_ts import Pairs, SampledTournament
from duelbench.agents.arms.matrix.evidence import divergence, squared_gap
from duelbench.agents.registry import make_agent
from duelbench.envs.arms.matrices import named_matrix

REFERENCES = {
    "rucb": RUCB,
    "rcs": RCS,
    "double_ts": DoubleTS,
    "double_ts_plus": DoubleTSPlus,
    "ccb": CCB,
    "rmed1": RMED1,
    "rmed2": RMED2,
    "rmed2fh": RMED2FH,
}
NAMES = list(REFERENCES)
NOTHING: dict[str, Any] = {}


def build(name: str, rows: int, arms: int, rng: Any, labels: int = 400) -> Any:
    return make_agent(name, ArmSetup(rows=rows, arms=arms, dim=0, labels=labels, rng=rng), arms=True)


def random_matrix(rng: np.random.Generator, arms: int, low: float = 0.1, high: float = 0.4) -> np.ndarray[Any, Any]:
    """Each arm beats or loses to each other by a gap between the two; there need not be a Condorcet winner."""
    gap = np.triu(rng.uniform(low, high, (arms, arms)) * rng.choice([-1.0, 1.0], (arms, arms)), 1)
    return 0.5 + gap - gap.T


def check_beliefs(agent: Any, reference: Any) -> None:
    """The sets an agent keeps, which show in its decisions only now and then."""
    if isinstance(reference, CCB):
        assert set(np.flatnonzero(agent.best[0])) == reference.best
        assert [set(np.flatnonzero(agent.threats[:, 0, i])) for i in reference.arms] == reference.threats
        assert agent.losses[0] == reference.losses
    if isinstance(reference, RMED1):
        assert np.flatnonzero(agent.waiting[0]).tolist() == reference.pass_
        assert set(np.flatnonzero(agent.listed[0])) == reference.next


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gaps", [(0.0, 0.08), (0.1, 0.4), (0.4, 0.49)])
@pytest.mark.parametrize("seed", [0, 4, 8])
def test_decides_as_the_reference(name: str, gaps: tuple[float, float], seed: int) -> None:
    nature = np.random.default_rng(seed)
    arms = 4 + seed % 3
    matrix = random_matrix(nature, arms, *gaps)
    agent = build(name, 1, arms, np.random.default_rng(100 + seed))
    reference = REFERENCES[name](arms, np.random.default_rng(100 + seed))
    for t in range(250):
        firsts, seconds = agent.propose(NOTHING)
        assert (firsts[0], seconds[0]) == reference.propose(), f"duel {t}"
        check_beliefs(agent, reference)
        reward = float(nature.random() < matrix[firsts[0], seconds[0]])
        agent.update(NOTHING, firsts, seconds, np.array([reward]))
        reference.update(int(firsts[0]), int(seconds[0]), reward)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(6))
def test_decides_as_the_reference_whatever_it_is_told(name: str, seed: int) -> None:
    """Answers to duels that nobody proposed, in a world that turns round twice, refute whatever was believed."""
    nature = np.random.default_rng(seed)
    arms = 4 + seed % 2
    matrix = random_matrix(nature, arms, 0.4, 0.49)
    agent = build(name, 1, arms, np.random.default_rng(100 + seed))
    reference = REFERENCES[name](arms, np.random.default_rng(100 + seed))
    for t in range(600):
        if t in (90, 270):
            matrix = 1.0 - matrix
        if t % 3 == 0:
            firsts, seconds = agent.propose(NOTHING)
            assert (firsts[0], seconds[0]) == reference.propose(), f"duel {t}"
            check_beliefs(agent, reference)
        first, second = nature.choice(arms, 2, replace=False).tolist()
        reward = float(nature.random() < matrix[first, second])
        agent.update(NOTHING, np.array([first]), np.array([second]), np.array([reward]))
        reference.update(first, second, reward)


class Regular:
    """A generator whose draws do not depend on what was drawn before: all rows of an agent are given the same."""

    def __init__(self, coin: float) -> None:
        self.coin = coin

    def random(self, shape: Any) -> Any:
        shape = (shape,) if np.ndim(shape) == 0 else shape
        if len(shape) == 1:
            return np.full(shape, self.coin)
        return np.broadcast_to((0.1 + 0.618 * np.arange(shape[-1])) % 1.0, shape)

    def beta(self, a: Any, b: Any) -> Any:
        return 0.5 * a / (a + b) + 0.5 * np.modf(12.9898 * a + 78.233 * b + 0.5)[0]  # as good as random


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("coin", [0.1, 0.45, 0.8])
def test_rows_are_independent(name: str, coin: float) -> None:
    rows, arms = 5, 5
    nature = np.random.default_rng(3)
    matrices = np.stack([random_matrix(nature, arms) for _ in range(rows)])
    together, alone = build(name, rows, arms, Regular(coin)), [build(name, 1, arms, Regular(coin)) for _ in range(rows)]
    for _ in range(300):
        firsts, seconds = together.propose(NOTHING)
        rewards = (nature.random(rows) < matrices[np.arange(rows), firsts, seconds]).astype(float)
        rewards[nature.random(rows) < 0.1] = 0.5
        together.update(NOTHING, firsts, seconds, rewards)
        for row, agent in enumerate(alone):
            first, second = agent.propose(NOTHING)
            assert (first[0], second[0]) == (firsts[row], seconds[row])
            agent.update(NOTHING, first, second, rewards[row : row + 1])
    assert len(set(zip(firsts.tolist(), seconds.tolist(), strict=True))) > 1, "the rows did not differ at all"


def learned(agent: Any) -> dict[str, np.ndarray[Any, Any]]:
    """What an agent has counted, rows first."""
    arrays = {"wins": agent.wins, "played": agent.played, "evidence": agent.evidence.transpose(1, 0, 2)}
    if hasattr(agent, "reigns"):
        arrays["reigns"] = agent.reigns
    if hasattr(agent, "tournament"):
        arrays["odds"] = agent.tournament.odds
    return {name: array.copy() for name, array in arrays.items()}


@pytest.mark.parametrize("name", NAMES)
def test_a_row_without_an_answer_stays_as_it_is(name: str) -> None:
    rng = np.random.default_rng(0)
    agent = build(name, 3, 4, rng)
    for _ in range(60):
        before = learned(agent)
        firsts, seconds = agent.propose(NOTHING)
        agent.update(NOTHING, firsts, seconds, np.array([1.0, np.nan, 0.0]))
        after = learned(agent)
        for key in before:
            assert (before[key][1] == after[key][1]).all(), key
        for row in (0, 2):
            assert (before["played"][row] != after["played"][row]).any()


@pytest.mark.parametrize("name", NAMES)
def test_evidence_is_that_of_the_counts(name: str) -> None:
    """Whoever played: any pairs, self-duels and ties included."""
    rng = np.random.default_rng(0)
    rows, arms = 3, 5
    agent = build(name, rows, arms, rng)
    for _ in range(200):
        firsts, seconds = rng.integers(arms, size=(2, rows))
        agent.update(NOTHING, firsts, seconds, rng.choice([0.0, 0.5, 1.0], size=rows))
    wins, losses = agent.wins, agent.wins.transpose(0, 2, 1)
    p = wins / (wins + losses)
    if name.startswith("rmed"):
        expected = (wins + losses) * (p * np.log(2.0 * p) + (1.0 - p) * np.log(2.0 * (1.0 - p)))
    else:
        expected = (wins + losses) * (p - 0.5) ** 2
    assert agent.evidence.transpose(1, 2, 0) == pytest.approx(np.where(p < 0.5, expected, 0.0))


def play(agent: Any, labels: int, delay: int = 0) -> float:
    """Average regret of rows that play bt10 with relabelled arms, answers ``delay`` duels late."""
    nature = np.random.default_rng(1)
    rows = agent.setup.rows
    orders = np.argsort(nature.random((rows, 10)), axis=-1)
    matrix, every = named_matrix("bt10"), np.arange(rows)
    best = (matrix >= 0.5).all(-1).argmax()
    asked, regret = [], 0.0
    for _ in range(labels):
        firsts, seconds = agent.propose(NOTHING)
        i, j = orders[every, firsts], orders[every, seconds]
        asked.append((firsts, seconds, (nature.random(rows) < matrix[i, j]).astype(float)))
        if len(asked) > delay:
            agent.update(NOTHING, *asked.pop(0))
        regret += float((matrix[best, i] + matrix[best, j] - 1.0).mean()) / 2.0
    assert (orders[every, agent.respond(NOTHING)] == best).mean() > 0.7
    return regret


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("delay", [0, 30])
def test_learns(name: str, delay: int) -> None:
    agent = build(name, 20, 10, np.random.default_rng(0), labels=1500)
    assert play(agent, 1500, delay) < 0.7 * 0.2327 * 1500  # uniform pairs


def test_odds_of_the_sampled_tournament() -> None:
    tournament = SampledTournament(ArmSetup(rows=2, arms=3, dim=0, labels=1, rng=np.random.default_rng(0)))
    rows = np.array([0, 1])
    tournament.learn(rows, np.array([0, 2]), np.array([2, 1]), np.array([7.0, 2.5]), np.array([3.0, 4.5]))
    expected = np.full((2, 3), 0.5)
    expected[0, 1], expected[1, 2] = stats.beta.sf(0.5, 8.0, 4.0), stats.beta.sf(0.5, 5.5, 3.5)
    assert tournament.odds == pytest.approx(expected)
    rng = np.random.default_rng(1)
    scores = np.stack([tournament.scores(rng) for _ in range(4000)])
    assert (scores.sum(-1) == 3).all()
    beats = tournament.odds
    mean = np.stack([beats[:, 0] + beats[:, 1], 1 - beats[:, 0] + beats[:, 2], 2 - beats[:, 1] - beats[:, 2]], -1)
    assert scores.mean(0) == pytest.approx(mean, abs=0.04)


def test_scores_of_a_tournament() -> None:
    pairs = Pairs(4)  # (0, 1) (0, 2) (0, 3) (1, 2) (1, 3) (2, 3)
    outcome = np.array([[True, False, True, True, True, False]])
    assert pairs.scores(outcome).tolist() == [[2.0, 2.0, 1.0, 1.0]]


def test_measures_of_evidence() -> None:
    wins, losses = np.array([3.0, 0.0, 2.0]), np.array([1.0, 5.0, 2.0])
    assert squared_gap(wins, losses) == pytest.approx([4 * 0.0625, 5 * 0.25, 0.0])
    p = 0.75
    assert divergence(wins, losses) == pytest.approx(
        [4 * (p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p))), 5 * np.log(2.0), 0.0]
    )


def test_argmax_breaks_ties_by_the_largest_uniform() -> None:
    values = np.array([[[0.0, 2.0, 2.0], [1.0, 1.0, 1.0]], [[3.0, 2.0, 1.0], [-np.inf, -1.0, -1.0]]])
    keys = np.random.default_rng(5).random(values.shape)
    expected = np.where(values == values.max(-1, keepdims=True), keys, -1.0).argmax(-1)
    assert (argmax(values, np.random.default_rng(5)) == expected).all()
    untied = np.random.default_rng(6).random((4, 3))
    rng, same = np.random.default_rng(7), np.random.default_rng(7)
    assert (argmax(untied, rng) == untied.argmax(-1)).all()
    same.random(untied.shape)
    assert rng.random() == same.random(), "the uniforms are drawn whether or not there are ties"
