"""What tests of encoders and of posteriors that train one share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from duelbench.posteriors.encoders.preference import PreferenceNetwork, save_encoder


@pytest.fixture(scope="session")
def folder(llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preference encoder of random weights."""
    torch.manual_seed(3)
    network = PreferenceNetwork(LlamaForCausalLM.from_pretrained(llama), 6, hidden=8)
    where = tmp_path_factory.mktemp("encoder")
    save_encoder(network, AutoTokenizer.from_pretrained(llama), where)
    return where
