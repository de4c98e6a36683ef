"""The models that are measured, without fetching any: packaged, in the cache, or random weights of a known shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from duelbench.assets.model_source import FETCHED, resolve_model
from duelbench.assets.wheel_source import cache_folder

SHAPES: dict[str, dict[str, Any]] = {
    "pythia-1b": {
        "model_type": "gpt_neox",
        "hidden_size": 2048,
        "num_hidden_layers": 16,
        "num_attention_heads": 8,
        "intermediate_size": 8192,
        "vocab_size": 50304,
        "tie_word_embeddings": False,
    },
    "smollm2-135m": {
        "model_type": "llama",
        "hidden_size": 576,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "intermediate_size": 1536,
        "vocab_size": 49152,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    },
    "toy": {
        "model_type": "gpt_neox",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "vocab_size": 3000,
        "tie_word_embeddings": False,
    },
}
"""Configurations of transformers, by the name of the model that has the shape."""


def model_folder(name: str, scratch: Path) -> str:
    """A folder that transformers can load: random weights are written into ``scratch`` where there is nothing else.

    Args:
        name: a packaged model, one in the cache, a local folder, or a name in ``SHAPES``.
        scratch: for random weights.
    """
    if name not in SHAPES or (name in FETCHED and (cache_folder() / "models" / name).is_dir()):
        return resolve_model(name)
    folder = scratch / f"{name}-random"
    if not folder.exists():
        make_model(SHAPES[name], folder)
    return str(folder)


def make_model(shape: dict[str, Any], folder: Path) -> None:
    """Write random weights of a shape, with a tokenizer that has a text for every token."""
    write_tokenizer(shape["vocab_size"], folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ends = {"bos_token_id": tokenizer.eos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = AutoConfig.for_model(**(shape | ends))
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.cpu().save_pretrained(folder)  # half the disk of float32, which it is loaded as


def write_tokenizer(size: int, folder: Path) -> None:
    """Write the embedded model's tokenizer, grown to ``size`` tokens: each new one joins two old ones of letters.

    A response of random tokens is then a text like no other, and no duel between equal texts is left out.
    """
    tokenizer = AutoTokenizer.from_pretrained(resolve_model("tiny"))
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    file = folder / "tokenizer.json"
    document = json.loads(file.read_text())
    vocabulary: dict[str, int] = document["model"]["vocab"]
    parts = [token for token in vocabulary if token.isascii() and token.isalpha()]
    joined = ((first, second) for first in parts for second in parts)
    while len(vocabulary) < size:
        first, second = next(joined)
        if first + second not in vocabulary:
            vocabulary[first + second] = len(vocabulary)
            document["model"]["merges"].append([first, second])
    file.write_text(json.dumps(document))
