from __future__ import annotations

import pytest
import torch

from duelbench.assets.model_source import ModelUnavailableError
from duelbench.errors import explain, out_of_memory


def allocate_everything() -> None:
    torch.empty(1 << 60, dtype=torch.uint8)


def test_torch_without_memory_is_recognised_and_says_what_to_do() -> None:
    with pytest.raises(RuntimeError) as caught:
        allocate_everything()
    assert out_of_memory(caught.value)
    message = explain(caught.value)
    assert "--batch" in message and "lora_rank" in message and "\n" not in message


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        ValueError("No available memory for the cache blocks. Try increasing `gpu_memory_utilization`"),
    ],
)
def test_other_ways_of_having_no_memory(error: Exception) -> None:
    assert out_of_memory(error) and "ran out of memory" in explain(error)


def test_what_is_missing_is_one_line_and_a_defect_is_a_traceback() -> None:
    assert explain(ModelUnavailableError("no model here")) == "no model here"
    try:
        [][0]
    except IndexError as error:
        said = explain(error)
    assert "Traceback" in said and "test_failures.py" in said
    assert not out_of_memory(KeyError("memory"))
