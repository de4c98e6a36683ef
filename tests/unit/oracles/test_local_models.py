"""What reward models and judges do with tokens and positions that they do not have."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, LlamaForSequenceClassification, RobertaConfig, RobertaForSequenceClassification

from duelbench.oracles import OracleError, make_oracle


def reward_model(llama: Path, folder: Path) -> Path:
    shutil.copytree(llama, folder)
    torch.manual_seed(0)
    LlamaForSequenceClassification.from_pretrained(llama, num_labels=1).save_pretrained(folder)
    return folder


def with_new_token(folder: Path, template: str | None = None) -> None:
    """A tokenizer with a token that the model does not embed."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<new>"])
    tokenizer.chat_template = template or tokenizer.chat_template
    tokenizer.save_pretrained(folder)


def test_a_text_with_an_unknown_token_has_no_answer_and_stops_nobody(llama: Path, tmp_path: Path) -> None:
    folder = reward_model(llama, tmp_path / "rm")
    with_new_token(folder)
    with_new_token(shutil.copytree(llama, tmp_path / "judge"))
    rewards = make_oracle(f"reward-model:{folder}", device="cpu").utilities(["x", "x"], ["fox", "a <new> fox"])  # type: ignore[attr-defined]
    assert np.isfinite(rewards[0]) and np.isnan(rewards[1])
    judge = make_oracle(f"judge:{tmp_path / 'judge'}", device="cpu", min_mass=0.0, template="{prompt} {a} {b}")
    answers = judge.preference(["x", "x"], ["fox", "a <new> fox"], ["rain", "rain"])
    assert np.isfinite(answers[0]) and np.isnan(answers[1])


def test_a_template_with_an_unknown_token_is_refused_when_loaded(llama: Path, tmp_path: Path) -> None:
    template = "{% for m in messages %}<new>{{ m['content'] }}{% endfor %}"
    folder = reward_model(llama, tmp_path / "rm")
    with_new_token(folder, template)
    with_new_token(shutil.copytree(llama, tmp_path / "judge"), template)
    for name in (f"reward-model:{folder}", f"judge:{tmp_path / 'judge'}"):
        with pytest.raises(OracleError, match=r"writes token \d+, but the model embeds \d+ tokens"):
            make_oracle(name, device="cpu")


def test_positions_of_roberta_begin_after_its_padding_index(llama: Path, tmp_path: Path) -> None:
    """Of 34 positions 32 can be read: longer texts have no utility, and none raises."""
    folder = shutil.copytree(llama, tmp_path / "roberta")
    (folder / "chat_template.jinja").unlink()
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = RobertaConfig(vocab_size=300, max_position_embeddings=34, pad_token_id=1, num_labels=1, **sizes)
    torch.manual_seed(0)
    RobertaForSequenceClassification(config).save_pretrained(folder)
    oracle: Any = make_oracle(f"reward-model:{folder}", device="cpu")
    assert oracle.max_length == 32
    texts = ["x" * length for length in range(20, 50)]
    lengths = np.array([len(oracle._encode("", text)["input_ids"]) for text in texts])
    assert {31, 32, 33, 34, 35} <= {*lengths.tolist()}
    np.testing.assert_array_equal(np.isfinite(oracle.utilities([""] * 30, texts)), lengths <= 32)


def test_half_of_a_character_is_named(llama: Path, tmp_path: Path) -> None:
    oracle: Any = make_oracle(f"reward-model:{reward_model(llama, tmp_path / 'rm')}", device="cpu")
    with pytest.raises(OracleError, match=r"responses\[1\], .*half of a character"):
        oracle.utilities(["x", "x"], ["a", "b\ud83d"])
