from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from duelbench.results.statistics.curves import (
    Curves,
    align,
    area_under_curve,
    labels_to_threshold,
    multipliers,
)
from duelbench.results.statistics.estimates import (
    center,
    holm,
    iqm,
    mean_band,
    mean_interval,
    p_value,
    paired_differences,
    performance_profile,
    probability_of_improvement,
    standard_error,
    welch_freedom,
)

numbers = st.floats(-10, 10, allow_nan=False, width=32)


def autocorrelated(rng: np.random.Generator, runs: int, points: int, rho: float) -> NDArray[np.float64]:
    """AR(1) noise with unit variance, (runs, points)."""
    noise = rng.standard_normal((runs, points))
    for t in range(1, points):
        noise[:, t] = rho * noise[:, t - 1] + np.sqrt(1 - rho**2) * noise[:, t]
    return noise


# ------------------------------------------------------------------------------------------ point statistics


def test_iqm_drops_a_quarter_at_each_end() -> None:
    assert iqm([1, 2, 3, 4, 5, 6, 7, 1000]) == pytest.approx(4.5)
    scores = np.random.default_rng(0).random((12, 3))
    np.testing.assert_allclose(iqm(scores, axis=0), scipy_stats.trim_mean(scores, 0.25, axis=0))
    np.testing.assert_allclose(iqm(scores), np.sort(scores.ravel())[9:27].mean())


def test_iqm_of_few_scores_is_refused_and_center_falls_back_to_the_mean() -> None:
    with pytest.raises(ValueError, match="needs 8 scores, got 3"):
        iqm([1, 2, 3])
    assert center([1, 2, 9]) == 4
    assert center([0, 0, 1, 2, 3, 4, 99, 99]) == 2.5


def test_mean_interval_is_the_t_interval() -> None:
    values = np.array([0.2, 0.5, 0.4, 0.9])
    expected = scipy_stats.t.interval(0.9, 3, loc=values.mean(), scale=scipy_stats.sem(values))
    found = mean_interval(values, confidence=0.9)
    assert (found.low, found.high) == pytest.approx(expected)
    assert standard_error(values) == pytest.approx(scipy_stats.sem(values))


def test_one_run_has_no_spread_and_separates_nothing() -> None:
    assert standard_error([0.7]) is None
    found = mean_interval([0.7])
    assert (found.value, found.low, found.high) == (0.7, -np.inf, np.inf)
    assert not found.separated
    with pytest.raises(ValueError, match="nothing to estimate"):
        mean_interval([])


@pytest.mark.parametrize("runs", [2, 3, 10])
def test_mean_interval_covers_the_truth_as_often_as_it_says(runs: int) -> None:
    rng = np.random.default_rng(1)
    hits = [abs(e.value) <= e.high - e.value for e in map(mean_interval, rng.standard_normal((2000, runs)))]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_paired_differences_match_by_seed() -> None:
    found = paired_differences({3: 0.9, 1: 0.5, 7: 1.0}, {1: 0.25, 3: 0.4, 8: 0.0})
    np.testing.assert_allclose(found, [0.25, 0.5])
    assert paired_differences({1: 0.0}, {2: 0.0}).size == 0


def test_performance_profile_counts_what_lies_above() -> None:
    np.testing.assert_allclose(performance_profile([[0.1, 0.5], [0.5, 0.9]], [0.0, 0.5, 0.6]), [1, 0.25, 0.25])


# ---------------------------------------------------------------------------------- several means, probabilities


def test_a_band_is_the_interval_of_each_point() -> None:
    values = np.random.default_rng(3).gamma(2.0, size=(7, 4, 3))
    low, high = mean_band(values, 0.9)
    for place in np.ndindex(4, 3):
        one = mean_interval(values[:, *place], 0.9)
        assert (low[place], high[place]) == (pytest.approx(one.low), pytest.approx(one.high))
    assert all(np.isnan(end).all() and end.shape == (4, 3) for end in mean_band(values[:1]))


def test_degrees_of_freedom_are_welch_s() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal(6), 3 * rng.standard_normal(11)
    theirs = scipy_stats.ttest_ind(x, y, equal_var=False)
    assert welch_freedom([x.var(ddof=1) / 6, y.var(ddof=1) / 11], [6, 11]) == pytest.approx(theirs.df)
    assert welch_freedom([0.0, 0.0], [6, 11]) == 5 == welch_freedom([1.0, np.inf], [6, 11])


@given(arrays(np.float64, st.integers(2, 8), elements=numbers))
@settings(max_examples=60, deadline=None)
def test_a_p_value_agrees_with_its_interval_and_with_scipy(values: NDArray[np.float64]) -> None:
    if values.std() > 1e-3:
        assert p_value(values) == pytest.approx(scipy_stats.ttest_1samp(values, 0.0).pvalue, rel=1e-6)
        assert (p_value(values) < 0.05) == mean_interval(values).separated


def test_p_values_of_runs_that_agree_exactly() -> None:
    assert p_value([0.2, 0.2]) == 0.0 and p_value([0.0, 0.0]) == 1.0 and np.isnan(p_value([0.2]))


def test_holm_is_step_down_and_knows_what_was_not_compared() -> None:
    p = np.array([0.012, 0.3, 0.0001, 0.04, 0.02])
    order = np.argsort(p)
    expected = np.empty(5)
    for rank, index in enumerate(order):  # by the definition: the largest (m − j) p(j) up to here
        expected[index] = min(1.0, max((5 - j) * p[order[j]] for j in range(rank + 1)))
    np.testing.assert_allclose(holm(p), expected)
    np.testing.assert_allclose(holm([0.03, np.nan]), [0.03, np.nan])
    assert (holm(p) >= p).all() and holm([]).size == 0


def test_holm_keeps_false_findings_rare() -> None:
    rng = np.random.default_rng(5)
    found = [(holm([p_value(runs) for runs in rng.standard_normal((6, 5))]) < 0.05).any() for _ in range(600)]
    plain = [any(p_value(runs) < 0.05 for runs in rng.standard_normal((6, 5))) for _ in range(200)]
    assert np.mean(found) <= 0.07 and np.mean(plain) > 0.18


def test_probability_of_improvement_is_mann_whitney_over_the_pairs() -> None:
    rng = np.random.default_rng(10)
    x, y = rng.integers(0, 6, 9), rng.integers(0, 5, 7)  # ties on purpose
    expected = scipy_stats.mannwhitneyu(x, y).statistic / (len(x) * len(y))
    assert probability_of_improvement([(x, y)]).value == pytest.approx(expected)


def test_the_ends_are_newcombe_s() -> None:
    """His equation, written out: |θ̂ − θ| = z √V(θ) at both ends."""
    x, y = [3.0, 4.0, 5.0, 6.0, 7.0, 8.0], [1.0, 2.0, 3.5, 4.5, 5.5]
    e = probability_of_improvement([(x, y)])
    for theta in (e.low, e.high):
        n = 0.5 * (len(x) + len(y))
        bracket = 1 + (n - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        variance = theta * (1 - theta) * bracket / (len(x) * len(y))
        assert abs(e.value - theta) == pytest.approx(scipy_stats.norm.ppf(0.975) * np.sqrt(variance), rel=1e-6)
    apart = probability_of_improvement([(np.arange(5) + 9, np.arange(5))])
    assert apart.value == 1.0 == pytest.approx(apart.high) and 0.5 < apart.low < 0.8


@given(arrays(np.float64, st.integers(5, 9), elements=numbers), arrays(np.float64, 6, elements=numbers))
@settings(max_examples=40, deadline=None)
def test_probability_of_improvement_properties(x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    def found(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        e = probability_of_improvement([(a, b)])
        assert 0 <= e.low <= e.value <= e.high <= 1
        return e.value

    assert found(x, y) + found(y, x) == pytest.approx(1)
    assert found(x, x) == pytest.approx(0.5)


# ---------------------------------------------------------------------------------------------------- curves


def test_align_interpolates_on_the_union_up_to_the_shorter_end() -> None:
    curves = align([[0, 100, 200], [0, 50, 130, 190]], [[0, 1, 2], [0, 5, 13, 19]])
    np.testing.assert_allclose(curves.labels, [0, 50, 100, 130, 190])
    np.testing.assert_allclose(curves.values, np.array([[0, 0.5, 1, 1.3, 1.9], [0, 5, 10, 13, 19]]))


def test_area_under_curve_of_a_straight_line() -> None:
    labels = np.array([0.0, 30.0, 100.0])
    areas = area_under_curve(Curves(labels, np.stack([labels, np.full(3, 2.0)])))
    np.testing.assert_allclose(areas, [50, 2])


def test_labels_to_threshold_reads_the_running_maximum() -> None:
    labels = np.array([0.0, 10.0, 20.0, 30.0])
    curve = np.array([0.5, 0.7, 0.6, 0.9])
    for threshold, expected in [
        (0.4, 0),
        (0.5, 0),
        (0.6, 5),
        (0.7, 10),
        (0.8, 25),
        (0.9, 30),
        (0.91, np.inf),
    ]:
        assert labels_to_threshold(labels, curve, threshold) == pytest.approx(expected)
    stacked = np.stack([np.stack([curve, curve - 1])])  # (1, 2, Q)
    np.testing.assert_allclose(labels_to_threshold(labels, stacked, 0.8), [[25, np.inf]])


@given(arrays(np.float64, 9, elements=numbers), numbers, numbers)
@settings(max_examples=100, deadline=None)
def test_labels_to_threshold_properties(curve: NDArray[np.float64], a: float, b: float) -> None:
    labels = np.arange(9.0)
    low, high = sorted((a, b))
    first, second = labels_to_threshold(labels, curve, low), labels_to_threshold(labels, curve, high)
    assert first <= second  # a higher bar is never reached sooner
    assert np.isinf(second) == (curve.max() < high)
    if np.isfinite(second):
        at = np.interp(second, labels, np.maximum.accumulate(curve))
        assert at >= high or at == pytest.approx(high, abs=1e-6)


# ----------------------------------------------------------------------------------------------- multipliers

LABELS = np.linspace(0, 1000, 51)


def learning(rng: np.random.Generator, scale: float, runs: int = 10, noise: float = 0.01) -> Curves:
    """Curves that approach 0.9 as 1 - exp(-labels / scale), with autocorrelated noise."""
    mean = 0.5 + 0.4 * (1 - np.exp(-LABELS / scale))
    return Curves(LABELS, mean + noise * autocorrelated(rng, runs, len(LABELS), 0.9))


def test_multiplier_recovers_a_true_ratio_of_three() -> None:
    rng, hits, values = np.random.default_rng(14), [], []
    for _ in range(60):
        base, agent = learning(rng, 300), learning(rng, 100)
        (found,) = multipliers(base, agent, [0.75], rng, n_resamples=300)
        hits.append(found.low <= 3 <= found.high)
        values.append(found.value)
    assert np.median(values) == pytest.approx(3, rel=0.08)
    assert np.mean(hits) >= 0.9


def test_multiplier_says_only_a_lower_bound_where_the_base_is_censored() -> None:
    rng = np.random.default_rng(15)
    base, agent = learning(rng, 2000), learning(rng, 100)
    reached, beyond = multipliers(base, agent, [0.6, 0.8], rng)
    assert np.isfinite(reached.high) and np.isinf(beyond.base_labels)
    assert np.isinf(beyond.value) and np.isinf(beyond.high)
    assert beyond.low == pytest.approx(1000 / beyond.agent_labels, rel=0.1)  # the base's budget / the agent's


def test_multiplier_of_an_agent_that_never_arrives_is_zero_and_of_two_such_unknown() -> None:
    rng = np.random.default_rng(16)
    fast, slow = learning(rng, 100), learning(rng, 5000)
    (behind,) = multipliers(fast, slow, [0.8], rng)
    assert behind.value == 0 and behind.low == 0 and behind.high < 0.3
    (neither,) = multipliers(slow, slow, [0.8], rng)
    assert np.isnan(neither.value) and (neither.low, neither.high) == (0, np.inf)


def test_multiplier_of_equal_agents_holds_one_and_follows_the_generator() -> None:
    curves = learning(np.random.default_rng(17), 200)
    first = multipliers(curves, curves, [0.7], np.random.default_rng(1))
    assert first[0].value == 1 and first[0].low <= 1 <= first[0].high
    assert first == multipliers(curves, curves, [0.7], np.random.default_rng(1))
