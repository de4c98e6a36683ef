"""What a failed command or run says to its user: one line for what can be mended, a traceback for a defect of ours."""

from __future__ import annotations

import errno
import re
import sqlite3
import sysconfig
import traceback
from types import FrameType

OUT_OF_MEMORY = (
    "ran out of memory. Take a smaller --batch or fewer candidates, --set learner.micro_batch=4, "
    "--set policy.checkpointing=true, --set policy.lora_rank=8, a smaller model, or fewer --workers. Nothing is lost: "
    "with the old settings the same command goes on from the last checkpoint, other settings are another run"
)
_LANGUAGE_MODELS = {"torch", "transformers", "safetensors", "gguf", "accelerate", "peft"}
"""Packages of the extra ``lm``."""
_STANDARD_LIBRARY = sysconfig.get_paths()["stdlib"]
_GOES_ON = "Nothing is lost: the same command goes on from the last checkpoint, and answers are bought only once"
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.ENOTDIR)
_NO_ROOM = re.compile("disk is full|disk I/O error|readonly database|unable to open")
_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")
_NO_MEMORY = re.compile(
    r"not enough memory|can't allocate memory|out of memory|No available memory for the cache blocks", re.IGNORECASE
)


class UsageError(ValueError):
    """What is asked for does not exist or does not fit together."""


class UnansweredError(RuntimeError):
    """An oracle could not finish a call, but keeps what it has: asked for that again, it answers at once.

    Args:
        reason: why it stopped.
        answered: prompt, first and second response of the duels of the call that it has an answer to.
    """

    def __init__(self, reason: str, answered: frozenset[tuple[str, str, str]] = frozenset()) -> None:
        super().__init__(reason)
        self.answered = answered


class OracleRaisedError(RuntimeError):
    """The code of an oracle raised an exception.

    Args:
        name: of the oracle.
        questions: how many it was asked; they have no answer, but for those of an ``UnansweredError``.
        error: what it raised.

    Attributes:
        answered: prompt, first and second response of those that can be asked for at once.
    """

    def __init__(self, name: str, questions: int, error: BaseException) -> None:
        self.answered = error.answered if isinstance(error, UnansweredError) else frozenset()
        questions -= min(questions, len(self.answered))
        where = _in_code_of_the_user(error)
        said = f"{type(error).__name__}: {_one_line(error)}" + (f" ({where})" if where else "")
        super().__init__(
            f"oracle {name!r} raised {said}. The {questions} questions of that call have no answer, all earlier ones "
            "keep theirs. Mend the oracle, or wait until it is back: the same command goes on, and asks only what has "
            "no answer"
        )


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, be it Python's, the CPU's in torch, a GPU's or that of vLLM's cache."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ValueError) and bool(_NO_MEMORY.search(str(error)))
    )  # torch.OutOfMemoryError is a RuntimeError


def unwritable(error: BaseException) -> bool:
    """Whether a file could not be written: a full disk or quota, a read-only place."""
    if isinstance(error, OSError):
        return error.errno in _UNWRITABLE
    if isinstance(error, sqlite3.OperationalError):
        return bool(_NO_ROOM.search(str(error)))
    said = _SYSTEM_ERROR.search(str(error))  # as safetensors tells of it
    return said is not None and int(said[1]) in _UNWRITABLE


def unwritten(error: BaseException) -> str:
    """A sentence about a file that a command could not write."""
    where = getattr(error, "filename", None)
    why = getattr(error, "strerror", None) or _one_line(error)
    return (
        f"could not write {where or 'its files'}: {why}. Make room, or choose a folder that can be written to; no file "
        "is half-written, and earlier ones are as they were"
    )


def explain(error: BaseException) -> str:
    """The message for a user: one line for what can be mended, else the traceback.

    One line gets: missing memory; a place that cannot be written to; what our own code raised on purpose, about a
    value, a file, a package or an answer; and whatever was raised in the user's own code, with file and line.
    """
    if unwritable(error):
        return f"The run could not write its records: {error}. Make room, or choose another --out. {_GOES_ON}"
    if out_of_memory(error):
        return f"The run {OUT_OF_MEMORY}. ({type(error).__name__}: {str(error).strip().partition(chr(10))[0]})"
    if (where := _in_code_of_the_user(error)) is not None:
        return f"{type(error).__name__}: {_one_line(error)} ({where})"
    if isinstance(error, FileNotFoundError) or _raised_on_purpose(error):
        return _one_line(error)
    if isinstance(error, ModuleNotFoundError) and (how := lacking(error)):
        return f"{_one_line(error)}: {how}"
    return "".join(traceback.format_exception(error))


def install(extra: str) -> str:
    """How to get the packages of one of our extras.

    >>> install("data")
    "pip install -e '.[data]' in the source folder of duelbench"
    """
    return f"pip install -e '.[{extra}]' in the source folder of duelbench"


def lacking(error: ModuleNotFoundError) -> str:
    """How to get the package of a language model that is not installed; empty where another one is missing.

    >>> lacking(ModuleNotFoundError("No module named 'torch'", name="torch"))
    "language models need more packages: pip install -e '.[lm]' in the source folder of duelbench"
    """
    known = (error.name or "").partition(".")[0] in _LANGUAGE_MODELS
    return f"language models need more packages: {install('lm')}" if known else ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _frames(error: BaseException) -> list[tuple[FrameType, int]]:
    """Where an exception passed through, the place that raised it last, each with its line."""
    found, trace = [], error.__traceback__
    while trace is not None:
        found.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    return found


def _in_code_of_the_user(error: BaseException) -> str | None:
    """The last place in code that is neither ours nor of an installed package, if we called it; None if there is none.

    An exception that our code raised, called back by the user's, is ours to explain.
    """
    frames = _frames(error)
    ours = [place for place, (frame, _) in enumerate(frames) if _is_ours(frame)]
    theirs = [place for place, (frame, _) in enumerate(frames) if ours and place > ours[0] and _is_theirs(frame)]
    if not theirs or theirs[-1] < ours[-1]:
        return None
    frame, line = frames[theirs[-1]]
    return f"{frame.f_code.co_filename}, line {line}, in {frame.f_code.co_name}"


def _raised_on_purpose(error: BaseException) -> bool:
    """Whether a ``raise`` of our own code made this error, and not a slip of it."""
    frames = _frames(error)
    deliberate = isinstance(error, ValueError | OSError | ImportError | RuntimeError)
    return deliberate and bool(frames) and _is_ours(frames[-1][0]) and not type(error).__module__.startswith("torch")


def _is_ours(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__", "").partition(".")[0] == "duelbench"


def _is_theirs(frame: FrameType) -> bool:
    path = frame.f_code.co_filename
    installed = "site-packages" in path or "dist-packages" in path or path.startswith(("<", _STANDARD_LIBRARY))
    return not installed and not _is_ours(frame)
