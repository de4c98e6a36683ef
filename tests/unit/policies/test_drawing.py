from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from duelbench.chat.local import LocalChat
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.policies.finite import NonFiniteLogitsError
from duelbench.policies.pool import PoolPolicy
from duelbench.policies.samplers.drawing import draw, invert

NEXT_TO_ONE = np.nextafter(1.0, 0.0)
PROMPTS = {"prompt": ["the fox", "a sad line"]}


@pytest.mark.parametrize("size", [3, 64, 65, 200, 1000])
@pytest.mark.parametrize("uniform", [0.0, 1e-12, 0.5, 1 - 2.0**-25, NEXT_TO_ONE])
def test_a_token_of_probability_zero_is_never_drawn(size: int, uniform: float) -> None:
    """Wherever the zeros stand: a uniform next to 1 is 1 in float32."""
    rng = np.random.default_rng(size)
    weights = torch.from_numpy(rng.dirichlet(np.ones(size), 400)).float()
    zero = torch.from_numpy(rng.random((400, size)) < rng.random((400, 1)))
    zero[::2, size // 2 :] = True  # whole blocks at the end
    zero[1::4, : size // 2] = True  # and at the beginning
    zero[torch.arange(400), torch.from_numpy(rng.integers(size, size=400))] = False
    weights[zero] = 0.0
    drawn = invert(weights / weights.sum(-1, keepdim=True), torch.full((400,), uniform, dtype=torch.float64))
    assert (weights.gather(1, drawn[:, None]) > 0).all()


def test_temperature_zero_takes_the_likeliest_token(any_model: Path) -> None:
    rng = np.random.default_rng(0)
    cold = CausalLMPolicy(any_model, temperature=0.0)
    greedy = CausalLMPolicy(any_model).sample(PROMPTS, 2, rng, greedy=True)
    drawn = cold.sample(PROMPTS, 2, rng)
    np.testing.assert_array_equal(drawn.payload["tokens"], greedy.payload["tokens"])
    np.testing.assert_array_equal(cold.sample_mixture(PROMPTS, 2, rng, 0.0).actions, greedy.actions)
    assert (
        LocalChat(str(any_model), max_new_tokens=32).complete(PROMPTS["prompt"], rng) == greedy.actions[:, 0].tolist()
    )


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_logits_that_are_not_finite_stop_the_draw(bad: float, temperature: float) -> None:
    logits = torch.zeros(3, 10)
    logits[1, 4] = bad
    for uniforms in (None, torch.full((3,), 0.5, dtype=torch.float64)):
        with pytest.raises(NonFiniteLogitsError, match="not finite"):
            draw(logits, uniforms, temperature)
    logits[1] = -torch.inf
    with pytest.raises(NonFiniteLogitsError):
        draw(logits, None, temperature)


def test_a_token_that_a_model_rules_out_is_no_fault() -> None:
    logits = torch.zeros(1, 3)
    logits[0, 0] = -torch.inf
    assert draw(logits, torch.zeros(1, dtype=torch.float64), 1.0)[0].item() == 1


def test_weights_that_came_to_be_nan_stop_the_policy(any_model: Path) -> None:
    ours, rng = CausalLMPolicy(any_model), np.random.default_rng(0)
    drawn = ours.sample(PROMPTS, 1, rng)
    with torch.no_grad():
        [*ours.parameters()][-1].view(-1)[0] = torch.nan
    ours.changed()
    for sample in (
        lambda: ours.sample(PROMPTS, 2, rng),
        lambda: ours.sample(PROMPTS, 1, rng, greedy=True),
        lambda: ours.sample_mixture(PROMPTS, 1, rng, 0.5),
        lambda: ours.score(drawn.prompts, [*drawn.actions[:, 0]]),
    ):
        with pytest.raises(NonFiniteLogitsError):
            sample()


def test_a_pool_whose_numbers_are_not_finite_stops_the_policy() -> None:
    rng = np.random.default_rng(0)
    policy, features = PoolPolicy(2, rng), np.zeros((1, 3, 2), np.float32)
    observation = {"features": features, "reference_log_probs": np.zeros((1, 3), np.float32)}
    policy.sample(observation, 2, rng)
    features[0, 1, 0] = np.nan
    for options in ({}, {"greedy": True}):
        with pytest.raises(NonFiniteLogitsError):
            policy.sample(observation, 2, rng, **options)  # type: ignore[arg-type]
    with pytest.raises(NonFiniteLogitsError):
        policy.sample_mixture(observation, 2, rng, 0.5)
    with pytest.raises(NonFiniteLogitsError):
        policy.sample({"features": features, "reference_log_probs": features[..., 0]}, 1, rng, reference=True)
