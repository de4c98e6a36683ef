"""Bayesian logistic regression whose prior is set by the evidence: against a grid, its formula, and its own world."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from duelbench.posteriors.evidence import EvidenceConfig, EvidencePosterior, next_precision
from duelbench.posteriors.laplace import posterior_mode

Floats = NDArray[np.float64]


def linear_world(
    n: int, spread: Floats, scale: float, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """n Bradley–Terry pairs on features of a given spread, under weights of a given size."""
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal(len(spread)) * scale
    x, y = (rng.standard_normal((n, len(spread))) * spread for _ in range(2))
    won = rng.random(n) < 1 / (1 + np.exp(-(x - y) @ theta))
    return (
        np.where(won[:, None], x, y).astype(np.float32),
        np.where(won[:, None], y, x).astype(np.float32),
    )


def test_the_precision_is_where_a_grid_finds_the_evidence_highest() -> None:
    """With ν = 0 the fixed point is the top of the Laplace evidence over λ, but for the curvature it takes as fixed."""
    chosen, rejected = linear_world(400, np.ones(12), 0.6)
    posterior = EvidencePosterior(12, np.random.default_rng(0), EvidenceConfig(samples=2, trust=0.0))
    posterior.rewards(chosen)
    posterior.update(chosen, rejected, 400)
    for _ in range(3):  # goes on from where it was
        posterior.update(chosen[:0], rejected[:0], 400)
    z = posterior._embed(chosen) - posterior._embed(rejected)

    def evidence(precision: float) -> float:
        mode, hessian = posterior_mode(z, precision, np.zeros(12))
        fit = -np.log1p(np.exp(-z @ mode)).sum() - 0.5 * precision * mode @ mode
        return float(fit + 0.5 * (12 * np.log(precision) - np.linalg.slogdet(hessian)[1]))

    values = [evidence(precision) for precision in np.exp(np.linspace(-3, 5, 200))]
    assert max(values) - evidence(posterior.precision) < 0.1 < max(values) - evidence(3 * posterior.precision)


def test_one_step_of_the_precision_is_its_formula() -> None:
    hessian = np.diag([4.0, 2.0, 1.0])  # γ = 3 − 1 · (1/4 + 1/2 + 1)
    got = next_precision(np.array([1.0, 2.0, 0.0]), hessian, 1.0, guess=2.0, trust=4.0)
    assert got == pytest.approx((1.25 + 4.0) / (5.0 + 2.0))


def test_features_that_show_nothing_leave_a_coin_toss() -> None:
    rng = np.random.default_rng(0)
    noise = [rng.standard_normal((512, 20)).astype(np.float32) for _ in range(2)]
    told = linear_world(512, np.ones(20), 0.7)
    gaps = []
    for chosen, rejected in (noise, told):
        posterior = EvidencePosterior(20, np.random.default_rng(0), EvidenceConfig())
        posterior.rewards(chosen)
        posterior.update(chosen, rejected, 512)
        a, b = linear_world(400, np.ones(20), 0.7, seed=0)
        gaps.append(np.abs(posterior.rewards(a).mean(0) - posterior.rewards(b).mean(0)).mean())
    assert gaps[0] < 0.5 < 2.0 < gaps[1]


def test_a_belief_by_the_evidence_is_believable_from_64_labels_on() -> None:
    """On the model's own world: log-loss below a coin toss's, and two standard deviations cover the truth."""
    spread = np.geomspace(2.0, 0.2, 16)
    rng, covered, losses = np.random.default_rng(1), [], []
    for _ in range(20):
        theta = rng.standard_normal(16) * 0.5

        def pairs(n: int, theta: Floats = theta) -> tuple[Floats, Floats, Floats]:
            x, y = (rng.standard_normal((n, 16)) * spread for _ in range(2))
            return x, y, 1 / (1 + np.exp(-(x - y) @ theta))

        x, y, p = pairs(64)
        won = (rng.random(64) < p)[:, None]
        posterior = EvidencePosterior(16, rng, EvidenceConfig(samples=200))
        posterior.rewards(np.concatenate([x, y]).astype(np.float32))
        posterior.update(np.where(won, x, y).astype(np.float32), np.where(won, y, x).astype(np.float32), 64)
        x, y, p = pairs(200)
        gap = posterior.rewards(x.astype(np.float32)) - posterior.rewards(y.astype(np.float32))
        drawn = 1 / (1 + np.exp(-gap.astype(np.float64)))
        mean, sd = drawn.mean(0), drawn.std(0)
        covered.append((np.abs(mean - p) <= 2 * sd).mean())
        losses.append(-(p * np.log(mean) + (1 - p) * np.log(1 - mean)).mean())
    assert 0.90 <= np.mean(covered) <= 0.98 and np.mean(losses) < 0.66


def test_with_fewer_pairs_than_features_draws_follow_the_dense_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode, precision and covariance H⁻¹ of the span of 9 pairs and of the 21 directions outside it."""
    chosen, rejected = linear_world(9, np.ones(30), 0.8)
    posterior = EvidencePosterior(30, np.random.default_rng(0), EvidenceConfig(samples=30))
    posterior.rewards(np.concatenate([chosen, rejected]))
    posterior.pairs.add(chosen, rejected)
    z = posterior._embed(chosen) - posterior._embed(rejected)

    class Unit:
        def standard_normal(self, shape: tuple[int, int]) -> Floats:
            return np.eye(*shape)

    monkeypatch.setattr(posterior, "_rng", Unit())
    theta = posterior._draw(z)
    mode, hessian = posterior_mode(z, posterior.precision, np.zeros(30))
    np.testing.assert_allclose(posterior._mode, mode, atol=1e-8)
    root = theta - mode
    np.testing.assert_allclose(root.T @ root, np.linalg.inv(hessian), atol=1e-8)
    assert next_precision(mode, hessian, posterior.precision, 30.0, 4.0) == pytest.approx(posterior.precision, rel=0.02)
