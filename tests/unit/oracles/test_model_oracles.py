"""Reward models and judges, against one text at a time by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

from duelbench.conversation import as_prompt
from duelbench.oracles import OracleError, make_oracle
from duelbench.oracles.models.judge import JudgeOracle
from duelbench.oracles.models.reward_model import RewardModelOracle
from duelbench.protocols import Oracle, UtilityOracle

CHAT = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
CHAT += "{% if add_generation_prompt %}<|assistant|>{% endif %}"
PROMPTS = ["Write a happy sentence about a fox.", "Describe a quiet beach.", "Write an ad for a hat.", "Hm?"]
FIRSTS = ["The fox laughed in the rain.", "Still.", "This hat is warm, and you will love it!", ""]
SECONDS = ["A fox.", "The beach is still at dawn, and one gull sleeps.", "Hat hat hat hat.", "🦊"]


def _tokenizer(folder: Path, chat: bool, pad: bool = True) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|end|>", "<|user|>", "<|assistant|>", "<|pad|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=320, initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator([*PROMPTS, *FIRSTS, *SECONDS, " A B" * 9], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>" if pad else None
    )
    fast.chat_template = CHAT if chat else None
    fast.save_pretrained(folder)
    return fast


def _llama(labels: int = 1, pad: int | None = 3) -> LlamaConfig:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return LlamaConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=256,
        num_labels=labels,
        pad_token_id=pad,
        bos_token_id=None,
        eos_token_id=0,
        initializer_range=0.4,
    )


@pytest.fixture(scope="module", params=["chat", "plain", "no padding token", "encoder"])
def reward_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reward")
    kind = request.param
    _tokenizer(folder, chat=kind == "chat", pad=kind != "no padding token")
    if kind == "encoder":
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=320,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=256,
            num_labels=1,
            pad_token_id=3,
            initializer_range=0.4,
        )
        BertForSequenceClassification(config).save_pretrained(folder)
    else:
        pad = None if kind == "no padding token" else 3
        LlamaForSequenceClassification(_llama(pad=pad)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["chat", "plain", "absolute positions"])
def judge_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge")
    _tokenizer(folder, chat=request.param == "chat")
    if request.param == "absolute positions":
        torch.manual_seed(0)
        config = GPT2Config(
            vocab_size=320,
            n_positions=256,
            n_embd=32,
            n_layer=2,
            n_head=2,
            bos_token_id=0,
            eos_token_id=0,
            initializer_range=0.4,
        )
        GPT2LMHeadModel(config).save_pretrained(folder)
    else:
        LlamaForCausalLM(_llama()).save_pretrained(folder)
    return folder


# ---- names


def _reward_by_hand(oracle: RewardModelOracle, prompt: str, response: str) -> float:
    if oracle.tokenizer.chat_template is None:
        ids = oracle.tokenizer(f"{prompt}\n", response)
    else:
        text = f"<|user|>{prompt}<|end|><|assistant|>{response}<|end|>"
        ids = oracle.tokenizer(text, add_special_tokens=False)
    tensors = {name: torch.tensor([column]) for name, column in ids.items()}
    with torch.no_grad():
        return float(oracle.model(**tensors).logits[0, 0])


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_rewards_equal_one_by_one_in_any_batch(reward_folder: Path, batch_size: int) -> None:
    oracle = RewardModelOracle(str(reward_folder), batch_size=batch_size, device="cpu")
    assert isinstance(oracle, UtilityOracle)
    expected = [_reward_by_hand(oracle, x, y) for x, y in zip(PROMPTS, FIRSTS, strict=True)]
    rewards = oracle.utilities(PROMPTS, FIRSTS)
    assert np.ptp(rewards) > 0.05
    np.testing.assert_allclose(rewards, expected, atol=1e-5)


def test_a_reward_model_scores_the_turns_of_a_conversation(reward_folder: Path) -> None:
    oracle = RewardModelOracle(str(reward_folder), device="cpu")
    conversation = as_prompt([{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROMPTS[0]}])
    if oracle.tokenizer.chat_template is None:
        by_hand = _reward_by_hand(oracle, f"System: Be brief.\n\nUser: {PROMPTS[0]}", FIRSTS[0])
    else:
        text = f"<|system|>Be brief.<|end|><|user|>{PROMPTS[0]}<|end|><|assistant|>{FIRSTS[0]}<|end|>"
        ids = oracle.tokenizer(text, add_special_tokens=False)
        with torch.no_grad():
            by_hand = float(oracle.model(**{k: torch.tensor([v]) for k, v in ids.items()}).logits[0, 0])
    np.testing.assert_allclose(oracle.utilities([conversation], FIRSTS[:1]), [by_hand], atol=1e-5)


def test_reward_model_prefers_by_reward_and_mirrors(reward_folder: Path) -> None:
    oracle = make_oracle(f"reward-model:{reward_folder}", device="cpu")
    assert isinstance(oracle, RewardModelOracle)
    p = oracle.preference(PROMPTS, FIRSTS, SECONDS)
    gap = oracle.utilities(PROMPTS, FIRSTS) - oracle.utilities(PROMPTS, SECONDS)
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-gap)), atol=1e-5)
    np.testing.assert_allclose(p + oracle.preference(PROMPTS, SECONDS, FIRSTS), 1.0, atol=1e-5)


def test_reward_model_answers_nan_for_a_text_too_long_and_only_for_it(reward_folder: Path) -> None:
    oracle = RewardModelOracle(str(reward_folder), device="cpu", max_length=10_000)
    assert oracle.max_length == 256  # the model's own positions
    rewards = oracle.utilities(PROMPTS[:2], ["word " * 400, "fine"])
    assert np.isnan(rewards[0]) and np.isfinite(rewards[1])
    assert np.isnan(oracle.preference(PROMPTS[:1], ["fine"], ["word " * 400])[0])
    assert oracle.utilities([], []).shape == (0,)


def test_reward_model_with_two_labels_is_refused(tmp_path: Path) -> None:
    _tokenizer(tmp_path, chat=False)
    LlamaForSequenceClassification(_llama(labels=2)).save_pretrained(tmp_path)
    with pytest.raises(OracleError, match="expected a reward model with one label, this one has 2"):
        RewardModelOracle(str(tmp_path))


def test_a_reward_model_of_llamas_kind_is_read_as_its_authors_do(tmp_path: Path) -> None:
    """Skywork's layout: the tokenizer adds a BOS, so does the template, and the padding token ends every turn."""
    fast = _tokenizer(tmp_path, chat=True)
    fast.add_special_tokens({"bos_token": "<|begin|>", "pad_token": "<|end|>"})
    fast.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", fast.bos_token_id)]
    )
    fast.chat_template = "{{ bos_token }}" + CHAT
    fast.save_pretrained(tmp_path)
    config = _llama(pad=fast.pad_token_id)
    config.vocab_size = len(fast)
    LlamaForSequenceClassification(config).save_pretrained(tmp_path)
    oracle = RewardModelOracle(str(tmp_path), device="cpu")
    assert oracle.tokenizer("x")["input_ids"][0] == fast.bos_token_id  # it would be there twice
    rewards = oracle.utilities(PROMPTS, FIRSTS)
    for prompt, response, reward in zip(PROMPTS, FIRSTS, rewards, strict=True):
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        ids = oracle.tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True, return_tensors="pt")
        assert (ids["input_ids"] == fast.bos_token_id).sum() == 1
        with torch.no_grad():
            assert reward == pytest.approx(float(oracle.model(**ids).logits[0][0]), abs=1e-5)


# ---- judges


def _chose_a_by_hand(judge: JudgeOracle, prompt: str, a: str, b: str) -> float:
    ids = torch.tensor([judge._question(prompt, a, b)])
    with torch.no_grad():
        p = torch.softmax(judge.model(input_ids=ids).logits[0, -1].double(), dim=-1)
    mass = [sum(float(p[i]) for i in judge._letters[letter]) for letter in "AB"]
    return mass[0] / sum(mass)


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_judgement_is_the_mean_of_both_orders_in_any_batch(judge_folder: Path, batch_size: int) -> None:
    judge = JudgeOracle(str(judge_folder), min_mass=0.0, batch_size=batch_size, device="cpu")
    assert isinstance(judge, Oracle)
    duels = list(zip(PROMPTS, FIRSTS, SECONDS, strict=True))
    shown_first = np.array([_chose_a_by_hand(judge, x, y, z) for x, y, z in duels])
    shown_second = 1.0 - np.array([_chose_a_by_hand(judge, x, z, y) for x, y, z in duels])
    p = judge.preference(PROMPTS, FIRSTS, SECONDS)
    np.testing.assert_allclose(p, (shown_first + shown_second) / 2, atol=1e-5)
    np.testing.assert_allclose(p + judge.preference(PROMPTS, SECONDS, FIRSTS), 1.0, atol=1e-12)
    flips = int((np.sign(shown_first - 0.5) != np.sign(shown_second - 0.5)).sum())
    assert judge.report.asked == 2 * len(duels) and judge.report.inconsistent == 2 * flips


def test_hard_verdicts_tie_where_the_order_decided(judge_folder: Path) -> None:
    soft = JudgeOracle(str(judge_folder), min_mass=0.0, device="cpu")
    hard = JudgeOracle(str(judge_folder), min_mass=0.0, hard=True, device="cpu")
    verdicts = hard.preference(PROMPTS, FIRSTS, SECONDS)
    assert set(verdicts) <= {0.0, 0.5, 1.0}
    decided = verdicts != 0.5
    assert (verdicts == 0.5).sum() == hard.report.inconsistent
    np.testing.assert_array_equal(verdicts[decided], soft.preference(PROMPTS, FIRSTS, SECONDS)[decided] > 0.5)


@pytest.mark.parametrize(
    ("first", "second", "soft", "hard"),
    [(0.9, 0.6, 0.75, 1.0), (0.9, 0.2, 0.55, 0.5), (0.1, 0.2, 0.15, 0.0), (np.nan, 0.9, np.nan, np.nan)],
)
def test_verdict_table(judge_folder: Path, first: float, second: float, soft: float, hard: float) -> None:
    judge = JudgeOracle(str(judge_folder), device="cpu")
    seen: Callable[[float], NDArray[np.float64]] = lambda p: np.array([p])  # noqa: E731
    for judge.hard, expected in ((False, soft), (True, hard)):
        verdict = judge._verdicts(seen(first), seen(second), np.array([False]))
        np.testing.assert_allclose(verdict, [expected])


def test_judge_answers_nan_when_it_cannot_answer(judge_folder: Path) -> None:
    judge = make_oracle(f"judge:{judge_folder}", min_mass=0.999, device="cpu")
    assert isinstance(judge, JudgeOracle)
    assert np.isnan(judge.preference(PROMPTS[:2], FIRSTS[:2], SECONDS[:2])).all()
    assert (judge.report.unclear, judge.report.too_long) == (2, 0)
    judge.min_mass = 0.0
    judge.max_length = max(len(judge._question(PROMPTS[0], *pair)) for pair in [(FIRSTS[0], SECONDS[0])])
    p = judge.preference(PROMPTS[:2], FIRSTS[:2], [SECONDS[0], "word " * 400])
    assert np.isfinite(p[0]) and np.isnan(p[1])
    assert (judge.report.unclear, judge.report.too_long) == (2, 1)


def test_template_fields_in_an_answer_stay_text(judge_folder: Path) -> None:
    judge = JudgeOracle(str(judge_folder), min_mass=0.0, device="cpu")
    assert "{b} {0}" in judge.tokenizer.decode(judge._question("{a}", "{b} {0}", "x"))
    for template, message in (("{prompt} {a}", "lacks {b}"), ("{prompt} {a} {b} {c}", "is none of")):
        with pytest.raises(OracleError, match=message):
            JudgeOracle(str(judge_folder), template=template)
