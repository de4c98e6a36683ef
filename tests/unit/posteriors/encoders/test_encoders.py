"""Encoders by name, by function, and the neural ones beside transformers' own forward passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.nn.functional import gelu, linear
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from duelbench.assets.model_source import ModelUnavailableError
from duelbench.oracles.reader.reader import Reader
from duelbench.oracles.reader.taste import FEATURES, SCALES, TASTES
from duelbench.plugins import PluginError
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.posteriors.encoders.function import FunctionEncoder
from duelbench.posteriors.encoders.hidden_states import HiddenStatesEncoder
from duelbench.posteriors.encoders.preference import PreferenceEncoder
from duelbench.posteriors.encoders.registry import ENCODERS, make_encoder
from duelbench.protocols import Encoder, TrainableEncoder

PROMPTS = ["write a sad line", "the fox in the rain, at night"]
RESPONSES = [["a fox", "the line, in the rain", "🦊"], ["", "sad sad sad sad", "rain fell on the fox in the rain"]]

pytestmark = pytest.mark.usefixtures("float32")


def counts(prompt: str, response: str) -> list[float]:
    return [len(response.split()), response.count(","), len(prompt)]


# ---- names


def test_a_function_is_an_encoder(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def lengths(prompt, response):\n    return [len(response)]\n")
    for found in (make_encoder(counts), make_encoder(f"{__file__}:counts"), make_encoder(FunctionEncoder(counts))):
        assert isinstance(found, Encoder)
        assert found.encode(PROMPTS, RESPONSES)[1, 1].tolist() == [4.0, 0.0, 29.0]
        assert found.dim == 3
    assert make_encoder(f"{tmp_path}/mine.py:lengths").encode(["?"], [["abc"]]).tolist() == [[[3.0]]]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("preferenc", "did you mean 'preference'"),
        ("hf", "unknown encoder"),
        ("hf:", "expected"),
        ("nowhere.py:f", "there is no file"),
    ],
)
def test_a_wrong_name_is_said(name: str, said: str) -> None:
    with pytest.raises((PluginError, ValueError), match=said):
        make_encoder(name)


def test_what_is_no_encoder_is_refused() -> None:
    with pytest.raises(ValueError, match="without name, dim and encode"):
        make_encoder(object())
    with pytest.raises(ValueError, match="cannot be made with the options"):
        make_encoder("lm", layers=3)
    with pytest.raises(ValueError, match="made already"):
        make_encoder(FunctionEncoder(counts), name="x")


@pytest.mark.parametrize("wrong", [3.0, "12", [], [float("nan")], [[1.0, 2.0]], None, ["a"]])
def test_a_function_that_gives_no_numbers_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(ValueError, match="expected a list of finite numbers"):
        make_encoder(lambda prompt, response: wrong)


def test_a_function_that_changes_its_mind_is_refused() -> None:
    encoder = make_encoder(lambda prompt, response: [1.0] * (1 + ("fox" in response)))
    with pytest.raises(ValueError, match=r"expected 1 finite numbers .*'a fox'"):
        encoder.encode(PROMPTS, RESPONSES)


@pytest.mark.parametrize("name", ["preference:/nowhere", "hf:/nowhere"])
def test_a_model_that_is_not_there(name: str) -> None:
    with pytest.raises(ModelUnavailableError, match="/nowhere"):
        make_encoder(name)


# ---- the preference encoder


def test_preference_features_are_the_formula(folder: Path) -> None:
    encoder = PreferenceEncoder(folder)
    module = encoder.module
    backbone = module.model
    tokenizer = AutoTokenizer.from_pretrained(folder)
    features = encoder.encode(PROMPTS, RESPONSES)
    assert features.shape == (2, 3, 6)
    for row, column in np.ndindex(2, 3):
        turn = [{"role": "user", "content": PROMPTS[row]}]
        prompt = tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False)
        response = [*tokenizer(RESPONSES[row][column])["input_ids"], tokenizer.eos_token_id]
        with torch.no_grad():
            hidden = backbone.model(torch.tensor([prompt + response])).last_hidden_state[0, len(prompt) :]
            pooled = torch.cat([hidden[-1], hidden.mean(0), hidden.sum(0) / 16])
            deep = gelu(linear(pooled, module.first.weight, module.first.bias)) @ module.second.weight.T
            expected = linear(pooled, module.linear.weight, module.linear.bias) + deep
        torch.testing.assert_close(features[row, column], expected, rtol=1e-4, atol=1e-4)


def test_its_gradient_is_that_of_transformers(folder: Path) -> None:
    encoder = PreferenceEncoder(folder)
    assert isinstance(encoder, TrainableEncoder)
    batch = encoder.tokens(PROMPTS, RESPONSES)
    encoder.module(batch).square().sum().backward()
    ours = {name: p.grad.clone() for name, p in encoder.module.named_parameters() if p.grad is not None}
    encoder.module.zero_grad()
    total = torch.zeros(())
    module = encoder.module
    for i, (tokens, size, owner) in enumerate(zip(batch.tokens, batch.lengths, batch.owner, strict=True)):
        prompt = batch.prompts[owner, : batch.prompt_lengths[owner]]
        states = module.model.model(torch.cat([prompt, tokens[:size]])[None]).last_hidden_state[0, len(prompt) :]
        pooled = torch.cat([states[-1], states.mean(0), states.sum(0) / 16])
        total = total + (module.linear(pooled) + module.second(gelu(module.first(pooled)))).square().sum()
        assert i < 6
    total.backward()
    theirs = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    assert ours.keys() == theirs.keys()
    assert len(ours) > 20
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, theirs[name], rtol=1e-3, atol=1e-3 * float(theirs[name].abs().max()))


def test_a_text_has_the_same_features_in_any_company(folder: Path) -> None:
    encoder = PreferenceEncoder(folder)
    together = encoder.encode(PROMPTS * 20, RESPONSES * 20)
    alone = encoder.encode(PROMPTS[1:], [[RESPONSES[1][2]]])
    torch.testing.assert_close(together[39, 2], alone[0, 0], rtol=1e-4, atol=1e-5)
    assert not together.requires_grad
    assert encoder.encode([], []).shape == (0, 0, 6)


def test_endless_texts_are_read_in_part(folder: Path) -> None:
    encoder = PreferenceEncoder(folder)
    features = encoder.encode(["rain " * 500 + "fox"], [["fox " * 500, "fox " * 501]])
    assert features.isfinite().all()
    torch.testing.assert_close(features[0, 0], features[0, 1])


def test_rows_of_unequal_width_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="equally many responses"):
        PreferenceEncoder(folder).encode(PROMPTS, [["a"], ["a", "b"]])


def test_a_folder_with_other_weights_is_refused(folder: Path, llama: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="holds no preference encoder"):
        PreferenceEncoder(llama)


# ---- hidden states of any model


def test_hidden_states_are_those_of_transformers(any_model: Path) -> None:
    encoder = make_encoder(f"hf:{any_model}")
    assert isinstance(encoder, TrainableEncoder)
    tokenizer, backbone = AutoTokenizer.from_pretrained(any_model), AutoModel.from_pretrained(any_model).eval()
    features = encoder.encode(PROMPTS, RESPONSES)
    assert features.shape == (2, 3, 64) == (2, 3, encoder.dim)
    for row, column in np.ndindex(2, 3):
        turns = [{"role": "user", "content": PROMPTS[row]}, {"role": "assistant", "content": RESPONSES[row][column]}]
        before = tokenizer.apply_chat_template(turns[:1], return_dict=False)
        tokens = tokenizer.apply_chat_template(turns, return_dict=False)
        with torch.no_grad():
            states = backbone(torch.tensor([tokens])).last_hidden_state[0]
        expected = torch.cat([states[-1], states[len(before) :].mean(0)])
        torch.testing.assert_close(features[row, column], expected, rtol=1e-4, atol=1e-4)


def test_another_layer(llama: Path) -> None:
    deep, shallow, named = (HiddenStatesEncoder(str(llama), layer=layer) for layer in (-1, 1, -2))
    found = [encoder.encode(PROMPTS, RESPONSES) for encoder in (deep, shallow, named)]
    assert not torch.allclose(found[0], found[1])
    torch.testing.assert_close(found[1], found[2])
    with pytest.raises(ValueError, match=r"layer must lie in \[-3, 2\], got 3"):
        HiddenStatesEncoder(str(llama), layer=3)


def test_low_rank_adapters_are_all_that_is_trained(any_model: Path) -> None:
    plain, adapted = (HiddenStatesEncoder(str(any_model), lora_rank=rank) for rank in (0, 2))
    torch.testing.assert_close(plain.encode(PROMPTS, RESPONSES), adapted.encode(PROMPTS, RESPONSES))
    trained = [name for name, p in adapted.module.named_parameters() if p.requires_grad]
    assert trained
    assert all("lora" in name for name in trained)
    adapted.module(adapted.tokens(PROMPTS, RESPONSES)).square().sum().backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in adapted.module.parameters())


def test_a_reward_model_shows_what_its_head_reads(tmp_path: Path) -> None:
    tokenizer = Tokenizer(
        models.WordLevel({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "fox": 3, "rain": 4, "the": 5}, "[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(tmp_path)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertForSequenceClassification(BertConfig(vocab_size=6, num_labels=1, **sizes)).save_pretrained(tmp_path)
    features = make_encoder(f"hf:{tmp_path}").encode(["the fox"], [["rain", "fox fox fox", ""]])
    assert features.shape == (1, 3, 32)
    assert features.isfinite().all()
    assert (features[0, 0] != features[0, 1]).any()


def test_long_texts_lose_the_prompts_beginning_first(llama: Path) -> None:
    encoder = HiddenStatesEncoder(str(llama), max_length=16)
    batch = encoder.tokens(["rain " * 50], [["fox in the rain", "fox " * 90]])
    assert batch.ids.shape[1] == 16
    assert batch.there.sum(1).tolist() == [16, 16]
    assert batch.response[1].all()
    assert 0 < batch.response[0].sum() < 16


# ---- a language model's states


def test_lm_features_are_those_of_a_policy(llama: Path) -> None:
    encoder = make_encoder(f"lm:{llama}")
    policy = CausalLMPolicy(llama)
    features = encoder.encode(PROMPTS, RESPONSES)
    for row, texts in enumerate(RESPONSES):
        np.testing.assert_allclose(features[row], policy.score([PROMPTS[row]] * 3, texts).features, rtol=1e-5)
    assert features.shape[-1] == encoder.dim == policy.feature_dim


def test_who_knows_a_taste_sees_it_linearly() -> None:
    for taste in TASTES:
        seen = make_encoder(f"knows_taste:{taste}").encode(PROMPTS, RESPONSES).reshape(6, -1).double()
        texts = [text for row in RESPONSES for text in row]
        utilities = Reader(taste).utilities([PROMPTS[0]] * 3 + [PROMPTS[1]] * 3, texts)
        weights = torch.tensor([TASTES[taste][name] for name in FEATURES if name in TASTES[taste]]).double()
        np.testing.assert_allclose(SCALES[taste] * seen @ weights, utilities, atol=1e-5)
    with pytest.raises(ValueError, match="unknown reader preset 'nobody'"):
        make_encoder("knows_taste:nobody")


def test_every_name_is_explained() -> None:
    assert {name.partition(":")[0] for name in ENCODERS} == {"preference", "lm", "hf", "knows_taste"}


# ---- in a policy


def test_a_policys_responses_carry_an_encoders_features(llama: Path) -> None:
    encoder = make_encoder(counts)
    seen = CausalLMPolicy(llama, features=encoder, max_new_tokens=8)
    own = CausalLMPolicy(llama, max_new_tokens=8)
    observation = {"prompt": tuple(PROMPTS)}
    drawn, same = (policy.sample(observation, 3, np.random.default_rng(4)) for policy in (seen, own))
    assert drawn.actions.tolist() == same.actions.tolist()
    np.testing.assert_array_equal(drawn.features, encoder.encode(PROMPTS, drawn.actions.tolist()))
    assert drawn.features.shape[-1] == seen.feature_dim == 3
    scored = seen.score(PROMPTS, ["a fox", "b"])
    np.testing.assert_array_equal(scored.features[:, :2], [[2, 0], [1, 0]])
    with pytest.raises(ValueError, match="lm, none or an encoder, got 'preference'"):
        CausalLMPolicy(llama, features="preference")
