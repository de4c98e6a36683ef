"""The lock-step logistic regression against scipy.optimize, for arms that stay and arms that are fresh."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from duelbench.agents.arms.contextual.logistic import LogisticRegression

Floats = NDArray[np.float64]
ROWS, ARMS, DIM = 4, 7, 3


class Story:
    """Random duels of some rows, and what scipy makes of them."""

    def __init__(self, seed: int, *, fresh: bool, ridge: Floats | float = 1.0, missing: float = 0.2) -> None:
        self.rng = np.random.default_rng(seed)
        self.arms = self.rng.standard_normal((ROWS, ARMS, DIM))
        self.theta = 1.5 * self.rng.standard_normal((ROWS, DIM))
        self.fresh, self.missing = fresh, missing
        self.ridge = np.broadcast_to(np.asarray(ridge, float), (ROWS,))
        self.model = LogisticRegression(ROWS, DIM, ridge, 0 if fresh else ARMS)
        self.seen: list[list[tuple[Floats, float, float]]] = [[] for _ in range(ROWS)]

    def duel(self, *, weights: bool = False) -> tuple[Floats, Floats, NDArray[np.int64], NDArray[np.int64], Floats]:
        if self.fresh:
            self.arms = self.rng.standard_normal((ROWS, ARMS, DIM))
        firsts, seconds = self.rng.integers(ARMS, size=(2, ROWS))
        z = self.arms[range(ROWS), firsts] - self.arms[range(ROWS), seconds]
        won = np.where(self.rng.random(ROWS) < 1 / (1 + np.exp(-(z * self.theta).sum(-1))), 1.0, 0.0)
        won[self.rng.random(ROWS) < 0.1] = 0.5
        won[self.rng.random(ROWS) < self.missing] = np.nan
        weight = self.rng.uniform(0.1, 2.0, ROWS) if weights else np.ones(ROWS)
        return z, won, firsts, seconds, weight

    def play(self, n: int, *, weights: bool = False, read: bool = True) -> None:
        for _ in range(n):
            z, won, firsts, seconds, weight = self.duel(weights=weights)
            self.model.add(z, won, firsts, seconds, weight)
            self.remember(range(ROWS), z, won, weight)
            if read:
                self.model.fit()

    def remember(self, rows: range, z: Floats, won: Floats, weight: Floats) -> None:
        for row in rows:
            if not np.isnan(won[row]):
                self.seen[row].append((z[row], won[row], weight[row]))

    def truth(self, row: int) -> tuple[Floats, Floats]:
        """The minimiser and the inverse Hessian there."""
        z, y, w = (np.array(part) for part in zip(*self.seen[row], strict=True))

        def loss(theta: Floats) -> float:
            logits = z @ theta
            return float(self.ridge[row] / 2 * theta @ theta + (w * (np.logaddexp(0, logits) - y * logits)).sum())

        def slope(theta: Floats) -> Floats:
            return self.ridge[row] * theta + (w * (1 / (1 + np.exp(-(z @ theta))) - y)) @ z

        theta = minimize(loss, np.zeros(DIM), jac=slope, method="BFGS", options={"gtol": 1e-8}).x
        p = 1 / (1 + np.exp(-(z @ theta)))
        return theta, np.linalg.inv(self.ridge[row] * np.eye(DIM) + (z * (w * p * (1 - p))[:, None]).T @ z)

    def check(self, tolerance: float) -> None:
        for row in range(ROWS):
            theta, inverse = self.truth(row)
            np.testing.assert_allclose(self.model.theta[row], theta, atol=tolerance)
            np.testing.assert_allclose(self.model.inverse_hessian[row], inverse, atol=0.02 * np.trace(inverse))


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("fresh", [False, True])
def test_agrees_with_scipy(fresh: bool, weights: bool) -> None:
    story = Story(1, fresh=fresh)
    for _ in range(5):
        story.play(12, weights=weights)
        story.check(tolerance=1e-3)


def test_fixed_pairs_stay_exact_and_small() -> None:
    story = Story(2, fresh=False)
    story.play(600)
    story.check(tolerance=2e-4)
    assert story.model._z.shape[-1] <= 32, "7 arms have 21 pairs, whatever the order of their sides"


def test_fresh_arms_are_followed_between_full_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    newton = LogisticRegression._newton

    def counted(self: LogisticRegression, rows: NDArray[np.int64]) -> Floats:
        steps.append(len(rows))
        return newton(self, rows)

    monkeypatch.setattr(LogisticRegression, "_newton", counted)
    story = Story(3, fresh=True, missing=0.0)
    story.play(64)
    early = sum(steps)
    for _ in range(20):
        story.play(29)
        for row in range(ROWS):
            theta, inverse = story.truth(row)
            off = story.model.theta[row] - theta
            assert np.sqrt(off @ np.linalg.inv(inverse) @ off) < 0.1, "much less than one standard error"
    full = np.log(644 / 64) / np.log(1.05)
    assert sum(steps) - early < 2 * full * ROWS, "a full fit of a step or two per twentieth"


def test_a_row_without_answer_stays_as_it_was() -> None:
    for fresh in (False, True):
        story = Story(4, fresh=fresh)
        story.play(100)
        theta, inverse = story.model.theta, story.model.inverse_hessian.copy()
        kept = theta.copy()
        for _ in range(10):
            z, won, firsts, seconds, _ = story.duel()
            won[:] = 1.0
            won[1:3] = np.nan
            story.model.add(z, won, firsts, seconds)
            story.model.fit()
        np.testing.assert_array_equal(story.model.theta[1:3], kept[1:3])
        np.testing.assert_array_equal(story.model.inverse_hessian[1:3], inverse[1:3])
        assert (story.model.theta[[0, 3]] != kept[[0, 3]]).all()
        np.testing.assert_array_equal(theta, kept, err_msg="what was read before must not change")


@pytest.mark.parametrize("fresh", [False, True])
def test_rows_do_not_meet(fresh: bool) -> None:
    story = Story(5, fresh=fresh)
    alone = [LogisticRegression(1, DIM, 1.0, 0 if fresh else ARMS) for _ in range(ROWS)]
    for _ in range(150):
        z, won, firsts, seconds, weight = story.duel(weights=True)
        story.model.add(z, won, firsts, seconds, weight)
        story.model.fit()
        for row, model in enumerate(alone):
            at = slice(row, row + 1)
            model.add(z[at], won[at], firsts[at], seconds[at], weight[at])
            model.fit()
    np.testing.assert_allclose(story.model.theta, np.concatenate([model.theta for model in alone]), atol=1e-10)


def test_answers_may_come_late_and_in_any_order() -> None:
    story = Story(6, fresh=False, missing=0.0)
    duels = [story.duel() for _ in range(80)]
    for z, won, _, _, weight in duels:
        story.remember(range(ROWS), z, won, weight)
    order = np.stack([story.rng.permutation(80) for _ in range(ROWS)], axis=-1)
    for turn in order:  # each row gets its answers in an order of its own, and half of the rows at a time
        picked = [np.stack([duels[duel][part][row] for row, duel in enumerate(turn)]) for part in range(4)]
        for hidden in ([0, 1], [2, 3]):
            won = picked[1].copy()
            won[hidden] = np.nan
            story.model.add(picked[0], won, picked[2].astype(int), picked[3].astype(int))
            story.model.fit()
    story.check(tolerance=1e-3)


def test_sides_do_not_matter() -> None:
    for fresh in (False, True):
        story, other = Story(7, fresh=fresh), LogisticRegression(ROWS, DIM, 1.0, 0 if fresh else ARMS)
        for _ in range(60):
            z, won, firsts, seconds, weight = story.duel()
            story.model.add(z, won, firsts, seconds, weight)
            other.add(-z, 1.0 - won, seconds, firsts, weight)
            np.testing.assert_allclose(story.model.theta, other.theta, atol=1e-9)


def test_self_duels_teach_nothing() -> None:
    for fresh in (False, True):
        story = Story(8, fresh=fresh)
        story.play(30)
        before, room = story.model.theta.copy(), story.model._used.copy()
        same = np.full(ROWS, 2)
        story.model.add(np.zeros((ROWS, DIM)), np.array([1.0, 0.0, 1.0, 0.5]), same, same)
        np.testing.assert_array_equal(story.model.theta, before)
        np.testing.assert_array_equal(story.model._used, room)


@pytest.mark.parametrize("fresh", [False, True])
def test_reading_seldom_comes_to_the_same(fresh: bool) -> None:
    often, seldom = Story(9, fresh=fresh), Story(9, fresh=fresh)
    often.play(60)
    seldom.play(60, read=False)
    np.testing.assert_allclose(often.model.theta, seldom.model.theta, atol=2e-3)


@pytest.mark.parametrize("fresh", [False, True])
def test_separable_answers_and_hardly_any_ridge(fresh: bool) -> None:
    """Full Newton steps diverge here: the first arm always wins, then the world is turned round."""
    story = Story(10, fresh=fresh, ridge=1e-3, missing=0.0)
    for t in range(60):
        z, _, firsts, seconds, _ = story.duel()
        weight = np.full(ROWS, 5.0)
        better = (z * story.theta).sum(-1) > 0
        won = np.where(better == (t < 40), 1.0, 0.0)
        story.model.add(z, won, firsts, seconds, weight)
        story.remember(range(ROWS), z, won, weight)
        if t % 10 == 9:
            story.check(tolerance=5e-2)


def test_a_part_of_the_rows_and_ridges_of_their_own() -> None:
    story = Story(11, fresh=False, ridge=np.array([0.1, 1.0, 5.0, 0.02]), missing=0.0)
    for t in range(120):
        z, won, firsts, seconds, weight = story.duel(weights=True)
        rows = np.flatnonzero(story.rng.random(ROWS) < 0.5)
        story.model.add(z[rows], won[rows], firsts[rows], seconds[rows], weight[rows], rows)
        for row in rows:
            story.seen[row].append((z[row], won[row], weight[row]))
        if t > 20:
            story.model.fit()
    story.check(tolerance=2e-3)
