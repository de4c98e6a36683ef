"""What needs a GPU that torch can use. Elsewhere every test here is skipped, and says why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from duelbench.assets.model_source import resolve_model


@pytest.fixture(scope="session")
def device() -> str:
    """The GPU. ``DUELBENCH_TEST_DEVICE=cpu`` rehearses these tests on a machine without one."""
    if chosen := os.environ.get("DUELBENCH_TEST_DEVICE"):
        return chosen
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU: torch.cuda.is_available() is false here")
    return "cuda"


@pytest.fixture(scope="session")
def folder() -> Path:
    """The embedded model: Llama, tied embeddings, 3.7 M parameters."""
    return Path(resolve_model("tiny"))
