"""Models with recurrent states, and others without a key-value cache, against forward passes one text at a time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from duelbench.assets.model_source import ModelUnavailableError
from duelbench.oracles.registry import make_oracle
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.policies.networks.generic import GenericNetwork
from duelbench.policies.networks.llama.recomputing import RecomputingNetwork
from duelbench.types import concatenate

PROMPTS = ["the fox", "a sad line in the rain", "x"]
SMALL = {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "bos_token_id": 1, "eos_token_id": 2}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 48, "max_position_embeddings": 128}
SSM = {"state_size": 8, "num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 8}
MOE = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32}
LINEAR = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "head_dim": 16,
    "layer_types": ["linear_attention", "full_attention"],
}
CONFIGS: dict[str, dict[str, Any]] = {
    "Mamba": {"state_size": 8},
    "Mamba2": SSM,
    "Rwkv": {"context_length": 128, "attention_hidden_size": 32, "intermediate_size": 48},
    "Lfm2": HEADS | {"layer_types": ["conv", "full_attention"], "block_multiple_of": 8},
    "Qwen3Next": HEADS | LINEAR | MOE,
    "RecurrentGemma": HEADS | {"block_types": ["recurrent", "attention"], "lru_width": 32, "attention_window_size": 16},
    "OpenAIGPT": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128},
}


def make(name: str, llama: Path, folder: Path, **more: Any) -> Path:
    """A random model of an architecture with the tests' tokenizer; sharp, so that responses differ."""
    shutil.copytree(llama, folder)
    (folder / "model.safetensors").unlink()
    config = getattr(transformers, f"{name}Config")(**SMALL | CONFIGS.get(name, HEADS) | more)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    model.generation_config.eos_token_id = [2, *range(200, 225)]
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", CONFIGS)
def test_sampling_scoring_and_learning_agree_with_single_forward_passes(
    name: str, llama: Path, tmp_path: Path, float32: None
) -> None:
    folder = make(name, llama, tmp_path / name)
    ours = CausalLMPolicy(folder, max_new_tokens=6)
    assert isinstance(ours._network, RecomputingNetwork)
    plain: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    drawn = ours.sample({"prompt": PROMPTS}, 3, np.random.default_rng(0))
    assert len({*drawn.actions.ravel().tolist()}) > 3 and np.ptp(drawn.lengths) > 0
    single = concatenate([drawn.pick(np.full(3, column)) for column in range(3)])
    learned = ours.log_probs(single)
    learned.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in ours.parameters())
    for row in range(9):
        prompt = torch.from_numpy(single.context["prompt_tokens"][row, : single.context["prompt_lengths"][row]])
        answer = torch.from_numpy(single.payload["tokens"][row, : single.lengths[row]])
        with torch.no_grad():
            output = plain(torch.cat([prompt, answer])[None], output_hidden_states=True, use_cache=False)
        want = output.logits[0, len(prompt) - 1 : -1].log_softmax(-1).gather(1, answer[:, None]).sum().item()
        for got in (single.log_probs[row], single.reference_log_probs[row], learned[row].item()):
            assert got == pytest.approx(want, abs=2e-3)
        np.testing.assert_allclose(single.features[row, :32], output.hidden_states[-1][0, -1], atol=2e-3)
    greedy = ours.sample({"prompt": PROMPTS[:1]}, 1, np.random.default_rng(0), greedy=True)
    text = torch.from_numpy(greedy.context["prompt_tokens"][0])
    for token in greedy.payload["tokens"][0, 0, : greedy.lengths[0, 0]]:
        with torch.no_grad():
            assert int(plain(text[None], use_cache=False).logits[0, -1].argmax()) == token
        text = torch.cat([text, torch.tensor([token])])


@pytest.mark.parametrize("name", ["Rwkv", "Mamba"])
def test_a_recurrent_judge_answers_in_a_batch_as_alone(name: str, llama: Path, tmp_path: Path) -> None:
    options = {"min_mass": 0.0, "device": "cpu", "template": "{prompt} {a} {b}"}
    judge = make_oracle(f"judge:{make(name, llama, tmp_path / name)}", **options)
    duels = [("x", "y", "z"), ("a much longer prompt than that", "the fox", "a line in the rain")]
    together = judge.preference(*(list(column) for column in zip(*duels, strict=True)))
    alone = [judge.preference([x], [y], [z])[0] for x, y, z in duels]
    assert np.isfinite(together).all() and together[0] != together[1]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_attention_keeps_its_cache(gpt2: Path, llama: Path, tmp_path: Path) -> None:
    for folder in (gpt2, make("Qwen2", llama, tmp_path / "qwen")):
        assert type(CausalLMPolicy(folder)._network) is GenericNetwork


def test_a_model_that_reads_on_is_refused(llama: Path, tmp_path: Path) -> None:
    folder = make("Bert", llama, tmp_path / "bert")
    for load in (CausalLMPolicy, lambda name: make_oracle(f"judge:{name}", device="cpu")):
        with pytest.raises(ModelUnavailableError, match="reads what follows a token"):
            load(str(folder))
