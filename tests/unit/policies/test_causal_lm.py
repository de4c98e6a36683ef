from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import AutoModelForCausalLM

from duelbench.assets.model_source import ModelUnavailableError
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.policies.networks.network import TokenBatch
from duelbench.policies.samplers.drawing import invert
from duelbench.types import Responses, concatenate

PROMPTS = ["the fox", "a sad line in the rain", "x", "the rain in the fox in the rain"]
STEPS = 12


def policy(folder: Path, **options: Any) -> CausalLMPolicy:
    return CausalLMPolicy(folder, **{"dtype": "float32", "max_new_tokens": STEPS, **options})


def sample(ours: CausalLMPolicy, prompts: list[str], n: int, seed: int = 0, **options: Any) -> Responses:
    return ours.sample({"prompt": prompts}, n, np.random.default_rng(seed), **options)


def plain_model(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def prompt_ids(responses: Responses, row: int) -> torch.Tensor:
    size = responses.context["prompt_lengths"][row]
    return torch.from_numpy(responses.context["prompt_tokens"][row, :size])


def by_hand(model: Any, prompt: torch.Tensor, answer: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability and features of one response from one unpadded forward pass."""
    whole = torch.cat([prompt, answer])[None]
    output = model(whole, output_hidden_states=True)
    scores = output.logits[0, len(prompt) - 1 : -1].log_softmax(-1).gather(1, answer[:, None]).sum()
    hidden = output.hidden_states[-1][0, len(prompt) :]
    table = model.get_input_embeddings().weight
    said, asked = table[answer].mean(0), table[prompt].mean(0)
    return scores, torch.cat([hidden[-1], hidden.mean(0), said, said * asked])


def test_everything_agrees_with_one_by_one_forward_passes(any_model: Path) -> None:
    ours, model = policy(any_model), plain_model(any_model)
    drawn = sample(ours, PROMPTS, 5)
    assert drawn.actions.shape == drawn.lengths.shape == (4, 5)
    assert drawn.features.shape == (4, 5, ours.feature_dim) and drawn.features.dtype == np.float32
    assert len(np.unique(drawn.lengths)) > 3  # ragged
    for b in range(4):
        with_gradient = ours.log_probs(drawn.rows(np.full(5, b)).pick(np.arange(5)))
        for m in range(5):
            answer = torch.from_numpy(drawn.payload["tokens"][b, m, : drawn.lengths[b, m]])
            with torch.no_grad():
                want, features = by_hand(model, prompt_ids(drawn, b), answer)
            for got in (drawn.log_probs[b, m], drawn.reference_log_probs[b, m], with_gradient[m].item()):
                assert got == pytest.approx(want.item(), abs=1e-4)
            np.testing.assert_allclose(drawn.features[b, m], features, atol=1e-4)


def test_the_reference_reads_only_what_is_asked_for(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = policy(llama, features="none")
    whole, part = sample(ours, PROMPTS, 3), sample(ours, PROMPTS, 3, detail="features")
    assert part.actions.tolist() == whole.actions.tolist() and np.isnan(part.reference_log_probs).all()
    half = part.pick(np.zeros(4, np.int64))
    half.reference_log_probs[1] = 7.0  # what is known stays
    filled, wanted = ours.referenced(half), whole.pick(np.zeros(4, np.int64)).reference_log_probs
    assert filled.reference_log_probs[1] == 7.0
    np.testing.assert_allclose(filled.reference_log_probs[[0, 2, 3]], wanted[[0, 2, 3]], rtol=1e-5)
    monkeypatch.setattr(ours._reference, "score", None)
    assert ours.referenced(filled) is filled


def test_the_references_own_features_come_with_its_log_probabilities(llama: Path) -> None:
    ours = policy(llama)
    whole, part = sample(ours, PROMPTS, 3), sample(ours, PROMPTS, 3, detail="features")
    assert np.array_equal(part.features, whole.features)
    assert np.array_equal(part.reference_log_probs, whole.reference_log_probs)
    assert sample(ours, PROMPTS, 3, detail="texts").features.size == 0


def test_gradients_agree_with_transformers(any_model: Path) -> None:
    ours, model = policy(any_model), plain_model(any_model)
    drawn = sample(ours, PROMPTS[:2], 3)
    single = concatenate([drawn.pick(np.full(2, column)) for column in range(3)])  # every prompt three times
    weights = torch.linspace(-1.0, 2.0, 6)
    (ours.log_probs(single) * weights).sum().backward()
    for row in range(6):
        answer = torch.from_numpy(single.payload["tokens"][row, : single.lengths[row]])
        (by_hand(model, prompt_ids(single, row), answer)[0] * weights[row]).backward()
    for mine, theirs in zip(ours.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, atol=2e-4, rtol=1e-3)


def test_a_response_scores_alone_as_in_a_batch(any_model: Path) -> None:
    ours = policy(any_model)
    drawn = sample(ours, PROMPTS, 2).pick(np.zeros(4, np.int64))
    together = ours.log_probs(drawn)
    for row in range(4):
        alone = drawn.rows(np.array([row]))
        alone.context["prompt_tokens"] = alone.context["prompt_tokens"][:, : alone.context["prompt_lengths"][0]]
        assert ours.log_probs(alone).item() == pytest.approx(together[row].item(), abs=1e-4)


@pytest.mark.parametrize("most", [1, 20, 10**6])
def test_reading_in_portions_changes_nothing(llama: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    ours = policy(llama)
    drawn = sample(ours, PROMPTS, 5)
    order = np.random.default_rng(1).permutation(20)  # responses to one prompt are no neighbours
    mixed = concatenate([drawn.pick(np.full(4, column)) for column in range(5)]).rows(order)
    at_once = ours.log_probs(mixed)  # with gradient
    monkeypatch.setattr("duelbench.policies.networks.llama.llama._READ_TOKENS", most)
    with torch.no_grad():
        torch.testing.assert_close(ours.log_probs(mixed), at_once.detach(), atol=1e-4, rtol=0)
    again = sample(ours, PROMPTS, 5)
    np.testing.assert_allclose(again.features, drawn.features, atol=1e-5)
    np.testing.assert_allclose(again.reference_log_probs, drawn.reference_log_probs, atol=1e-4)


def test_portions_keep_prompts_whole_and_lose_no_response() -> None:
    owner, lengths = torch.tensor([2, 0, 2, 1, 0, 3]), torch.tensor([4, 3, 5, 9, 2, 1])
    batch = TokenBatch(torch.zeros(4, 1), torch.ones(4, dtype=torch.int64), owner, torch.arange(6)[:, None], lengths)
    portions = batch.portions(10)  # prompts hold 5, 9, 9 and 1 tokens
    assert [part.tolist() for part in portions] == [[1, 3, 4], [0, 2], [5]]
    part = batch.rows(portions[0])
    assert part.owner.tolist() == [0, 1, 0] and part.tokens[:, 0].tolist() == [1, 3, 4]


def test_a_prompt_answers_alone_as_in_a_batch(any_model: Path) -> None:
    ours, rng = policy(any_model), np.random.default_rng(0)
    together = sample(ours, PROMPTS, 3)
    for row, prompt in enumerate(PROMPTS):
        alone = ours.sample({"prompt": [prompt]}, 3, rng)
        np.testing.assert_array_equal(alone.payload["tokens"][0], together.payload["tokens"][row])
        np.testing.assert_allclose(alone.log_probs[0], together.log_probs[row], atol=1e-4)


def test_decoded_logits_equal_a_full_pass_also_after_rows_left(any_model: Path) -> None:
    ours, model = policy(any_model), plain_model(any_model)
    prompts, lengths = ours._tokens.prompts(PROMPTS)
    answers = torch.randint(5, 250, (8, 4), generator=torch.Generator().manual_seed(0))
    rows = torch.arange(8)
    with torch.no_grad():
        decoder, logits = ours._network.decoder(prompts, lengths, 2, 4)
        for step in range(4):
            for i, row in enumerate(rows.tolist()):
                prompt = prompts[row // 2, : lengths[row // 2]]
                full = model(torch.cat([prompt, answers[row, :step]])[None]).logits[0, -1]
                torch.testing.assert_close(logits[i], full, atol=1e-4, rtol=1e-4)
            if step == 1:
                decoder.keep(torch.tensor([1, 4, 6, 7]))
                rows = rows[[1, 4, 6, 7]]
            logits = decoder.step(answers[rows, step])


def test_each_prompt_is_read_once(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = policy(llama)
    seen: list[tuple[int, int]] = []
    score, decoder = ours._network.score, ours._network.decoder

    def spy_score(batch: TokenBatch, **options: Any) -> Any:
        seen.append((len(batch.prompts), len(batch.tokens)))
        return score(batch, **options)

    def spy_decoder(prompts: torch.Tensor, lengths: torch.Tensor, n: int, steps: int) -> Any:
        seen.append((len(prompts), n))
        return decoder(prompts, lengths, n, steps)

    monkeypatch.setattr(ours._network, "score", spy_score)
    monkeypatch.setattr(ours._network, "decoder", spy_decoder)
    drawn = sample(ours, PROMPTS, 2)
    ours.log_probs(concatenate([drawn.pick(np.zeros(4, np.int64)), drawn.pick(np.ones(4, np.int64))]))
    assert seen == [(4, 2), (4, 8)]


def test_samples_follow_the_tempered_distribution(any_model: Path) -> None:
    n, temperature = 20_000, 0.7
    ours = policy(any_model, max_new_tokens=2, temperature=temperature, features="none")
    drawn = sample(ours, PROMPTS[:1], n)
    tokens, model = drawn.payload["tokens"][0], plain_model(any_model)
    prompt = prompt_ids(drawn, 0)
    with torch.no_grad():
        first = (model(prompt[None]).logits[0, -1].double() / temperature).softmax(-1)
        _fits(tokens[:, 0], first)
        ended = torch.isin(torch.arange(len(first)), ours._tokens.end)
        likely = int((first * ~ended).argmax())
        second = model(torch.cat([prompt, torch.tensor([likely])])[None]).logits[0, -1].double() / temperature
    _fits(tokens[tokens[:, 0] == likely, 1], second.softmax(-1))


def _fits(tokens: np.ndarray, probabilities: torch.Tensor) -> None:
    expected = probabilities.numpy() * len(tokens)
    counts = np.bincount(tokens, minlength=len(expected))
    rare = expected < 8
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    assert len(observed) > 10
    assert chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-3


def test_greedy_is_transformers_greedy(any_model: Path) -> None:
    ours, model = policy(any_model), plain_model(any_model)
    drawn = sample(ours, PROMPTS, 2, greedy=True)
    for row in range(4):
        prompt = prompt_ids(drawn, row)[None]
        mask = torch.ones_like(prompt)
        want = model.generate(prompt, attention_mask=mask, do_sample=False, max_new_tokens=STEPS)[0, prompt.shape[1] :]
        for m in range(2):
            assert drawn.payload["tokens"][row, m, : drawn.lengths[row, m]].tolist() == want.tolist()


def test_the_generator_and_the_weights_settle_the_result(llama: Path) -> None:
    ours, again = policy(llama), policy(llama)
    first, second = sample(ours, PROMPTS, 3), sample(again, PROMPTS, 3)
    torch.manual_seed(99)
    np.testing.assert_array_equal(first.actions, second.actions)
    np.testing.assert_array_equal(first.features, second.features)
    np.testing.assert_array_equal(first.log_probs, sample(ours, PROMPTS, 3).log_probs)
    assert (first.actions != sample(ours, PROMPTS, 3, seed=1).actions).any()


def test_a_response_ends_at_its_first_end_token(any_model: Path) -> None:
    ours = policy(any_model)
    drawn = sample(ours, PROMPTS, 20)
    tokens, lengths = drawn.payload["tokens"].reshape(-1, STEPS), drawn.lengths.reshape(-1)
    cut = 0
    for row, size in zip(tokens, lengths, strict=True):
        ends = np.isin(row[:size], ours._tokens.end.numpy())
        assert not ends[:-1].any() and (row[size:] == 0).all()
        assert ends[-1] or size == STEPS
        cut += not ends[-1]
    assert 0 < cut < len(lengths)  # both kinds
    assert ours.generated_tokens == lengths.sum()


def _train_once(ours: CausalLMPolicy, drawn: Responses) -> None:
    optimizer = torch.optim.AdamW(ours.parameters(), lr=1e-2, fused=True)
    ours.log_probs(drawn).sum().backward()
    optimizer.step()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_weight_is_ever_stale(llama: Path, dtype: str) -> None:
    ours = policy(llama, dtype=dtype)
    drawn = sample(ours, PROMPTS, 1).pick(np.zeros(4, np.int64))
    start = ours.state_dict()

    def add(parameters: list[torch.nn.Parameter]) -> None:
        with torch.no_grad():
            parameters[-1].add_(0.5)

    changes = [
        lambda: _train_once(ours, drawn),
        lambda: add(list(ours.parameters())),
        lambda: ours.load_state_dict(start),
    ]
    before = ours.score(drawn.prompts, list(drawn.actions))
    for change in changes:
        change()
        now = ours.score(drawn.prompts, list(drawn.actions))
        assert (now.log_probs != before.log_probs).any()
        np.testing.assert_array_equal(now.reference_log_probs, before.reference_log_probs)
        fresh = policy(llama, dtype=dtype)
        fresh.load_state_dict(ours.state_dict())
        np.testing.assert_array_equal(now.log_probs, fresh.score(drawn.prompts, list(drawn.actions)).log_probs)
        np.testing.assert_array_equal(sample(ours, PROMPTS, 3).log_probs, sample(fresh, PROMPTS, 3).log_probs)
        before = now


def test_the_reference_samples_as_the_untrained_policy_did(llama: Path) -> None:
    ours = policy(llama)
    untrained = sample(ours, PROMPTS, 3)
    _train_once(ours, untrained.pick(np.zeros(4, np.int64)))
    trained, reference = sample(ours, PROMPTS, 3), sample(ours, PROMPTS, 3, reference=True)
    np.testing.assert_array_equal(reference.actions, untrained.actions)
    np.testing.assert_array_equal(reference.features, untrained.features)
    np.testing.assert_array_equal(reference.log_probs, reference.reference_log_probs)
    assert (trained.log_probs != untrained.log_probs).any()


def test_bfloat16_stays_near_float32(llama: Path) -> None:
    exact, rounded = policy(llama), policy(llama, dtype="bfloat16")
    drawn = sample(exact, PROMPTS, 5).pick(np.arange(4))
    with torch.no_grad():
        gap = (exact.log_probs(drawn) - rounded.log_probs(drawn)).abs() / torch.from_numpy(drawn.lengths)
    assert 0 < gap.max() < 0.05  # nats a token; the random model's logits are far sharper than a trained one's
    assert {p.dtype for p in rounded.parameters()} == {torch.float32}


def test_given_texts_are_scored(any_model: Path) -> None:
    ours, model = policy(any_model), plain_model(any_model)
    texts = ["a fox", "", "the rain in the rain in the rain in the rain in the rain in the rain in"]
    scored = ours.score(PROMPTS[:3], texts)
    assert scored.lengths[1] == 1 and scored.lengths[2] == STEPS
    assert scored.actions[:2].tolist() == texts[:2] and texts[2].startswith(scored.actions[2])
    for row in range(3):
        answer = torch.from_numpy(scored.payload["tokens"][row, : scored.lengths[row]])
        with torch.no_grad():
            want, features = by_hand(model, prompt_ids(scored, row), answer)
        assert scored.log_probs[row] == pytest.approx(want.item(), abs=1e-4)
        np.testing.assert_allclose(scored.features[row], features, atol=1e-4)


def test_unicode_prompts_and_answers(llama: Path) -> None:
    ours = policy(llama)
    scored = ours.score(["狐狸在雨中 🦊", "naïve façade"], ["雨☔", "émigré"])
    assert scored.actions.tolist() == ["雨☔", "émigré"]
    drawn = sample(ours, ["狐狸在雨中 🦊", "naïve façade"], 4)
    assert all(isinstance(text, str) and "</s>" not in text for text in drawn.actions.flat)


def test_prompt_templates(llama: Path) -> None:
    chat, plain = policy(llama), policy(llama, prompt_template="Q: {prompt} {A}")
    assert chat.tokenizer.decode(prompt_ids(sample(chat, ["the fox"], 1), 0)) == "<s><user>the fox<reply>"
    assert plain.tokenizer.decode(prompt_ids(sample(plain, ["the fox"], 1), 0)) == "Q: the fox {A}"


def test_without_features(llama: Path) -> None:
    bare, full = policy(llama, features="none"), policy(llama)
    drawn = sample(bare, PROMPTS, 3)
    assert bare.feature_dim == 0 and drawn.features.shape == (4, 3, 0)
    np.testing.assert_allclose(drawn.reference_log_probs, sample(full, PROMPTS, 3).reference_log_probs, atol=1e-4)


def test_what_cannot_be_is_refused(llama: Path, gpt2: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"nowhere.*cannot be loaded"):
        policy(gpt2.parent / "nowhere")
    with pytest.raises(ValueError, match=r"sampler must be one of .*'own', 'vllm', 'ray'.*'magic'"):
        policy(gpt2, sampler="magic")
    with pytest.raises(ValueError, match="float16"):
        policy(llama, dtype="float16")
    with pytest.raises(ValueError, match="exceed"):
        sample(policy(llama), ["the fox " * 200], 1)
    with pytest.raises(ValueError, match="do not match"):
        policy(llama).load_state_dict({"x": torch.zeros(1)})


def test_inversion_is_exact_and_never_draws_the_impossible() -> None:
    probabilities = torch.zeros(1, 150)
    probabilities[0, [3, 64, 70, 140]] = torch.tensor([0.25, 0.25, 0.25, 0.25])
    uniforms = torch.tensor([0.0, 0.2499, 0.25, 0.4999, 0.5, 0.7499, 0.75, 1 - 2**-53], dtype=torch.float64)
    got = invert(probabilities.expand(8, -1), uniforms)
    assert got.tolist() == [3, 3, 64, 64, 70, 70, 140, 140]
    rng = np.random.default_rng(0)
    random = torch.tensor(rng.random((4000, 150)) ** 8 * (rng.random((4000, 150)) < 0.3), dtype=torch.float32)
    uniforms = torch.tensor(rng.choice([0.0, 0.5, 1 - 2**-53], 4000))
    drawn = invert(random, uniforms)
    assert (random.gather(1, drawn[:, None]) > 0).all()
    whole = random.double().cumsum(1)
    below = torch.where(drawn > 0, whole.gather(1, (drawn - 1).clamp(min=0)[:, None])[:, 0], 0.0)
    target = uniforms * whole[:, -1]
    assert (below <= target + 1e-5).all() and (target - 1e-5 <= whole.gather(1, drawn[:, None])[:, 0]).all()
