"""What a failed run says to its user: what can be mended is named in one message, anything else is a traceback."""

from __future__ import annotations

import re
import traceback

OUT_OF_MEMORY = (
    "ran out of memory. Take a smaller --batch or fewer candidates, --set learner.micro_batch=4, "
    "--set policy.checkpointing=true, --set policy.lora_rank=8, a smaller model, or fewer --workers. Nothing is lost: "
    "with the old settings the same command goes on from the last checkpoint, other settings are another run"
)
_NO_MEMORY = re.compile(
    r"not enough memory|can't allocate memory|out of memory|No available memory for the cache blocks", re.IGNORECASE
)


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, be it Python's, the CPU's in torch, a GPU's or that of vLLM's cache."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ValueError) and bool(_NO_MEMORY.search(str(error)))
    )  # torch.OutOfMemoryError is a RuntimeError


def explain(error: BaseException) -> str:
    """The message for a user: one line for missing memory or a missing file, model or network; else the traceback."""
    if out_of_memory(error):
        return f"The run {OUT_OF_MEMORY}. ({type(error).__name__}: {str(error).strip().partition(chr(10))[0]})"
    if isinstance(error, FileNotFoundError):
        return str(error)
    return "".join(traceback.format_exception(error))
