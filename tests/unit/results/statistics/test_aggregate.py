"""Statistics over several tasks, against closed forms, scipy and simulations whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from duelbench.results.statistics.aggregate import aggregate, average_improvement, optimality_gap, profile, profile_band
from duelbench.results.statistics.estimates import bootstrap_indices, center, iqm, probability_of_improvement, resample

TASKS = (0.3, 0.5, 0.9)  # true means of three tasks whose runs are uniform around them


def runs_of(rng: np.random.Generator, runs: int, mean: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return mean + rng.uniform(-0.2, 0.2, runs)


def test_the_numbers_of_an_aggregate_are_what_they_are_called() -> None:
    rng = np.random.default_rng(0)
    strata = [rng.random(9) * 1.4, rng.random(12), rng.random(15)]
    found = aggregate(strata, rng, n_resamples=200)
    together, means = np.concatenate(strata), [np.mean(s) for s in strata]
    assert found.center.value == pytest.approx(scipy_stats.trim_mean(together, 0.25))
    assert found.mean.value == pytest.approx(np.mean(means)) and found.mean.value != pytest.approx(together.mean())
    assert found.median.value == pytest.approx(np.median(means))
    assert found.gap.value == pytest.approx(1 - np.minimum(together, 1).mean())
    for estimate in (found.center, found.mean, found.median, found.gap):
        assert estimate.low <= estimate.value <= estimate.high


def test_the_gap_is_the_mean_seen_from_above_where_nobody_is_beyond_the_top() -> None:
    scores = np.random.default_rng(1).random((4, 7))
    np.testing.assert_allclose(optimality_gap(scores, axis=1), 1 - scores.mean(1))
    assert optimality_gap([2.0, 3.0]) == 0.0 and optimality_gap([0.5], top=2.0) == 1.5


def test_runs_are_resampled_within_their_task_alone() -> None:
    """Constant runs in every task leave nothing to resample, however far apart the tasks are."""
    found = aggregate([np.full(5, 0.1), np.full(5, 0.9), np.full(5, 0.5)], np.random.default_rng(2))
    for estimate in (found.center, found.mean, found.median, found.gap):
        assert estimate.low == pytest.approx(estimate.high)


def test_a_task_without_runs_is_refused() -> None:
    with pytest.raises(ValueError, match="leave out the tasks"):
        aggregate([[0.5], []], np.random.default_rng(0))


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    many = np.concatenate([runs_of(rng, 200_000, mean) for mean in TASKS])
    truth = {"center": float(scipy_stats.trim_mean(many, 0.25)), "mean": np.mean(TASKS), "gap": None}
    truth["gap"] = float(1 - np.minimum(many, 1).mean())
    hits: dict[str, list[bool]] = {name: [] for name in truth}
    for _ in range(300):
        found = aggregate([runs_of(rng, 15, mean) for mean in TASKS], rng, n_resamples=400)
        for name, value in truth.items():
            estimate = getattr(found, name)
            hits[name].append(bool(estimate.low <= value <= estimate.high))
    for name, hit in hits.items():
        assert 0.89 <= np.mean(hit) <= 0.985, name


def test_a_profile_falls_from_one_to_zero_within_its_band() -> None:
    rng = np.random.default_rng(4)
    levels = np.linspace(-0.01, 1.01, 52)
    strata = [rng.random(30), rng.beta(2, 5, 10)]
    drawn = profile(strata, levels)
    assert drawn[0] == 1.0 and drawn[-1] == 0.0 and (np.diff(drawn) <= 0).all()
    np.testing.assert_allclose(drawn, [(np.concatenate(strata) > level).mean() for level in levels])
    low, high = profile_band(strata, levels, rng)
    assert (low <= drawn).all() and (drawn <= high).all() and (high - low).max() > 0.1


def test_the_profile_band_is_binomial_for_one_task() -> None:
    """The resampled share above a level is a binomial share: its spread is known."""
    scores = np.arange(100) / 100
    low, high = profile_band([scores], [0.495], np.random.default_rng(5), n_resamples=20_000)
    expected = scipy_stats.binom.ppf([0.025, 0.975], 100, 0.5) / 100
    np.testing.assert_allclose([low[0], high[0]], expected, atol=0.011)


def test_improvement_is_averaged_over_tasks() -> None:
    rng = np.random.default_rng(6)
    pairs = [(rng.normal(0.5, 1, 12), rng.normal(0, 1, 9)), (rng.random(7), rng.random(8))]
    found = average_improvement(pairs, rng)
    each = [scipy_stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)) for x, y in pairs]
    assert found.value == pytest.approx(np.mean(each)) and found.low < found.value < found.high
    alone = average_improvement(pairs[:1], np.random.default_rng(7), n_resamples=2000)
    same = probability_of_improvement(*pairs[0], np.random.default_rng(7), n_resamples=2000)
    assert alone == same
    assert average_improvement([([1, 1], [1, 1])], rng).value == 0.5


def test_improvement_covers_the_truth() -> None:
    """Normal runs one standard deviation apart: P = Φ(1/√2); equal ones: ½."""
    rng, truth = np.random.default_rng(8), 0.5 * (scipy_stats.norm.cdf(1 / np.sqrt(2)) + 0.5)
    hits = []
    for _ in range(300):
        pairs = [(rng.normal(1, 1, 15), rng.normal(0, 1, 15)), (rng.normal(0, 1, 15), rng.normal(0, 1, 15))]
        found = average_improvement(pairs, rng, n_resamples=300)
        hits.append(found.low <= truth <= found.high)
    assert 0.89 <= np.mean(hits) <= 0.985


@pytest.mark.parametrize("runs", [3, 8, 9, 10, 11, 30])
def test_resampled_centers_by_counts_are_those_of_the_resampled_runs(runs: int) -> None:
    rng = np.random.default_rng(runs)
    values = np.round(rng.standard_normal((runs, 2, 3)), 1)  # with ties
    indices = bootstrap_indices(runs, 50, rng)
    expected = [(iqm if runs >= 8 else np.mean)(values[index], axis=0) for index in indices]
    np.testing.assert_allclose(resample(values, indices, center), expected, atol=1e-12)
    unknown = np.where(values > 1.5, np.inf, values)
    slow = [center(unknown[index], axis=0) for index in indices]
    np.testing.assert_allclose(resample(unknown, indices, center), slow, atol=1e-12)
