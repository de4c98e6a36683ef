"""The geometric mixture of policy and reference, against mixtures written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import AutoModelForCausalLM

from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.policies.pool import PoolPolicy
from duelbench.protocols import FinitePolicy, MixturePolicy

PROMPTS = ["the fox", "a sad line in the rain", "x"]
STEPS = 10


def moved(policy: CausalLMPolicy | PoolPolicy, scale: float) -> None:
    with torch.no_grad():
        generator = torch.manual_seed(5)
        for parameter in policy.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    policy.changed()


def pool() -> tuple[PoolPolicy, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    policy = PoolPolicy(3, rng, hidden=4)
    moved(policy, 1.0)
    reference = np.log(rng.dirichlet(np.ones(5), size=2)).astype(np.float32)
    return policy, {"features": rng.standard_normal((2, 5, 3)).astype(np.float32), "reference_log_probs": reference}


def test_the_mixture_on_a_pool_is_the_normalised_one() -> None:
    policy, seen = pool()
    assert isinstance(policy, MixturePolicy) and isinstance(policy, FinitePolicy)
    log_probs = policy.everything(seen).log_probs.astype(np.float64)
    want = np.exp(log_probs) ** 0.7 * np.exp(seen["reference_log_probs"]) ** 0.3
    want /= want.sum(-1, keepdims=True)
    drawn = policy.sample_mixture(seen, 4000, np.random.default_rng(1), 0.3)
    np.testing.assert_allclose(np.exp(drawn.log_probs[0]), want[0, drawn.actions[0]], rtol=1e-5)
    for row in range(2):
        assert chisquare(np.bincount(drawn.actions[row], minlength=5), 4000 * want[row]).pvalue > 1e-3


def test_a_share_of_0_is_the_policy_and_of_1_the_reference() -> None:
    policy, seen = pool()
    for share, reference in ((0.0, False), (1.0, True)):
        mixed = policy.sample_mixture(seen, 50, np.random.default_rng(2), share)
        plain = policy.sample(seen, 50, np.random.default_rng(2), reference=reference)
        assert np.array_equal(mixed.actions, plain.actions)


def test_everything_is_the_whole_pool_in_order() -> None:
    policy, seen = pool()
    listed = policy.everything(seen)
    assert listed.actions.tolist() == [list(range(5))] * 2
    np.testing.assert_allclose(np.exp(listed.log_probs).sum(-1), 1.0, rtol=1e-6)
    assert np.array_equal(listed.features, seen["features"])


def test_mixing_equal_models_changes_nothing(any_model: Path) -> None:
    """Where two models share one cache by mistake, this is what breaks."""
    policy = CausalLMPolicy(any_model, dtype="float32", max_new_tokens=STEPS)
    mixed = policy.sample_mixture({"prompt": PROMPTS}, 3, np.random.default_rng(0), 0.4)
    plain = policy.sample({"prompt": PROMPTS}, 3, np.random.default_rng(0))
    assert np.array_equal(mixed.payload["tokens"], plain.payload["tokens"])
    np.testing.assert_allclose(mixed.log_probs, plain.log_probs, atol=1e-4)


def test_the_mixture_of_language_models_is_normalised_token_by_token(any_model: Path) -> None:
    policy = CausalLMPolicy(any_model, dtype="float32", max_new_tokens=STEPS)
    reference = AutoModelForCausalLM.from_pretrained(any_model, dtype=torch.float32).eval()
    current = AutoModelForCausalLM.from_pretrained(any_model, dtype=torch.float32).eval()
    moved(policy, 0.05)
    state = policy.state_dict()
    with torch.no_grad():
        for name, parameter in current.named_parameters():
            parameter.copy_(state[name])
    drawn = policy.sample_mixture({"prompt": PROMPTS}, 3, np.random.default_rng(0), 0.4)
    assert len(np.unique(drawn.lengths)) > 1  # rows left while others went on
    assert not np.allclose(drawn.log_probs, drawn.reference_log_probs, atol=1e-2)
    for b, m in np.ndindex(3, 3):
        prompt = torch.from_numpy(drawn.context["prompt_tokens"][b, : drawn.context["prompt_lengths"][b]])
        answer = torch.from_numpy(drawn.payload["tokens"][b, m, : drawn.lengths[b, m]])
        with torch.no_grad():
            whole = torch.cat([prompt, answer])[None]
            logits = [model(whole).logits[0, len(prompt) - 1 : -1] for model in (current, reference)]
        probabilities = logits[0].softmax(-1) ** 0.6 * logits[1].softmax(-1) ** 0.4
        probabilities /= probabilities.sum(-1, keepdim=True)
        want = probabilities.gather(1, answer[:, None]).log().sum().item()
        assert drawn.log_probs[b, m] == pytest.approx(want, abs=2e-3)


def test_a_sampler_elsewhere_cannot_mix(llama: Path) -> None:
    policy = CausalLMPolicy(llama, dtype="float32", max_new_tokens=2)
    policy.sampler = object()  # type: ignore[assignment]
    with pytest.raises(ValueError, match="sampler='own'"):
        policy.sample_mixture({"prompt": PROMPTS}, 1, np.random.default_rng(0), 0.5)
