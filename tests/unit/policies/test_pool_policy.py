"""The softmax policy over a pool, against the softmax written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import chi2

from duelbench.policies.pool import PoolPolicy

B, N, DIM = 5, 6, 4


def observation(seed: int = 0, rows: int = B) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((rows, N)).astype(np.float32)
    return {
        "prompt": tuple(f"prompt {b}" for b in range(rows)),
        "prompt_id": np.arange(rows),
        "features": rng.standard_normal((rows, N, DIM)).astype(np.float32),
        "reference_log_probs": logits - np.log(np.exp(logits).sum(-1, keepdims=True)),
    }


def trained(hidden: int = 8) -> PoolPolicy:
    """A policy away from its reference."""
    policy = PoolPolicy(DIM, np.random.default_rng(1), hidden)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.manual_seed(2)))
    return policy


def by_hand(policy: PoolPolicy, seen: dict[str, object], hidden: int = 8) -> NDArray[np.float64]:
    """log π of the whole pool, (B, N), in float64."""
    weights = [p.detach().double().numpy() for p in policy.parameters()]
    out = np.empty((len(seen["prompt_id"]), N))  # type: ignore[arg-type]
    for b, n in np.ndindex(*out.shape):
        x = seen["features"][b, n].astype(np.float64)  # type: ignore[index]
        score = weights[2] @ np.tanh(weights[0] @ x + weights[1]) if hidden else weights[0] @ x
        out[b, n] = seen["reference_log_probs"][b, n] + score.item()  # type: ignore[index]
    return out - np.log(np.exp(out).sum(-1, keepdims=True))


@pytest.mark.parametrize("hidden", [0, 8])
def test_it_starts_exactly_at_its_reference(hidden: int) -> None:
    policy, seen = PoolPolicy(DIM, np.random.default_rng(1), hidden), observation()
    sample = policy.sample(seen, 200, np.random.default_rng(0))
    np.testing.assert_allclose(sample.log_probs, sample.reference_log_probs, atol=1e-6)
    again = policy.sample(seen, 200, np.random.default_rng(0), reference=True)
    assert np.array_equal(sample.actions, again.actions)


@pytest.mark.parametrize("hidden", [0, 8])
def test_log_probs_and_their_gradient_match_the_softmax_written_out(hidden: int) -> None:
    policy, seen = trained(hidden), observation()
    table = by_hand(policy, seen, hidden)
    picked = policy.sample(seen, 3, np.random.default_rng(0)).pick(np.zeros(B, np.int64))
    log_probs = policy.log_probs(picked)
    expected = table[np.arange(B), picked.actions]
    np.testing.assert_allclose(log_probs.detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(picked.log_probs, expected, rtol=1e-4, atol=1e-5)

    log_probs.sum().backward()
    for parameter in policy.parameters():
        assert parameter.grad is not None
        flat, gradient = parameter.data.view(-1), parameter.grad.view(-1)
        for i in range(0, len(flat), 5):  # central differences of the written-out softmax
            kept = flat[i].item()
            sides = []
            for h in (1e-2, -1e-2):
                flat[i] = kept + h
                sides.append(by_hand(policy, seen, hidden)[np.arange(B), picked.actions].sum())
            flat[i] = kept
            assert gradient[i].item() == pytest.approx((sides[0] - sides[1]) / 2e-2, rel=2e-2, abs=2e-3)


@pytest.mark.parametrize("reference", [False, True])
def test_samples_are_distributed_as_the_softmax(reference: bool) -> None:
    policy, seen, n = trained(), observation(), 20_000
    table = np.asarray(seen["reference_log_probs"], np.float64) if reference else by_hand(policy, seen)
    actions = policy.sample(seen, n, np.random.default_rng(3), reference=reference).actions
    for b in range(B):
        counts = np.bincount(actions[b], minlength=N)
        expected = n * np.exp(table[b])
        assert ((counts - expected) ** 2 / expected).sum() < chi2.ppf(1 - 1e-6, N - 1)


def test_samples_of_a_prompt_are_independent() -> None:
    pair = trained().sample(observation(), 2, np.random.default_rng(0)).actions
    assert pair.shape == (B, 2)
    many = trained().sample(observation(rows=1), 20_000, np.random.default_rng(0)).actions[0]
    assert abs(np.corrcoef(many[::2], many[1::2])[0, 1]) < 5 / np.sqrt(10_000)


def test_greedy_takes_the_most_probable() -> None:
    policy, seen = trained(), observation()
    greedy = policy.sample(seen, 3, np.random.default_rng(0), greedy=True)
    assert np.array_equal(greedy.actions, by_hand(policy, seen).argmax(-1)[:, None].repeat(3, 1))
    reference = policy.sample(seen, 1, np.random.default_rng(0), greedy=True, reference=True)
    assert np.array_equal(reference.actions[:, 0], seen["reference_log_probs"].argmax(-1))  # type: ignore[attr-defined]


def test_responses_carry_what_belongs_to_their_column() -> None:
    policy, seen = trained(), observation()
    sample = policy.sample(seen, 4, np.random.default_rng(0))
    assert sample.prompts == seen["prompt"]
    assert (sample.lengths == 1).all() and sample.actions.dtype == np.int64
    for b, m in np.ndindex(B, 4):
        column = sample.actions[b, m]
        assert np.array_equal(sample.features[b, m], seen["features"][b, column])  # type: ignore[index]
        assert sample.reference_log_probs[b, m] == seen["reference_log_probs"][b, column]  # type: ignore[index]


def test_a_response_of_no_probability_is_never_sampled() -> None:
    seen = observation()
    seen["reference_log_probs"] = np.full((B, N), -np.inf, np.float32)
    seen["reference_log_probs"][:, [1, 4]] = np.log([0.25, 0.75])  # type: ignore[index]
    actions = PoolPolicy(DIM, np.random.default_rng(0)).sample(seen, 2000, np.random.default_rng(0)).actions
    assert set(actions.ravel().tolist()) == {1, 4}


def test_state_comes_back() -> None:
    policy, other, seen = trained(), PoolPolicy(DIM, np.random.default_rng(9), 8), observation()
    other.load_state_dict(policy.state_dict())
    one, two = (p.sample(seen, 5, np.random.default_rng(0)) for p in (policy, other))
    assert np.array_equal(one.log_probs, two.log_probs) and np.array_equal(one.actions, two.actions)


def test_a_state_is_a_copy_that_later_steps_do_not_reach() -> None:
    policy = trained()
    state = policy.state_dict()
    before = {name: weight.clone() for name, weight in state.items()}
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(1.0)
    assert all(torch.equal(state[name], weight) for name, weight in before.items())
