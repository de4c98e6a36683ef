"""What needs vLLM, in an environment of its own: vLLM pins other versions than the rest of the suite."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

import duelbench


@pytest.fixture(autouse=True, scope="session")
def one_torch_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny() -> Path:
    """The embedded model: Llama, tied embeddings."""
    return Path(duelbench.__file__).parent / "assets" / "models" / "tiny"


@pytest.fixture(scope="session")
def neox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model of Pythia's kind: biases, fused projections, untied head."""
    config = GPTNeoXConfig(
        vocab_size=300,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        initializer_range=0.2,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("neox")
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    return folder
