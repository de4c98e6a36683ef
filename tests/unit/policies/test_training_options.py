"""LoRA, recomputed activations, small batches and low precision: each the same training, only cheaper."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM

from duelbench.learning.learner import LearnerConfig, PreferenceLearner
from duelbench.policies import loading
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.types import Responses

PROMPTS = ["the fox", "a sad line in the rain", "x", "the rain in the fox in the rain"]


def policy(folder: Path, **options: Any) -> CausalLMPolicy:
    return CausalLMPolicy(folder, **{"dtype": "float32", "max_new_tokens": 10, **options})


def drawn(ours: CausalLMPolicy, **options: Any) -> Responses:
    return ours.sample({"prompt": PROMPTS}, 2, np.random.default_rng(0), **options)


def pairs(responses: Responses) -> tuple[Responses, Responses]:
    zeros = np.zeros(len(responses), np.int64)
    return responses.pick(zeros), responses.pick(zeros + 1)


def gradients(ours: CausalLMPolicy) -> list[torch.Tensor]:
    ours.log_probs(drawn(ours, reference=True).pick(np.zeros(4, np.int64))).sum().backward()
    return [parameter.grad.clone() for parameter in ours.parameters()]


def test_a_fresh_adapter_changes_nothing_and_is_all_that_is_trained(any_model: Path) -> None:
    full, low_rank = policy(any_model), policy(any_model, lora_rank=3)
    np.testing.assert_array_equal(drawn(full).actions, drawn(low_rank).actions)
    shapes = [tuple(p.shape) for p in low_rank.parameters()]
    assert shapes and all(3 in shape for shape in shapes)
    assert low_rank.state_dict().keys() == {n for n, p in low_rank._model.named_parameters() if p.requires_grad}


def test_adapters_begin_the_same_and_leave_the_global_generator_alone(any_model: Path) -> None:
    torch.manual_seed(5)
    first = policy(any_model, lora_rank=2).state_dict()
    torch.rand(3)
    state = torch.get_rng_state()
    second = policy(any_model, lora_rank=2).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_trained_adapter_is_what_peft_merges_and_the_reference_stays(any_model: Path) -> None:
    ours = policy(any_model, lora_rank=3, lora_alpha=12)
    before = drawn(ours, reference=True)
    learner = PreferenceLearner(ours, LearnerConfig(learning_rate=3e-2))
    for _ in range(3):
        learner.step(*pairs(before))
    after = drawn(ours, reference=True)
    np.testing.assert_array_equal(before.reference_log_probs, after.reference_log_probs)
    scored = ours.log_probs(before.pick(np.zeros(4, np.int64))).detach()
    assert (scored.numpy() - before.reference_log_probs[:, 0]).__abs__().max() > 0.1

    ours._adapter.merge_adapter()  # peft writes W + s B A into the base weights
    merged = {name.replace(".base_layer", ""): p for name, p in ours._model.named_parameters() if "lora_" not in name}
    plain = AutoModelForCausalLM.from_pretrained(any_model, dtype=torch.float32)
    assert not plain.load_state_dict(merged, strict=False).unexpected_keys
    plain.save_pretrained(any_model.parent / f"merged-{any_model.name}")
    ours._tokens._tokenizer.save_pretrained(any_model.parent / f"merged-{any_model.name}")
    theirs = policy(any_model.parent / f"merged-{any_model.name}")
    want = theirs.log_probs(before.pick(np.zeros(4, np.int64))).detach()
    torch.testing.assert_close(scored, want, atol=1e-4, rtol=1e-4)


def test_adapter_gradients_are_those_of_peft(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folded matrices against peft's own forward pass, which the generic network runs."""
    ours = policy(llama, lora_rank=2)
    monkeypatch.setattr("duelbench.policies.networks.llama.llama.LlamaNetwork.supports", lambda config: False)
    theirs = policy(llama, lora_rank=2)
    torch.manual_seed(0)
    noise = {name: 0.1 * torch.randn_like(tensor) for name, tensor in ours.state_dict().items()}
    ours.load_state_dict(noise)
    theirs.load_state_dict(noise)
    for mine, other in zip(gradients(ours), gradients(theirs), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-3)


def test_recomputed_activations_give_the_same_gradients(any_model: Path) -> None:
    ours, recomputing = policy(any_model), policy(any_model, checkpointing=True)
    for mine, other in zip(gradients(ours), gradients(recomputing), strict=True):
        torch.testing.assert_close(mine, other)


def test_activations_are_recomputed(any_model: Path) -> None:
    """Fewer bytes are kept for the backward pass."""

    def kept(ours: CausalLMPolicy) -> int:
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            ours.log_probs(pairs(drawn(ours))[0])
        return sum(sizes)

    assert kept(policy(any_model, checkpointing=True)) < 0.8 * kept(policy(any_model))


@pytest.mark.parametrize("size", [1, 3, 4])
def test_small_batches_add_up_to_the_whole(any_model: Path, size: int) -> None:
    whole, parts = policy(any_model), policy(any_model)
    duel = pairs(drawn(whole))
    sums = []
    for ours, micro_batch in ((whole, 0), (parts, size)):
        mine = [torch.zeros_like(p) for p in ours.parameters()]
        for parameter, total in zip(ours.parameters(), mine, strict=True):
            parameter.register_hook(partial(_add_to, total))
        metrics = PreferenceLearner(ours, LearnerConfig(micro_batch=micro_batch)).step(*duel)
        assert metrics["pairs"] == 4.0
        sums.append(mine)
    for mine, other in zip(*sums, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-4)


def _add_to(total: torch.Tensor, gradient: torch.Tensor) -> None:
    total.add_(gradient)


def test_bfloat16_is_close_and_trains_float32_weights(any_model: Path) -> None:
    exact, rough = policy(any_model), policy(any_model, dtype="bfloat16")
    answers = drawn(exact).pick(np.zeros(4, np.int64))
    want, got = exact.log_probs(answers), rough.log_probs(answers)
    torch.testing.assert_close(want, got, atol=1.5, rtol=0.05)
    assert not torch.equal(want, got)
    assert {p.dtype for p in rough.parameters()} == {torch.float32}
    PreferenceLearner(rough, LearnerConfig(learning_rate=1e-6)).step(*pairs(drawn(rough)))  # raises if nothing moved


def test_the_learning_rate_warms_up_and_falls_to_a_tenth() -> None:
    config = LearnerConfig(learning_rate=1.0, warmup_steps=4, decay_steps=24)
    assert [config.rate(step) for step in (0, 3, 4)] == [0.25, 1.0, 1.0]
    assert config.rate(14) == pytest.approx(0.55)
    assert config.rate(24) == config.rate(500) == pytest.approx(0.1)
    assert LearnerConfig(learning_rate=0.5).rate(10_000) == 0.5


@pytest.mark.parametrize(
    ("tiles", "instructions", "maker", "faster"),
    [
        (True, True, "GenuineIntel", True),
        (False, True, "GenuineIntel", False),
        (False, True, "AuthenticAMD", True),
        (False, False, "AuthenticAMD", False),
    ],
)
def test_bfloat16_is_taken_where_the_cpu_multiplies_faster_in_it(
    monkeypatch: pytest.MonkeyPatch, tiles: bool, instructions: bool, maker: str, faster: bool
) -> None:
    monkeypatch.delenv("DUELBENCH_DTYPE", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
    monkeypatch.setattr(Path, "read_text", lambda path, **_: f"vendor_id\t: {maker}\n")
    assert loading.multiplies_bfloat16("cpu") is faster
    for chosen in ("float32", "bfloat16"):
        monkeypatch.setenv("DUELBENCH_DTYPE", chosen)
        assert loading.multiplies_bfloat16("cpu") == (chosen == "bfloat16")


class _Casts(TorchDispatchMode):
    """Counts casts of tensors of a model."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.places = {parameter.data_ptr() for parameter in model.parameters() if parameter.dim() == 2}
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._to_copy.default and args[0].data_ptr() in self.places:
            self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("tokens", [2, 10])
def test_a_draw_casts_each_weight_once(any_model: Path, tokens: int) -> None:
    ours = policy(any_model, dtype="bfloat16", max_new_tokens=tokens)
    with _Casts(ours._model) as casts:
        ours.sample({"prompt": PROMPTS}, 2, np.random.default_rng(0), detail="texts")
    assert 0 < casts.count <= len(casts.places)
