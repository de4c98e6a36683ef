"""Losses of single responses against their formulas written out, and against what they are derived from."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from duelbench.learning.batches import ResponseBatch
from duelbench.learning.response_losses import (
    ResponseLoss,
    geb_bonus,
    likelihood,
    nash_md,
    score_function,
    selm_bonus,
    vpo_bonus,
    xpo_bonus,
)
from duelbench.types import Responses

N, ALPHA, BETA, TAU = 6, 0.3, 0.2, 0.15
RNG = np.random.default_rng(0)
LOG_PROBS = torch.tensor(-3 + RNG.standard_normal(N), requires_grad=True)
REFERENCE = torch.tensor(-3 + RNG.standard_normal(N))
VALUES = torch.tensor(RNG.random(N))
BATCH = ResponseBatch(LOG_PROBS, REFERENCE, VALUES)


def gradient(loss: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss.sum(), LOG_PROBS)
    return found


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        (partial(xpo_bonus, coefficient=ALPHA), lambda p, r, v: ALPHA * p),
        (partial(selm_bonus, alpha=ALPHA, beta=BETA), lambda p, r, v: ALPHA * BETA * (p - r)),
        (partial(vpo_bonus, alpha=ALPHA, beta=BETA), lambda p, r, v: ALPHA * BETA * (p - r)),
        (partial(vpo_bonus, alpha=ALPHA, beta=BETA, pessimistic=True), lambda p, r, v: -ALPHA * BETA * (p - r)),
        (partial(geb_bonus, coefficient=ALPHA), lambda p, r, v: ALPHA * math.exp(p)),
        (partial(score_function, coefficient=ALPHA), lambda p, r, v: -ALPHA * v * p),
        (partial(nash_md, tau=TAU), lambda p, r, v: -(v - 0.5 - TAU * (p - r)) * p),
        (likelihood, lambda p, r, v: -p),
    ],
)
def test_each_is_its_formula(function: Callable[..., Tensor], formula: Callable[..., float]) -> None:
    got = function(BATCH)
    want = [formula(*row) for row in zip(LOG_PROBS.tolist(), REFERENCE.tolist(), VALUES.tolist(), strict=True)]
    np.testing.assert_allclose(got.tolist(), want, rtol=1e-12)


@pytest.mark.parametrize(
    "loss",
    [
        partial(xpo_bonus, coefficient=ALPHA),
        partial(selm_bonus, alpha=ALPHA, beta=BETA),
        partial(vpo_bonus, alpha=ALPHA, beta=BETA, pessimistic=True),
        partial(geb_bonus, coefficient=ALPHA),
        partial(score_function, coefficient=ALPHA),
        likelihood,
    ],
)
def test_gradients(loss: Callable[[ResponseBatch], Tensor]) -> None:
    assert torch.autograd.gradcheck(lambda p: loss(ResponseBatch(p, REFERENCE, VALUES)), LOG_PROBS)


def test_selm_xpo_and_vpo_are_one_bonus_up_to_scale_and_sign() -> None:
    selm = gradient(selm_bonus(BATCH, alpha=ALPHA, beta=BETA))
    xpo = gradient(xpo_bonus(BATCH, coefficient=ALPHA * BETA))
    online, offline = (gradient(vpo_bonus(BATCH, alpha=ALPHA, beta=BETA, pessimistic=p)) for p in (False, True))
    assert torch.equal(selm, xpo) and torch.equal(selm, online) and torch.equal(offline, -online)
    assert (selm > 0).all()  # minimised: the reference's samples become less likely


def test_vpos_term_is_minus_alpha_times_the_value_of_the_reward() -> None:
    """J*(r) = max E r − β KL, found by brute force over rewards calibrated to mean 0 under the reference."""
    rng = np.random.default_rng(1)
    reference, reward = rng.dirichlet(np.ones(5)), rng.standard_normal(5)
    reward -= reference @ reward
    policy = reference * np.exp(reward / BETA)
    policy /= policy.sum()

    def objective(p: np.ndarray) -> float:
        return float(p @ reward - BETA * (p * np.log(p / reference)).sum())

    value = objective(policy)
    assert all(objective(p) < value for p in rng.dirichlet(np.ones(5), size=2000))
    for pessimistic, sign in ((False, -1), (True, 1)):
        batch = ResponseBatch(torch.tensor(policy).log(), torch.tensor(reference).log(), torch.zeros(5))
        term = vpo_bonus(batch, alpha=ALPHA, beta=BETA, pessimistic=pessimistic)
        assert (torch.tensor(reference) * term).sum().item() == pytest.approx(sign * ALPHA * value, rel=1e-10)


def test_geb_is_the_bonus_of_the_reverse_kl() -> None:
    """Minus κ [u f'(u) − f(u)] with f(u) = u log u and u = 1 + a − π, up to a constant."""
    probability = LOG_PROBS.exp()
    u = (1.0 + 0.7 - probability).detach().requires_grad_()
    f = u * u.log()
    (slope,) = torch.autograd.grad(f.sum(), u)
    bonus = u * slope - f
    got = geb_bonus(BATCH, coefficient=ALPHA)
    assert torch.allclose(got + ALPHA * bonus, torch.full_like(got, ALPHA * 1.7))


@pytest.fixture
def arms() -> tuple[Tensor, Tensor, Tensor]:
    """Logits with gradient, a reference distribution, and a cyclic preference of four arms."""
    rng = np.random.default_rng(2)
    logits = torch.tensor(rng.standard_normal(4), requires_grad=True)
    skew = rng.uniform(-0.4, 0.4, (4, 4))
    return logits, torch.tensor(rng.dirichlet(np.ones(4))), torch.tensor(0.5 + (skew - skew.T) / 2)


def test_the_score_function_has_the_gradient_of_the_expected_value(arms: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, _, preference = arms
    log_probs, values = logits.log_softmax(0), preference[0]
    weights = log_probs.detach().exp()
    (got,) = torch.autograd.grad(
        (weights * score_function(ResponseBatch(log_probs, log_probs, values - 0.3), coefficient=2.0)).sum(), logits
    )
    (want,) = torch.autograd.grad(-2.0 * (logits.softmax(0) * values).sum(), logits)
    assert torch.allclose(got, want)


def test_nash_md_climbs_the_regularised_preference(arms: tuple[Tensor, Tensor, Tensor]) -> None:
    """Expected over y ~ π, its gradient is that of τ KL(π ‖ μ) − P(π ≻ π')."""
    logits, reference, preference = arms
    rival = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    log_probs = logits.log_softmax(0)
    terms = nash_md(ResponseBatch(log_probs, reference.log(), preference @ rival), tau=TAU)
    (got,) = torch.autograd.grad((log_probs.detach().exp() * terms).sum(), logits)
    policy = logits.softmax(0)
    objective = policy @ preference @ rival - TAU * (policy * (policy / reference).log()).sum()
    (want,) = torch.autograd.grad(-objective, logits)
    assert torch.allclose(got, want)


def test_a_response_loss_hands_over_its_batch_and_keeps_rows_together() -> None:
    responses = Responses(
        prompts=("p",) * 3,
        actions=np.arange(3),
        log_probs=np.zeros(3, np.float32),
        reference_log_probs=np.array([1.0, 2.0, 3.0], np.float32),
        lengths=np.ones(3, np.int64),
        features=np.zeros((3, 0), np.float32),
    )
    given = {}

    def function(batch: ResponseBatch) -> Tensor:
        given.update(reference=batch.reference_log_probs.tolist(), values=batch.values.tolist())
        return batch.values

    loss = ResponseLoss(responses, function, np.array([10.0, 20.0, 30.0]))
    assert loss.rows(np.array([2, 0]))(torch.zeros(2)).tolist() == [30.0, 10.0]
    assert given == {"reference": [3.0, 1.0], "values": [30.0, 10.0]}
