"""The packaged language models: they load, answer in one ended sentence, vary, and are what their cards say."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

from duelbench.assets.model_source import resolve_model
from duelbench.envs.text.tasks import load_task
from duelbench.envs.text.tasks.grammar import parse
from duelbench.experiments.embedded_lm.shrink import expected_nll
from duelbench.experiments.embedded_lm.train import encode

TASK = load_task("short-writing")
HELDOUT = TASK.heldout_ids[:6]
EACH = 16
both = pytest.mark.parametrize("name", ["tiny", "mini"])


@cache
def load(name: str) -> tuple[Any, Any]:
    folder = resolve_model(name)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(folder)


@cache
def answers(name: str) -> list[list[str]]:
    """Whole sampled answers, end token and all, to the held-out prompts."""
    model, tokenizer = load(name)
    chats = [[{"role": "user", "content": TASK.prompts[i]}] for i in HELDOUT]
    inputs = tokenizer.apply_chat_template(
        chats, add_generation_prompt=True, return_tensors="pt", return_dict=True, padding=True
    )
    torch.manual_seed(0)
    ids = model.generate(**inputs, do_sample=True, top_k=0, max_new_tokens=48, num_return_sequences=EACH)
    texts = tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :])
    return [texts[i : i + EACH] for i in range(0, len(texts), EACH)]


def nats_per_token(name: str) -> float:
    """What a model needs for the task's stored held-out responses, which tiny wrote, end tokens included."""
    model, tokenizer = load(name)
    total, count = 0.0, 0
    for i in HELDOUT:
        prompt = tokenizer(TASK.prompts[i] + tokenizer.sep_token)["input_ids"]
        for text in TASK.references[i][:4]:
            ids = torch.tensor(prompt + tokenizer(text + tokenizer.eos_token)["input_ids"])
            with torch.no_grad():
                logits = model(ids[None]).logits[0, len(prompt) - 1 : -1]
            total += float(cross_entropy(logits, ids[len(prompt) :], reduction="sum"))
            count += len(ids) - len(prompt)
    return total / count


@both
def test_the_card_states_the_size(name: str) -> None:
    card = Path(resolve_model(name), "README.md").read_text(encoding="utf-8")
    stated = re.search(r"Llama of ([\d,]+) parameters", card)
    assert stated and int(stated[1].replace(",", "")) == load(name)[0].num_parameters()


def test_they_speak_the_same_tokens() -> None:
    (_, tiny), (_, mini) = load("tiny"), load("mini")
    assert tiny.get_vocab() == mini.get_vocab()
    assert tiny.chat_template == mini.chat_template


@both
def test_answers_end(name: str) -> None:
    texts = [text for row in answers(name) for text in row]
    ended = [re.fullmatch(r"[^<]+[.!?]<\|eos\|>(<\|pad\|>)*", text) is not None for text in texts]
    assert sum(ended) / len(ended) > 0.95


@both
def test_answers_are_about_the_topic(name: str) -> None:
    rows = zip(HELDOUT, answers(name), strict=True)
    hits = [parse(TASK.prompts[i]).topic in text.lower() for i, row in rows for text in row]
    assert sum(hits) / len(hits) > 0.85


@both
def test_answers_differ(name: str) -> None:
    distinct = [len(set(row)) for row in answers(name)]
    assert sum(distinct) / len(distinct) > 14


def test_mini_is_a_weaker_tiny() -> None:
    tiny, mini = nats_per_token("tiny"), nats_per_token("mini")
    assert tiny + 0.1 < mini < tiny + 0.5


def test_distillation_takes_the_expectation_over_the_teachers_distribution() -> None:
    (tiny, tokenizer), (mini, _) = load("tiny"), load("mini")
    rows = encode(tokenizer, [{"prompt": TASK.prompts[i], "answer": TASK.references[i][0]} for i in HELDOUT])
    with torch.no_grad():
        total, count = expected_nll(tiny, mini, rows)
        by_hand = 0.0
        for prompt, answer in rows:  # one at a time, without padding
            ids = torch.tensor([prompt + answer])
            teacher, student = (model(ids).logits[0, len(prompt) - 1 : -1].double() for model in (tiny, mini))
            by_hand -= float((teacher.softmax(-1) * student.log_softmax(-1)).sum())
    assert count == sum(len(answer) for _, answer in rows)
    assert float(total) == pytest.approx(by_hand, rel=1e-5)
