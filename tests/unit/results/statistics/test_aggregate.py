"""Statistics over several tasks, against closed forms, scipy and simulations whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from duelbench.results.statistics.aggregate import aggregate, profile
from duelbench.results.statistics.estimates import mean_interval, probability_of_improvement


def test_the_numbers_of_an_aggregate_are_what_they_are_called() -> None:
    rng = np.random.default_rng(0)
    strata = [rng.random(9), rng.random(12), rng.random(15)]
    found = aggregate(strata, rng, n_resamples=200)
    together, means = np.concatenate(strata), [np.mean(s) for s in strata]
    assert found.center.value == pytest.approx(scipy_stats.trim_mean(together, 0.25))
    assert found.mean.value == pytest.approx(np.mean(means)) and found.mean.value != pytest.approx(together.mean())
    for estimate in (found.center, found.mean):
        assert estimate.low < estimate.value < estimate.high


def test_the_mean_over_one_task_has_student_s_interval_and_over_two_welch_s() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.random(6), 4 * rng.random(9)
    found, known = aggregate([x], rng).mean, mean_interval(x)
    assert (found.low, found.high) == (pytest.approx(known.low), pytest.approx(known.high))
    theirs = scipy_stats.ttest_ind(x, -y, equal_var=False).confidence_interval()  # of the sum of both means
    found = aggregate([x, y], rng).mean
    assert (2 * found.low, 2 * found.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


def test_runs_are_resampled_within_their_task_alone() -> None:
    """Constant runs in every task leave nothing to resample, however far apart the tasks are."""
    found = aggregate([np.full(5, 0.1), np.full(5, 0.9), np.full(5, 0.5)], np.random.default_rng(2))
    for estimate in (found.center, found.mean):
        assert estimate.low == pytest.approx(estimate.high)


def test_a_task_without_runs_is_refused() -> None:
    with pytest.raises(ValueError, match="leave out the tasks"):
        aggregate([[0.5], []], np.random.default_rng(0))


def test_one_run_of_a_task_says_nothing_of_its_spread() -> None:
    found = aggregate([[0.5], [0.1, 0.2, 0.3]], np.random.default_rng(0))
    assert not found.mean.known and not found.center.known and found.mean.value == pytest.approx(0.35)


def test_a_profile_falls_from_one_to_zero() -> None:
    rng = np.random.default_rng(4)
    levels = np.linspace(-0.01, 1.01, 52)
    strata = [rng.random(30), rng.beta(2, 5, 10)]
    drawn = profile(strata, levels)
    assert drawn[0] == 1.0 and drawn[-1] == 0.0 and (np.diff(drawn) <= 0).all()
    np.testing.assert_allclose(drawn, [(np.concatenate(strata) > level).mean() for level in levels])


def test_improvement_is_averaged_over_tasks() -> None:
    rng = np.random.default_rng(6)
    pairs = [(rng.normal(0.5, 1, 12), rng.normal(0, 1, 9)), (rng.random(7), rng.random(8))]
    found = probability_of_improvement(pairs)
    each = [scipy_stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)) for x, y in pairs]
    assert found.value == pytest.approx(np.mean(each)) and found.low < found.value < found.high
    widths = [e.high - e.low for e in (probability_of_improvement(pairs * times) for times in (4, 16))]
    assert widths[1] == pytest.approx(widths[0] / 2, rel=0.05)  # four times the tasks
    assert probability_of_improvement([([1, 1], [1, 1])]).value == 0.5
