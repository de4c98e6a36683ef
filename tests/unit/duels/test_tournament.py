"""Winners and losses of a tournament, against closed forms and enumeration."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from duelbench.duels import tournament

Array = NDArray[np.float64]

ROCK_PAPER_SCISSORS = np.array([[0.5, 0.0, 1.0], [1.0, 0.5, 0.0], [0.0, 1.0, 0.5]])


def _mirrored(values: Array) -> Array:
    upper = np.triu(values, 1)
    return tournament.check_preferences(upper + np.tril(1.0 - upper.T, -1) + 0.5 * np.eye(len(values)))


def _tournaments(low: int = 2, high: int = 7) -> st.SearchStrategy[Array]:
    # Twentieths make ties, whole rows of zeros and cycles common.
    steps = st.integers(low, high).flatmap(lambda k: hnp.arrays(np.int64, (k, k), elements=st.integers(0, 20)))
    return steps.map(lambda table: _mirrored(table / 20))


@given(_tournaments())
def test_checking_changes_nothing_that_is_consistent_and_copies(preferences: Array) -> None:
    checked = tournament.check_preferences(preferences)
    np.testing.assert_array_equal(checked, preferences)
    assert checked is not preferences and checked.dtype == np.float64
    i, j = np.triu_indices(len(checked), 1)
    np.testing.assert_array_equal(checked[j, i], 1.0 - checked[i, j])
    assert (np.diag(checked) == 0.5).all()


def test_rounded_tables_are_made_consistent_by_the_upper_triangle() -> None:
    checked = tournament.check_preferences([[0.5000001, 0.3333333], [0.6666666, 0.5]])
    assert checked.tolist() == [[0.5, 0.3333333], [1.0 - 0.3333333, 0.5]]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0.5, 0.5]], "expected a square matrix of at least 2 arms, got shape (1, 2): give one row"),
        ([[0.5]], "at least 2 arms, got shape (1, 1)"),
        (np.full((2, 2, 2), 0.5), "got shape (2, 2, 2)"),
        ([[0.5, 0.5], [0.5]], "expected a square matrix of numbers, got something else"),
        ([["a", "b"], ["c", "d"]], "could not convert string to float"),
        ([[0.5, np.nan], [0.5, 0.5]], "expected a number for every pair, got P[0, 1] = nan: correct that entry"),
        ([[0.5, 1.2], [-0.2, 0.5]], "expected probabilities in [0, 1], got P[0, 1] = 1.2: correct that entry"),
        ([[0.5, 0.2], [-0.2, 0.5]], "got P[1, 0] = -0.2"),
        ([[0.5, np.inf], [0.0, 0.5]], "got P[0, 1] = inf"),
        ([[0.5, 0.7], [0.3, 0.6]], "expected ½ on the diagonal, got P[1, 1] = 0.6: set it to 0.5"),
        (
            [[0.5, 0.7, 0.6], [0.3, 0.5, 0.9], [0.4, 0.2, 0.5]],
            "expected P[i, j] + P[j, i] = 1, got P[1, 2] = 0.9 and P[2, 1] = 0.2: set P[2, 1] to 0.1",
        ),
        ([[0.5, 0.7], [0.300002, 0.5]], "got P[0, 1] = 0.7 and P[1, 0] = 0.300002"),
    ],
)
def test_one_message_says_what_is_wrong(matrix: object, message: str) -> None:
    with pytest.raises(tournament.PreferenceMatrixError, match=re.escape(message)):
        tournament.check_preferences(matrix)  # type: ignore[arg-type]


@given(_tournaments())
def test_scores_are_what_counting_gives(preferences: Array) -> None:
    arms = len(preferences)
    others = [[preferences[i, j] for j in range(arms) if j != i] for i in range(arms)]
    copeland = [sum(1.0 if p > 0.5 else 0.5 if p == 0.5 else 0.0 for p in row) / (arms - 1) for row in others]
    borda = [float(np.mean(row)) for row in others]
    np.testing.assert_array_equal(tournament.copeland_scores(preferences), copeland)
    np.testing.assert_allclose(tournament.borda_scores(preferences), borda, atol=1e-12)
    assert tournament.copeland_winners(preferences).tolist() == [i for i in range(arms) if copeland[i] == max(copeland)]
    assert tournament.borda_winner(preferences) == next(i for i in range(arms) if borda[i] > max(borda) - 1e-9)
    winners = [i for i in range(arms) if all(p > 0.5 for p in others[i])]
    assert tournament.condorcet_winner(preferences) == (winners[0] if winners else None)


def test_scores_of_a_stack_are_the_scores_of_its_matrices() -> None:
    rng = np.random.default_rng(0)
    stack = np.array([[_mirrored(rng.random((5, 5))) for _ in range(3)] for _ in range(2)])
    for scores in (tournament.copeland_scores, tournament.borda_scores):
        alone = [[scores(matrix) for matrix in row] for row in stack]
        np.testing.assert_array_equal(scores(stack), alone)


def test_a_tie_is_half_a_win_and_no_condorcet_winner() -> None:
    preferences = _mirrored(np.array([[0, 0.5, 0.9], [0, 0, 0.6], [0, 0, 0]]))
    assert tournament.condorcet_winner(preferences) is None
    assert tournament.copeland_scores(preferences).tolist() == [0.75, 0.75, 0.0]
    assert tournament.copeland_winners(preferences).tolist() == [0, 1]


def test_borda_ties_go_to_the_lowest_index_whatever_the_rounding() -> None:
    # 0.7 + 0.7 + 0.7 and 0.3 + 0.9 + 0.9 differ in the last digit, to the advantage of arm 1.
    preferences = _mirrored(np.array([[0, 0.7, 0.7, 0.7], [0, 0, 0.9, 0.9], [0, 0, 0, 0.6], [0, 0, 0, 0]]))
    assert tournament.borda_scores(preferences).argmax() == 1, "the example has to tie up to rounding"
    assert tournament.borda_winner(preferences) == 0


def test_borda_and_condorcet_winners_can_differ() -> None:
    preferences = _mirrored(np.array([[0, 0.51, 0.51], [0, 0, 1.0], [0, 0, 0]]))
    assert tournament.condorcet_winner(preferences) == 0
    assert tournament.borda_winner(preferences) == 1


def test_the_von_neumann_winner_of_rock_paper_scissors_is_the_even_mix() -> None:
    np.testing.assert_allclose(tournament.von_neumann_winner(ROCK_PAPER_SCISSORS), np.full(3, 1 / 3), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.01, 0.5), min_size=3, max_size=3))
def test_the_von_neumann_winner_of_a_cycle_weighs_each_arm_by_the_duel_it_is_not_in(edges: list[float]) -> None:
    first, second, third = edges  # 0 beats 1, 1 beats 2, 2 beats 0, by these gaps
    preferences = _mirrored(np.array([[0, 0.5 + first, 0.5 - third], [0, 0, 0.5 + second], [0, 0, 0]]))
    expected = np.array([second, third, first]) / sum(edges)
    np.testing.assert_allclose(tournament.von_neumann_winner(preferences), expected, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(_tournaments())
def test_no_arm_beats_the_von_neumann_winner(preferences: Array) -> None:
    mix = tournament.von_neumann_winner(preferences)
    assert (mix >= 0).all() and mix.sum() == pytest.approx(1.0, abs=1e-12)
    assert (mix @ preferences >= 0.5 - 1e-7).all()


@settings(max_examples=30, deadline=None)
@given(_tournaments(3, 3))
def test_no_lottery_on_a_grid_is_safer_than_the_von_neumann_winner(preferences: Array) -> None:
    steps = 60
    grid = np.array([(i, j, steps - i - j) for i in range(steps + 1) for j in range(steps + 1 - i)]) / steps
    safest = (grid @ preferences).min(1).max()
    value = (tournament.von_neumann_winner(preferences) @ preferences).min()
    assert safest - 1e-7 <= value <= safest + 1 / steps


@settings(deadline=None)
@given(st.integers(2, 7), st.floats(1e-9, 0.5), st.integers(0, 2**32 - 1), st.data())
def test_the_condorcet_winner_takes_the_whole_lottery(arms: int, gap: float, seed: int, data: st.DataObject) -> None:
    winner = data.draw(st.integers(0, arms - 1))
    preferences = _mirrored(np.random.default_rng(seed).random((arms, arms)))
    preferences[winner], preferences[:, winner] = 0.5 + gap, 0.5 - gap
    preferences[winner, winner] = 0.5
    assert tournament.condorcet_winner(preferences) == winner
    np.testing.assert_array_equal(tournament.von_neumann_winner(preferences), np.eye(arms)[winner])


@settings(max_examples=60, deadline=None)
@given(_tournaments())
def test_losses_are_at_least_zero_and_the_winner_of_each_kind_loses_nothing(preferences: Array) -> None:
    losses = tournament.arm_losses(preferences)
    winner = tournament.condorcet_winner(preferences)
    assert set(losses) == {"copeland", "borda", "von_neumann"} | (set() if winner is None else {"average"})
    assert all(loss.shape == (len(preferences),) and (loss >= 0).all() for loss in losses.values())
    assert (losses["copeland"][tournament.copeland_winners(preferences)] == 0).all()
    assert losses["borda"][tournament.borda_winner(preferences)] <= 1e-12
    mix = tournament.von_neumann_winner(preferences)
    assert mix @ losses["von_neumann"] == pytest.approx(0.0, abs=1e-6)
    if winner is not None:
        np.testing.assert_array_equal(losses["average"], preferences[winner] - 0.5)
        np.testing.assert_allclose(losses["von_neumann"], losses["average"], atol=1e-12)


def test_losses_by_hand() -> None:
    cyclic = _mirrored(np.array([[0, 0.6, 0.6, 0.6], [0, 0, 0.9, 0.1], [0, 0, 0, 0.9], [0, 0, 0, 0]]))
    losses = tournament.arm_losses(cyclic)
    np.testing.assert_allclose(losses["average"], [0, 0.1, 0.1, 0.1])
    np.testing.assert_allclose(losses["copeland"], [0, 2 / 3, 2 / 3, 2 / 3])
    np.testing.assert_allclose(losses["borda"], [0, 0.4 / 3, 0.4 / 3, 0.4 / 3])
    assert tournament.arm_losses(ROCK_PAPER_SCISSORS)["von_neumann"] == pytest.approx(np.zeros(3), abs=1e-9)
