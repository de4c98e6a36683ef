"""What a failed run says to its user: what can be mended is named in one message, anything else is a traceback."""

from __future__ import annotations

import errno
import re
import sqlite3
import traceback

OUT_OF_MEMORY = (
    "ran out of memory. Take a smaller --batch or fewer candidates, --set learner.micro_batch=4, "
    "--set policy.checkpointing=true, --set policy.lora_rank=8, a smaller model, or fewer --workers. Nothing is lost: "
    "with the old settings the same command goes on from the last checkpoint, other settings are another run"
)
_GOES_ON = "Nothing is lost: the same command goes on from the last checkpoint, and answers are bought only once"
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.ENOTDIR)
_NO_ROOM = re.compile("disk is full|disk I/O error|readonly database|unable to open")
_NO_MEMORY = re.compile(
    r"not enough memory|can't allocate memory|out of memory|No available memory for the cache blocks", re.IGNORECASE
)


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, be it Python's, the CPU's in torch, a GPU's or that of vLLM's cache."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ValueError) and bool(_NO_MEMORY.search(str(error)))
    )  # torch.OutOfMemoryError is a RuntimeError


def unwritable(error: BaseException) -> bool:
    """Whether a file could not be written: a full disk or quota, a read-only place."""
    return (isinstance(error, OSError) and error.errno in _UNWRITABLE) or (
        isinstance(error, sqlite3.OperationalError) and bool(_NO_ROOM.search(str(error)))
    )


def explain(error: BaseException) -> str:
    """The message for a user: one line for what can be mended; else the traceback.

    That is missing memory, a place that cannot be written to, or a missing file, model or network.
    """
    if unwritable(error):
        return f"The run could not write its records: {error}. Make room, or choose another --out. {_GOES_ON}"
    if out_of_memory(error):
        return f"The run {OUT_OF_MEMORY}. ({type(error).__name__}: {str(error).strip().partition(chr(10))[0]})"
    if isinstance(error, FileNotFoundError):
        return str(error)
    return "".join(traceback.format_exception(error))
