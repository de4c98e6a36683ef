from __future__ import annotations

import math

import numpy as np
import pytest
import torch

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


def rows(*tensors: torch.Tensor) -> list[tuple[float, ...]]:
    return list(zip(*(t.tolist() for t in tensors), strict=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_dpo(pairs: tuple[torch.Tensor, ...], smoothing: float) -> None:
    want = []
    for c, r, rc, rr in rows(*pairs):
        delta = (c - rc) - (r - rr)
        want.append(-(1 - smoothing) * math.log(sigmoid(0.3 * delta)) - smoothing * math.log(sigmoid(-0.3 * delta)))
    got = dpo(*pairs, beta=0.3, label_smoothing=smoothing)
    np.testing.assert_allclose(got.tolist(), want, rtol=1e-6)


def test_ipo(pairs: tuple[torch.Tensor, ...], lengths: tuple[torch.Tensor, torch.Tensor]) -> None:
    whole = [((c - rc) - (r - rr) - 1 / 0.6) ** 2 for c, r, rc, rr in rows(*pairs)]
    np.testing.assert_allclose(ipo(*pairs, beta=0.3).tolist(), whole, rtol=1e-6)
    average = [((c - rc) / lc - (r - rr) / lr - 1 / 0.6) ** 2 for c, r, rc, rr, lc, lr in rows(*pairs, *lengths)]
    got = ipo(*pairs, beta=0.3, length_average=True, lengths_chosen=lengths[0], lengths_rejected=lengths[1])
    np.testing.assert_allclose(got.tolist(), average, rtol=1e-6)


def test_ipo_average_needs_lengths(pairs: tuple[torch.Tensor, ...]) -> None:
    with pytest.raises(ValueError, match="lengths_chosen"):
        ipo(*pairs, length_average=True)


def test_slic(pairs: tuple[torch.Tensor, ...]) -> None:
    want = [max(0.0, 1 - 0.2 * ((c - rc) - (r - rr))) for c, r, rc, rr in rows(*pairs)]
    assert 0.0 in want and max(want) > 0  # both sides of the hinge
    np.testing.assert_allclose(slic(*pairs).tolist(), want, rtol=1e-6)


def test_simpo(pairs: tuple[torch.Tensor, ...], lengths: tuple[torch.Tensor, torch.Tensor]) -> None:
    want = [-math.log(sigmoid(2 * (c / lc - r / lr - 0.5))) for c, r, lc, lr in rows(*pairs[:2], *lengths)]
    got = simpo(*pairs[:2], lengths_chosen=lengths[0], lengths_rejected=lengths[1])
    np.testing.assert_allclose(got.tolist(), want, rtol=1e-6)


def test_minimising_the_bonus_makes_reference_samples_less_likely(pairs: tuple[torch.Tensor, ...]) -> None:
    bonus = xpo_bonus(pairs[0], coefficient=0.25)
    np.testing.assert_allclose(bonus.tolist(), (0.25 * pairs[0]).tolist(), rtol=1e-12)
    bonus.mean().backward()
    assert (pairs[0].grad > 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name: str, pairs: tuple[torch.Tensor, ...], lengths: tuple[torch.Tensor, torch.Tensor]) -> None:
    extra = {"lengths_chosen": lengths[0], "lengths_rejected": lengths[1]} if name in ("ipo", "simpo") else {}
    inputs = pairs[:2] if name == "simpo" else pairs
    assert torch.autograd.gradcheck(lambda *x: LOSSES[name](*x, **extra), inputs)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_falls_as_the_chosen_response_gains(
    name: str, pairs: tuple[torch.Tensor, ...], lengths: tuple[torch.Tensor, torch.Tensor]
) -> None:
    same = torch.full((1,), -10.0, dtype=torch.float64, requires_grad=True)
    size = {"lengths_chosen": torch.ones(1), "lengths_rejected": torch.ones(1)} if name in ("ipo", "simpo") else {}
    other = torch.full((1,), -10.0, dtype=torch.float64)
    inputs = (same, other) if name == "simpo" else (same, other, other, other)
    LOSSES[name](*inputs, **size).sum().backward()
    assert same.grad.item() < 0


def test_huge_margins_stay_finite() -> None:
    huge = torch.tensor([1e4], dtype=torch.float64)
    for first, second in ((huge, -huge), (-huge, huge)):
        assert torch.isfinite(dpo(first, second, 0 * huge, 0 * huge, label_smoothing=0.1)).all()
