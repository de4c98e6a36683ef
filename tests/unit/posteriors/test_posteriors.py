"""Posteriors against each other, against a dense grid where there are two weights, and against their definitions."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import log_expit
from scipy.stats import spearmanr

from duelbench.posteriors.dropout import DropoutConfig, DropoutPosterior
from duelbench.posteriors.ensemble import EnsembleConfig, forward
from duelbench.posteriors.epinet import EpinetConfig
from duelbench.posteriors.evidence import EvidenceConfig
from duelbench.posteriors.gibbs import GibbsConfig, GibbsPosterior
from duelbench.posteriors.laplace import LaplaceConfig, LaplacePosterior, posterior_mode
from duelbench.posteriors.polya_gamma import _accept, polya_gamma
from duelbench.posteriors.prior_ensemble import PriorEnsembleConfig, PriorEnsemblePosterior
from duelbench.posteriors.registry import find_posterior
from duelbench.records.checkpoint import load_checkpoint, save_checkpoint

Floats = NDArray[np.float64]
NET: dict[str, Any] = {"members": 3, "hidden": 6, "min_pairs": 2, "minibatch": 8}
SMALL: dict[str, Any] = {
    "ensemble": EnsembleConfig(**NET),
    "prior_ensemble": PriorEnsembleConfig(**NET),
    "dropout": DropoutConfig(**NET),
    "laplace": LaplaceConfig(samples=3),
    "learned": LaplaceConfig(samples=3, learned=True, torso=EnsembleConfig(**NET)),
    "gibbs": GibbsConfig(samples=3),
    "evidence": EvidenceConfig(samples=3),
    "epinet": EpinetConfig(**NET, point_hidden=5),
}
small = pytest.mark.parametrize("name", sorted(SMALL))


def made(name: str, dim: int = 4, seed: int = 0) -> Any:
    return find_posterior("laplace" if name == "learned" else name)(dim, np.random.default_rng(seed), SMALL[name])


def features(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape, np.float32) * 2 + 1


# Two weights: what the posterior is, is known


def two_weights(n: int = 60) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pairs whose better response was preferred by Bradley–Terry with θ = (1.2, −0.4), standardised beforehand."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2 * n, 2))
    x = (x - x.mean(0)) / x.std(0)
    a, b = x[:n], x[n:]
    won = rng.random(n) < 1 / (1 + np.exp(-(a - b) @ [1.2, -0.4]))
    chosen, rejected = np.where(won[:, None], a, b), np.where(won[:, None], b, a)
    return chosen.astype(np.float32), rejected.astype(np.float32)


def grid_posterior(differences: Floats, precision: float) -> tuple[Floats, Floats]:
    """Mean and covariance of θ by summing over a grid: a coarse one first, then a dense one where the mass is."""
    mean, covariance = np.zeros(2), np.eye(2)
    for points in (61, 101):
        half = 6.0 * np.sqrt(np.diag(covariance))
        axes = [np.linspace(m - h, m + h, points) for m, h in zip(mean, half, strict=True)]
        theta = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
        log = log_expit(theta @ differences.T).sum(1) - 0.5 * precision * (theta**2).sum(1)
        weight = np.exp(log - log.max())
        weight /= weight.sum()
        mean = weight @ theta
        covariance = (theta - mean).T @ (weight[:, None] * (theta - mean))
    return mean, covariance


def fitted(posterior: Any, n: int = 60) -> tuple[Floats, Floats]:
    """The posterior's samples of θ given the pairs, and the pairs' differences as it sees them."""
    chosen, rejected = two_weights(n)
    posterior.rewards(np.concatenate([chosen, rejected]))
    posterior.update(chosen, rejected, n)
    standard = posterior.pairs.standardise
    return posterior.theta, (standard(chosen) - standard(rejected)).astype(np.float64)


def agrees(samples: Floats, mean: Floats, covariance: Floats, slack: float) -> None:
    """Within four standard errors of the K samples, and ``slack`` posterior standard deviations beside."""
    spread = np.sqrt(np.diag(covariance))
    errors = 4 * spread / np.sqrt(len(samples)) + slack * spread
    assert (np.abs(samples.mean(0) - mean) < errors).all()
    found = np.cov(samples.T)
    scale = np.outer(spread, spread)
    assert (np.abs(found - covariance) < (4 * np.sqrt(2 / len(samples)) + 2 * slack) * scale).all()


@pytest.mark.parametrize("prior_std", [0.5, 3.0])
def test_gibbs_has_the_mean_and_covariance_of_the_grid(prior_std: float) -> None:
    config = GibbsConfig(samples=1500, sweeps=10, prior_std=prior_std)
    posterior = GibbsPosterior(2, np.random.default_rng(1), config)
    samples, differences = fitted(posterior)
    agrees(samples, *grid_posterior(differences, 2 / prior_std**2), slack=0.0)


def test_laplace_has_them_nearly_and_the_nearer_the_more_labels_there_are() -> None:
    gaps = []
    for n in (20, 60, 500):
        config = LaplaceConfig(samples=4000, prior_std=2.0)
        posterior = LaplacePosterior(2, np.random.default_rng(1), config)
        samples, differences = fitted(posterior, n)
        mean, covariance = grid_posterior(differences, 0.5)
        agrees(samples, mean, covariance, slack=0.5 if n < 500 else 0.1)
        mode, hessian = posterior_mode(differences, 0.5, np.zeros(2))
        gaps.append(np.linalg.norm(mode - mean) / np.sqrt(np.trace(covariance)))
        assert np.linalg.inv(hessian) == pytest.approx(covariance, rel=0.5 if n < 500 else 0.1)
    assert gaps[0] > gaps[1] > gaps[2]


def test_the_mode_is_where_the_gradient_vanishes_even_of_answers_that_never_contradict() -> None:
    rng = np.random.default_rng(3)
    differences = np.abs(rng.standard_normal((200, 5))) * 20  # separable, and steep
    mode, _ = posterior_mode(differences, 1e-3, np.zeros(5))
    gradient = 1e-3 * mode - differences.T @ (1 / (1 + np.exp(differences @ mode)))
    assert np.abs(gradient).max() < 1e-6


def test_before_labels_a_linear_posterior_is_its_prior() -> None:
    x = features(0, 500, 7)
    posterior = LaplacePosterior(7, np.random.default_rng(0), LaplaceConfig(samples=4000, prior_std=1.5))
    assert posterior.rewards(x).std() == pytest.approx(1.5, rel=0.05)


def test_an_ensemble_with_priors_is_as_unsure_as_bayes_about() -> None:
    """Qualitatively: ranks of the spread of differences correlate above 0.8 and their median is within a factor of 2.

    The exact posterior is of linear rewards and the ensemble's members are networks, so no more can be asked; and not
    of every setting: how unsure an ensemble is depends on how hard its members are pulled to their beginnings.
    """
    gibbs = GibbsPosterior(2, np.random.default_rng(1), GibbsConfig(samples=400, sweeps=15, prior_std=1.5))
    config = PriorEnsembleConfig(
        members=40,
        hidden=32,
        prior_scale=0.5,
        anchor=100.0,
        anchor_decay=False,
        steps=150,
        minibatch=64,
        learning_rate=1e-2,
    )
    ensemble = PriorEnsemblePosterior(2, np.random.default_rng(2), config)
    chosen, rejected = two_weights()
    x = features(5, 2, 200, 2)
    spreads = []
    for posterior in (gibbs, ensemble):
        posterior.rewards(np.concatenate([chosen, rejected]))
        posterior.update(chosen, rejected, 60)
        rewards = posterior.rewards(x)
        spreads.append((rewards[:, 0] - rewards[:, 1]).std(0))
    assert spearmanr(*spreads).statistic > 0.8
    assert 0.5 < np.median(spreads[1]) / np.median(spreads[0]) < 2.0


# Pólya-Gamma


@pytest.mark.parametrize("z", [0.0, 0.7, 3.1, 3.2, 9.0, 60.0])
def test_polya_gamma_has_the_moments_and_the_laplace_transform_of_its_definition(z: float) -> None:
    n = 50_000
    drawn = polya_gamma(np.full((2, n // 2), z), np.random.default_rng(0)).ravel()
    mean = 0.25 if z == 0 else np.tanh(z / 2) / (2 * z)
    assert abs(drawn.mean() - mean) < 4.5 * drawn.std() / np.sqrt(n)
    for s in (0.5, 3.0, 20.0):
        values = np.exp(-s * drawn)
        root = np.sqrt((z * z / 2 + s) / 2)
        exact = np.exp(z / 2 - root) * (1 + np.exp(-z)) / (1 + np.exp(-2 * root))  # cosh(z / 2) / cosh(root)
        assert abs(values.mean() - exact) < 4.5 * values.std() / np.sqrt(n)
    assert drawn.min() > 0


@pytest.mark.parametrize("x", [0.3, 0.6399, 0.6401, 1.5])
def test_a_proposal_is_accepted_as_often_as_the_series_says(x: float) -> None:
    """The density's series at x over its first term; it is close to 1 but where the two forms of the series meet."""
    k = np.arange(40) + 0.5
    short, long = np.exp(-2 * k**2 / x) * (2 / (np.pi * x)) ** 1.5, np.exp(-0.5 * k**2 * np.pi**2 * x)
    terms = k * (short if x <= 0.64 else long) * (-1.0) ** np.arange(40)
    n = 400_000
    rate = _accept(np.full(n, x), np.random.default_rng(0)).mean()
    exact = terms.sum() / terms[0]
    assert abs(rate - exact) < 4.5 * np.sqrt(max(exact * (1 - exact), 1e-9) / n)


def test_polya_gamma_is_even_in_z_and_keeps_the_shape() -> None:
    z = np.linspace(-8, 8, 12).reshape(3, 4)
    one, other = (polya_gamma(sign * z, np.random.default_rng(0)) for sign in (1, -1))
    assert one.shape == (3, 4) and np.array_equal(one, other)
    assert polya_gamma(np.empty((2, 0)), np.random.default_rng(0)).shape == (2, 0)


# Ensemble with priors, dropout


def test_a_member_is_what_it_learned_and_its_prior_which_never_moves() -> None:
    posterior: PriorEnsemblePosterior = made("prior_ensemble")
    posterior.rewards(features(9, 30, 4))
    priors = [weight.clone() for weight in posterior._priors]
    posterior.update(features(1, 9, 4), features(2, 9, 4), 9)
    assert all(map(torch.equal, priors, posterior._priors))
    x = features(3, 5, 4)
    standard = torch.from_numpy(posterior.pairs.standardise(x))
    with torch.no_grad():
        expected = forward(posterior._weights, standard) + forward(priors, standard)
    np.testing.assert_allclose(posterior.rewards(x), expected.numpy(), rtol=1e-5)
    assert expected.std(0).mean() > 5 * forward(posterior._initial, standard).std(0).mean()


def test_bootstrap_masks_decide_who_learns_from_a_pair() -> None:
    posterior: PriorEnsemblePosterior = made("prior_ensemble")
    posterior.rewards(features(9, 30, 4))
    posterior.update(features(1, 6, 4), features(2, 6, 4), 6)
    assert posterior._masks.shape == (6, 3)
    posterior._masks[:] = False
    posterior._masks[:, 1] = True
    gap = torch.randn((3, 6), generator=torch.manual_seed(0), requires_grad=True)
    loss = posterior._loss(gap, np.arange(6))
    loss.backward()  # type: ignore[no-untyped-call]
    assert gap.grad is not None and not gap.grad[[0, 2]].any() and gap.grad[1].all()
    expected = torch.nn.functional.softplus(-gap[1]).sum() / (18 * 0.5)
    assert loss.item() == pytest.approx(expected.item())


def test_masks_are_drawn_once_for_a_pair_and_leave_with_it() -> None:
    config = PriorEnsembleConfig(members=2000, hidden=2, min_pairs=10**9, buffer=5, seen=0.3)
    posterior = PriorEnsemblePosterior(4, np.random.default_rng(0), config)
    posterior.update(features(1, 4, 4), features(2, 4, 4), 4)
    before = posterior._masks.copy()
    assert before.mean() == pytest.approx(0.3, abs=0.02)
    posterior.update(features(3, 3, 4), features(4, 3, 4), 7)
    assert np.array_equal(posterior._masks[:2], before[2:]) and len(posterior._masks) == len(posterior.pairs) == 5


def test_dropout_samples_are_one_network_with_units_missing() -> None:
    posterior: DropoutPosterior = made("dropout")
    x = features(9, 5, 4)
    rewards = posterior.rewards(x)
    standard = posterior.pairs.standardise(x).astype(np.float64)
    w1, b1, w2, b2, w3, b3 = (weight[0].detach().double().numpy() for weight in posterior._weights)
    assert len(posterior._weights[0]) == 1
    for k, (one, two) in enumerate(posterior._masks.double().numpy().swapaxes(0, 1)):
        hidden = np.maximum(standard @ w1 + b1, 0) * one
        hidden = np.maximum(hidden @ w2 + b2, 0) * two
        np.testing.assert_allclose(rewards[k], (hidden @ w3 + b3)[:, 0], rtol=1e-4, atol=1e-6)
    assert set(np.unique(posterior._masks.numpy()).round(4)) <= {0.0, np.float32(1.1111)}


def test_dropout_samples_stay_until_something_was_learned() -> None:
    posterior: DropoutPosterior = made("dropout")
    x = features(9, 5, 4)
    assert np.array_equal(posterior.rewards(x), posterior.rewards(x))
    masks = posterior._masks.clone()
    posterior.update(features(1, 6, 4), features(2, 6, 4), 6)
    assert not torch.equal(masks, posterior._masks)


def test_while_learning_both_responses_of_a_pair_lose_the_same_units() -> None:
    posterior: DropoutPosterior = made("dropout")
    same = torch.randn((7, 4), generator=torch.manual_seed(0))
    scores = posterior._learning(torch.cat([same, same]))[0]
    assert torch.equal(scores[:7], scores[7:])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DropoutPosterior(3, np.random.default_rng(0), DropoutConfig(drop=1.0)), "drop must be"),
        (lambda: PriorEnsemblePosterior(3, np.random.default_rng(0), PriorEnsembleConfig(seen=0.0)), "seen must be"),
        (lambda: find_posterior("laplas"), "did you mean 'laplace'"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# All of them


@small
@pytest.mark.parametrize("rounds", [0, 3])
def test_a_restored_posterior_goes_on_bit_for_bit(name: str, rounds: int, tmp_path: Path) -> None:
    whole = made(name)
    whole.rewards(features(9, 30, 4))
    for k in range(rounds):
        whole.update(features(k, 5, 4), features(k + 50, 5, 4), 5 * k + 5)
    save_checkpoint(tmp_path / "c", whole.state_dict())
    resumed = made(name, seed=77)
    resumed.load_state_dict(copy.deepcopy(load_checkpoint(tmp_path / "c")) or {})
    for k in range(rounds, rounds + 3):
        for posterior in (whole, resumed):
            posterior.update(features(k, 5, 4), features(k + 50, 5, 4), 5 * k + 5)
        assert np.array_equal(whole.rewards(features(7, 9, 4)), resumed.rewards(features(7, 9, 4)))


@small
def test_a_posterior_learns_a_utility_and_says_how_well_it_knew(name: str) -> None:
    wide = {
        "ensemble": EnsembleConfig,
        "prior_ensemble": PriorEnsembleConfig,
        "dropout": DropoutConfig,
        "epinet": EpinetConfig,
    }
    config = wide[name](hidden=32, members=8, steps=10) if name in wide else SMALL[name]
    if name == "learned":
        config = LaplaceConfig(learned=True, torso=EnsembleConfig(hidden=32, steps=10), prior_std=5.0)
    elif name not in wide:
        config = type(SMALL[name])(prior_std=5.0)
    posterior: Any = find_posterior("laplace" if name == "learned" else name)(4, np.random.default_rng(0), config)
    theta = np.array([1.0, -2.0, 0.5, 0.0], np.float32)
    posterior.rewards(features(99, 64, 4))
    for k in range(25):
        a, b = features(k, 16, 4), features(1000 + k, 16, 4)
        better = ((a - b) @ theta > 0)[:, None]
        metrics = posterior.update(np.where(better, a, b), np.where(better, b, a), 16 * (k + 1))
    assert metrics["posterior_accuracy"] > 0.8
    a, b = features(5000, 2, 100, 4)
    rewards = posterior.rewards(np.stack([a, b]))
    assert rewards.shape == (posterior.rewards(a).shape[0], 2, 100) and rewards.dtype == np.float32
    agree = (rewards[:, 0] > rewards[:, 1]).mean(0).round() == ((a - b) @ theta > 0)
    assert agree.mean() > 0.9


@small
def test_no_new_pairs_and_no_pairs_at_all_are_no_trouble(name: str) -> None:
    posterior = made(name)
    posterior.rewards(features(9, 30, 4))
    none = features(0, 0, 4)
    assert "posterior_accuracy" not in posterior.update(none, none, 0)
    posterior.update(features(1, 6, 4), features(2, 6, 4), 6)
    posterior.update(none, none, 6)
    assert np.isfinite(posterior.rewards(features(3, 2, 5, 4))).all()
