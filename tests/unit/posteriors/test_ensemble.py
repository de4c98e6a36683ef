"""The ensemble of reward models, against one network at a time in float64."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from duelbench.posteriors.ensemble import EnsembleConfig, EnsemblePosterior
from duelbench.posteriors.pairs import PairBuffer
from duelbench.records.checkpoint import load_checkpoint, save_checkpoint

DIM = 4
SMALL = EnsembleConfig(members=3, hidden=6, min_pairs=2, minibatch=64)


def features(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((*shape, DIM), np.float32) * 3 + 1


def posterior(config: EnsembleConfig = SMALL, seed: int = 0) -> EnsemblePosterior:
    made = EnsemblePosterior(DIM, np.random.default_rng(seed), config)
    made.rewards(features(99, 32))  # the first batch scored sets the standardisation
    return made


def member(p: EnsemblePosterior, k: int) -> list[torch.Tensor]:
    """Member k's weights and biases in float64."""
    return [w[k].detach().double().requires_grad_() for w in p._weights]


def score(weights: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    w1, b1, w2, b2, w3, b3 = weights
    return (torch.relu(torch.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3).squeeze(-1)


def standardised(p: EnsemblePosterior, x: NDArray[np.float32]) -> torch.Tensor:
    seen = features(99, 32).astype(np.float64)
    return torch.tensor((x - seen.mean(0)) / seen.std(0))


def test_rewards_are_each_members_network_on_standardised_features() -> None:
    p = posterior()
    x = features(1, 5, 2)
    rewards = p.rewards(x)
    assert rewards.shape == (3, 5, 2) and rewards.dtype == np.float32
    for k in range(3):
        expected = score(member(p, k), standardised(p, x)).detach().numpy()
        np.testing.assert_allclose(rewards[k], expected, rtol=1e-4, atol=1e-5)
    assert np.array_equal(p.rewards(x[:, 1]), rewards[:, :, 1]) or np.allclose(p.rewards(x[:, 1]), rewards[:, :, 1])


def test_only_the_first_scored_batch_sets_the_standardisation() -> None:
    p = posterior()
    before = p.rewards(features(1, 4))
    p.rewards(1000 + features(2, 50))
    assert np.array_equal(p.rewards(features(1, 4)), before)


def test_a_constant_feature_is_harmless() -> None:
    p = EnsemblePosterior(DIM, np.random.default_rng(0), SMALL)
    x = features(0, 8)
    x[:, 2] = 5.0
    assert np.isfinite(p.rewards(x)).all()


@pytest.mark.parametrize(
    ("decay", "labels", "factor"),
    [(True, 64, 2.0), (True, 128, 1.0), (True, 1000, 0.128), (False, 1000, 1.0)],
)
def test_one_step_is_the_equation_by_a_loop_over_members(decay: bool, labels: int, factor: float) -> None:
    config = EnsembleConfig(
        members=3,
        hidden=6,
        steps=1,
        minibatch=64,
        min_pairs=1,
        anchor=0.7,
        anchor_decay=decay,
        weight_decay=0.0,
    )
    p = posterior(config)
    with torch.no_grad():
        for w in p._weights:
            w.add_(torch.randn(w.shape, generator=torch.manual_seed(1)), alpha=0.3)  # away from the beginning
    chosen, rejected = features(2, 10), features(3, 10)
    members = [member(p, k) for k in range(3)]
    beginnings = [[w0[k].double() for w0 in p._initial] for k in range(3)]

    n_parameters = sum(w.numel() for weights in members for w in weights)
    loss, pull = torch.tensor(0.0, dtype=torch.double), torch.tensor(0.0, dtype=torch.double)
    for weights, initial in zip(members, beginnings, strict=True):
        for i in range(10):
            gap = score(weights, standardised(p, chosen[i])) - score(weights, standardised(p, rejected[i]))
            loss = loss - torch.log(1 / (1 + torch.exp(-gap))) / (3 * 10)
        for w, w0 in zip(weights, initial, strict=True):
            pull = pull + ((w - w0) ** 2).sum() / n_parameters
    (loss + 0.7 * factor * pull).backward()

    metrics = p.update(chosen, rejected, labels)
    assert metrics["posterior_loss"] == pytest.approx(loss.item(), rel=1e-4)
    for i, w in enumerate(p._weights):
        assert w.grad is not None
        expected = torch.stack([weights[i].grad for weights in members])  # type: ignore[arg-type]
        np.testing.assert_allclose(w.grad.numpy(), expected.numpy(), rtol=1e-3, atol=1e-6)


def test_members_begin_differently_and_as_the_scale_says() -> None:
    p = EnsemblePosterior(200, np.random.default_rng(0), EnsembleConfig(members=4, hidden=100, init_scale=0.5))
    for i, fan_in in ((0, 200), (2, 100), (4, 100)):
        assert p._initial[i].std().item() * np.sqrt(fan_in) == pytest.approx(0.5, rel=0.15)
        assert not p._initial[i + 1].any()
        assert not torch.equal(p._initial[i][0], p._initial[i][1])


def test_a_strong_anchor_holds_the_members_at_their_beginnings() -> None:
    moved = {}
    for anchor in (0.0, 100.0):
        p = posterior(EnsembleConfig(members=3, hidden=6, min_pairs=1, anchor=anchor, anchor_decay=False, steps=300))
        p.update(features(2, 20), features(3, 20), 20)
        moved[anchor] = sum(float((w - w0).abs().sum()) for w, w0 in zip(weights_of(p), p._initial, strict=True))
    assert moved[100.0] < 0.2 * moved[0.0]


def weights_of(p: EnsemblePosterior) -> list[torch.Tensor]:
    return [w.detach().clone() for w in p._weights]


def test_nothing_is_learned_before_min_pairs() -> None:
    p = posterior(EnsembleConfig(members=2, hidden=4, min_pairs=10))
    before = weights_of(p)
    assert "posterior_loss" not in p.update(features(0, 9), features(1, 9), 9)
    assert all(map(torch.equal, before, weights_of(p)))
    assert "posterior_loss" in p.update(features(2, 1), features(3, 1), 10)
    assert not all(map(torch.equal, before, weights_of(p)))


def test_no_new_pairs_still_learn_from_the_buffer() -> None:
    p = posterior()
    p.update(features(0, 9), features(1, 9), 9)
    before = weights_of(p)
    metrics = p.update(features(0, 0), features(0, 0), 9)
    assert "posterior_accuracy" not in metrics and not all(map(torch.equal, before, weights_of(p)))


def test_the_buffer_drops_the_oldest_first() -> None:
    p = posterior(EnsembleConfig(members=2, hidden=4, min_pairs=10**9, buffer=5))
    chosen, rejected = features(0, 8), features(1, 8)
    for k in range(8):
        p.update(chosen[k : k + 1], rejected[k : k + 1], k)
    assert np.array_equal(p.pairs.chosen, chosen[3:]) and np.array_equal(p.pairs.rejected, rejected[3:])


def test_the_buffer_holds_the_latest_pairs_however_they_come() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 7, 40):
        buffer, shown = PairBuffer(3, size), np.empty((2, 0, 3), np.float32)
        for n in rng.integers(0, 15, 60):
            pairs = rng.standard_normal((2, n, 3)).astype(np.float32)
            buffer.add(*pairs)
            shown = np.concatenate([shown, pairs], 1)
            assert np.array_equal([buffer.chosen, buffer.rejected], shown[:, -size:]) and len(buffer) == len(
                buffer.chosen
            )
            if n == 3:
                state, buffer = buffer.state_dict(), PairBuffer(3, size)
                buffer.load_state_dict(state)


def test_accuracy_is_measured_before_learning_from_the_pair() -> None:
    p = posterior()
    chosen, rejected = features(4, 30), features(5, 30)
    expected = (p.rewards(chosen).mean(0) > p.rewards(rejected).mean(0)).mean()
    assert p.update(chosen, rejected, 30)["posterior_accuracy"] == pytest.approx(expected)


def test_a_minibatch_is_drawn_without_replacement() -> None:
    p = posterior(EnsembleConfig(members=2, hidden=4, min_pairs=1, minibatch=10, steps=1))
    chosen, rejected = features(0, 10), features(1, 10)
    gap = (p.rewards(chosen) - p.rewards(rejected)).astype(np.float64)
    metrics = p.update(chosen, rejected, 10)  # a minibatch of all pairs is all pairs, each once
    assert metrics["posterior_loss"] == pytest.approx(float(np.log1p(np.exp(-gap)).mean()), rel=1e-4)


@pytest.mark.parametrize("rounds", [0, 3])
def test_a_restored_posterior_goes_on_bit_for_bit(tmp_path: Path, rounds: int) -> None:
    config = EnsembleConfig(members=3, hidden=6, min_pairs=2, minibatch=4, buffer=20)
    whole = posterior(config)
    for k in range(rounds):
        whole.update(features(k, 5), features(k + 50, 5), 5 * k + 5)
    save_checkpoint(tmp_path / "c", whole.state_dict())
    state = load_checkpoint(tmp_path / "c")
    assert state is not None
    resumed = EnsemblePosterior(DIM, np.random.default_rng(77), config)
    resumed.load_state_dict(state)
    for k in range(rounds, rounds + 3):
        for p in (whole, resumed):
            p.update(features(k, 5), features(k + 50, 5), 5 * k + 5)
    assert all(map(torch.equal, weights_of(whole), weights_of(resumed)))
    assert np.array_equal(whole.rewards(features(7, 9)), resumed.rewards(features(7, 9)))


def test_a_posterior_saved_before_its_first_score_is_restored_unstandardised(tmp_path: Path) -> None:
    fresh = EnsemblePosterior(DIM, np.random.default_rng(0), SMALL)
    save_checkpoint(tmp_path / "c", fresh.state_dict())
    resumed = EnsemblePosterior(DIM, np.random.default_rng(1), SMALL)
    resumed.load_state_dict(copy.deepcopy(load_checkpoint(tmp_path / "c")) or {})
    assert np.array_equal(fresh.rewards(features(0, 9)), resumed.rewards(features(0, 9)))


def test_it_learns_a_linear_utility_and_is_unsure_where_it_saw_nothing() -> None:
    w = np.array([1.0, -2.0, 0.5, 0.0], np.float32)
    p = posterior(EnsembleConfig(members=8, hidden=32, min_pairs=8))
    for k in range(40):
        a, b = features(k, 16), features(1000 + k, 16)
        a_wins = (a @ w > b @ w)[:, None]
        p.update(np.where(a_wins, a, b), np.where(a_wins, b, a), 16 * (k + 1))
    a, b = features(5000, 400), features(5001, 400)
    agree = (p.rewards(a).mean(0) > p.rewards(b).mean(0)) == (a @ w > b @ w)
    assert agree.mean() > 0.9
    assert p.rewards(a * 20).std(0).mean() > 3 * p.rewards(a).std(0).mean()
