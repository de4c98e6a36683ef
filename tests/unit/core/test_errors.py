from __future__ import annotations

from pathlib import Path

import pytest
import torch

from duelbench.assets.model_source import ModelUnavailableError
from duelbench.errors import explain, out_of_memory
from duelbench.plugins import PluginError, load
from duelbench.records.spec import RunSpec
from duelbench.runs.recording.run_folder import RunFolder


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
    assert "Traceback" in said and "test_errors.py" in said
    assert not out_of_memory(KeyError("memory"))


def explained(error_in: str, tmp_path: Path) -> str:
    """What is said of an error in a user's function that our code calls."""
    (tmp_path / "mine.py").write_text(f"def mine():\n    {error_in}\n")
    mine = load(f"{tmp_path / 'mine.py'}:mine", kind="oracle")
    try:
        RunFolder.at(tmp_path, RunSpec("LLMDuelPool-v0", "online", 0, 8)).play(mine)
    except Exception as error:
        return explain(error)
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("error_in", ["return {}[0]", "return 1 / 0", "raise TypeError('two\\nlines')"])
def test_an_error_in_the_users_own_code_is_one_line_with_its_place(error_in: str, tmp_path: Path) -> None:
    said = explained(error_in, tmp_path)
    assert "\n" not in said and "mine.py" in said


def test_what_our_code_refuses_is_its_message_alone() -> None:
    with pytest.raises(PluginError) as caught:
        load("nowhere.py:Agent", kind="agent")
    assert explain(caught.value) == str(caught.value)
