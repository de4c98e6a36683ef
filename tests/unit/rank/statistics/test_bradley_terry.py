"""Strengths against choix on the same votes, against evalica, and against the likelihood written out."""

import choix
import evalica
import numpy as np
import pytest
from scipy.optimize import minimize

from duelbench.rank.statistics.bradley_terry import fit

K = 6


def votes(n=400, seed=0, ties=0.0, place=0.0):
    rng = np.random.default_rng(seed)
    truth = np.linspace(-1.2, 1.2, K)
    first = rng.integers(K, size=n)
    second = (first + rng.integers(1, K, size=n)) % K
    d = truth[first] - truth[second] + place
    weights = np.stack([np.exp(-d / 2), np.full(n, ties), np.exp(d / 2)], -1).cumsum(-1)
    verdict = np.array([0.0, 0.5, 1.0])[(rng.random((n, 1)) * weights[:, -1:] > weights).sum(-1)]
    return first, second, verdict, truth


def test_without_ties_and_places_it_is_choix():
    first, second, verdict, _ = votes()
    won = [(int(a), int(b)) if v else (int(b), int(a)) for a, b, v in zip(first, second, verdict, strict=True)]
    expected = choix.opt_pairwise(K, won, alpha=0.05)
    np.testing.assert_allclose(fit(K, first, second, verdict, place=False, prior=0.1).mean, expected, atol=1e-4)


def test_with_a_vanishing_prior_it_is_evalica():
    first, second, verdict, _ = votes()
    won = [evalica.Winner.X if v else evalica.Winner.Y for v in verdict]
    scores = evalica.bradley_terry(first.astype(str).tolist(), second.astype(str).tolist(), won, tolerance=1e-12).scores
    logs = np.log([scores[str(k)] for k in range(K)])
    found = fit(K, first, second, verdict, place=False, prior=1e-9).mean
    np.testing.assert_allclose(found, logs - logs.mean(), atol=1e-3)


def test_ties_and_places_maximise_davidsons_likelihood():
    first, second, verdict, _ = votes(ties=0.7, place=0.4)

    def loss(x):
        d, tie = x[first] - x[second] + x[K], x[K + 1]
        p = np.stack([np.exp(-d / 2), np.full(len(d), np.exp(tie)), np.exp(d / 2)], -1)
        p /= p.sum(-1, keepdims=True)
        chosen = p[np.arange(len(d)), (2 * verdict).astype(int)]
        return -np.log(chosen).sum() + 0.05 * (x[:K] ** 2).sum() + 0.5 * x[K] ** 2 + 0.5e-6 * tie**2

    best = minimize(loss, np.zeros(K + 2), tol=1e-10).x
    found = fit(K, first, second, verdict, prior=0.1)
    np.testing.assert_allclose(found.mean, best[:K] - best[:K].mean(), atol=1e-3)
    np.testing.assert_allclose([found.place, found.tie], best[K:], atol=1e-3)


def test_the_order_of_the_sides_is_told_from_strength():
    found = fit(K, *votes(n=6000, place=0.5, ties=0.4)[:3])
    assert found.place == pytest.approx(0.5, abs=3 * found.place_error) and found.place_error < 0.06
    assert found.tie == pytest.approx(np.log(0.4), abs=0.15)


def test_an_item_that_only_won_stays_finite_and_no_votes_say_nothing():
    won = fit(3, np.array([0, 0, 0]), np.array([1, 2, 1]), np.ones(3))
    assert np.isfinite(won.mean).all() and won.mean.argmax() == 0
    nothing = fit(4, np.array([], int), np.array([], int), np.array([]))
    assert nothing.mean.tolist() == [0.0] * 4


def test_intervals_hold_for_all_items_at_once():
    """At a number of votes fixed beforehand; 95 % and the binomial error of 100 repetitions."""
    held, n = 0, 100
    for seed in range(n):
        first, second, verdict, truth = votes(n=600, seed=seed, ties=0.3, place=0.2)
        _, low, high = fit(K, first, second, verdict).intervals(0.05, np.random.default_rng(0))
        held += bool(((low <= truth) & (truth <= high)).all())
    assert held >= 0.95 * n - 3 * np.sqrt(n * 0.95 * 0.05)
