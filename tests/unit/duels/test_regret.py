"""Each regret under its own name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duelbench.duels import regret
from duelbench.duels.preference import LINKS, preference_probability

pools = st.lists(st.floats(-20, 20), min_size=2, max_size=8)


@given(pools, st.data())
def test_regret_is_at_least_zero_and_weak_is_at_most_average(pool: list[float], data: st.DataObject) -> None:
    first, second = data.draw(st.sampled_from(pool)), data.draw(st.sampled_from(pool))
    average = regret.average_regret(max(pool), first, second)
    weak = regret.weak_regret(max(pool), first, second)
    assert 0.0 <= weak <= average + 1e-12
    assert average == pytest.approx(max(pool) - (first + second) / 2)
    assert weak == max(pool) - max(first, second)
    assert regret.simple_regret(max(pool), first) == max(pool) - first


@given(pools, st.sampled_from(sorted(LINKS)), st.floats(0.1, 10), st.data())
def test_probability_regret_lies_in_the_unit_interval(
    pool: list[float], link: str, temperature: float, data: st.DataObject
) -> None:
    pair = [data.draw(st.sampled_from(pool)) for _ in range(2)]
    beats = preference_probability(max(pool), pair, temperature=temperature, link=link)
    value = regret.probability_regret(*beats)
    assert -1e-12 <= value <= 1.0
    assert value == pytest.approx(float(beats[0] + beats[1] - 1))


@given(pools)
def test_the_best_pair_has_no_regret_by_any_name(pool: list[float]) -> None:
    best = max(pool)
    assert regret.average_regret(best, best, best) == 0.0
    assert regret.weak_regret(best, best, min(pool)) == 0.0
    assert regret.simple_regret(best, best) == 0.0
    assert regret.probability_regret(0.5, 0.5) == 0.0


def test_arrays_go_in_and_come_out() -> None:
    values = regret.average_regret(np.array([3.0, 1.0]), [1.0, 1.0], [2.0, 1.0])
    assert values.tolist() == [1.5, 0.0]


def test_win_rate_counts_ties_half() -> None:
    assert regret.win_rate([0.2, 0.5, 0.500001, 1.0, 0.0]).tolist() == [0.0, 0.5, 1.0, 1.0, 0.0]


def test_what_is_not_known_is_no_loss_and_in_no_mean() -> None:
    assert np.isnan(regret.win_rate([np.nan, 0.2])).tolist() == [True, False]
    values = np.array([[1.0, np.nan, 3.0], [np.nan] * 3, [0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(regret.mean_of_known(values), [2.0, np.nan, 0.0])
    assert regret.mean_of_known([1.0, np.nan]) == 1.0 and np.isnan(regret.mean_of_known([]))
