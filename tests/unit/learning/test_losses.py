from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from duelbench.learning.batches import PairBatch, ResponseBatch
from duelbench.learning.pair_losses import LOSSES, dpo, ipo, simpo, slic
from duelbench.learning.response_losses import xpo_bonus

N = 7


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


@pytest.fixture
def pairs() -> tuple[torch.Tensor, ...]:
    rng = np.random.default_rng(3)
    return tuple(torch.tensor(-20 + 6 * rng.standard_normal(N)).requires_grad_() for _ in range(4))


@pytest.fixture
def lengths() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(4)
    return torch.tensor(rng.integers(1, 30, N)), torch.tensor(rng.integers(1, 30, N))


def batch(*tensors: torch.Tensor) -> PairBatch:
    one = torch.ones(len(tensors[0]))
    return PairBatch(*tensors, *(() if len(tensors) == 6 else (one, one)))


def rows(*tensors: torch.Tensor) -> list[tuple[float, ...]]:
    return list(zip(*(t.tolist() for t in tensors), strict=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_dpo(pairs: tuple[torch.Tensor, ...], smoothing: float) -> None:
    want = []
    for c, r, rc, rr in rows(*pairs):
        delta = (c - rc) - (r - rr)
        want.append(-(1 - smoothing) * math.log(sigmoid(0.3 * delta)) - smoothing * math.log(sigmoid(-0.3 * delta)))
    got = dpo(batch(*pairs), beta=0.3, label_smoothing=smoothing)
    np.testing.assert_allclose(got.tolist(), want, rtol=1e-6)


def test_ipo(pairs: tuple[torch.Tensor, ...], lengths: tuple[torch.Tensor, torch.Tensor]) -> None:
    whole = [((c - rc) - (r - rr) - 1 / 0.6) ** 2 for c, r, rc, rr in rows(*pairs)]
    np.testing.assert_allclose(ipo(batch(*pairs), beta=0.3).tolist(), whole, rtol=1e-6)
    average = [((c - rc) / lc - (r - rr) / lr - 1 / 0.6) ** 2 for c, r, rc, rr, lc, lr in rows(*pairs, *lengths)]
    got = ipo(batch(*pairs, *lengths), beta=0.3, length_average=True)
    np.testing.assert_allclose(got.tolist(), average, rtol=1e-6)


def test_slic(pairs: tuple[torch.Tensor, ...]) -> None:
    want = [max(0.0, 1 - 0.2 * ((c - rc) - (r - rr))) for c, r, rc, rr in rows(*pairs)]
    assert 0.0 in want and max(want) > 0  # both sides of the hinge
    np.testing.assert_allclose(slic(batch(*pairs)).tolist(), want, rtol=1e-6)


def test_simpo(pairs: tuple[torch.Tensor, ...], lengths: tuple[torch.Tensor, torch.Tensor]) -> None:
    want = [-math.log(sigmoid(2 * (c / lc - r / lr - 0.5))) for c, r, lc, lr in rows(*pairs[:2], *lengths)]
    got = simpo(batch(*pairs, *lengths))
    np.testing.assert_allclose(got.tolist(), want, rtol=1e-6)


def test_minimising_the_bonus_makes_reference_samples_less_likely(pairs: tuple[torch.Tensor, ...]) -> None:
    bonus = xpo_bonus(ResponseBatch(*pairs[:3]), coefficient=0.25)
    np.testing.assert_allclose(bonus.tolist(), (0.25 * pairs[0]).tolist(), rtol=1e-12)
    bonus.mean().backward()
    assert (pairs[0].grad > 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name: str, pairs: tuple[torch.Tensor, ...], lengths: tuple[torch.Tensor, torch.Tensor]) -> None:
    assert torch.autograd.gradcheck(lambda *x: LOSSES[name](batch(*x, *lengths)), pairs)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_falls_as_the_chosen_response_gains(name: str) -> None:
    same = torch.full((1,), -10.0, dtype=torch.float64, requires_grad=True)
    other = torch.full((1,), -10.0, dtype=torch.float64)
    LOSSES[name](batch(same, other, other, other)).sum().backward()
    assert same.grad is not None and same.grad.item() < 0


def test_huge_margins_stay_finite() -> None:
    huge = torch.tensor([1e4], dtype=torch.float64)
    for first, second in ((huge, -huge), (-huge, huge)):
        assert torch.isfinite(dpo(batch(first, second, 0 * huge, 0 * huge), label_smoothing=0.1)).all()
