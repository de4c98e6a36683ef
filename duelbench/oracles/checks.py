"""What every oracle checks of its input and output, so that mistakes end in one clear error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.errors import OracleRaisedError, UnansweredError
from duelbench.protocols import Oracle, UtilityOracle
from duelbench.types import is_text


class OracleError(ValueError):
    """An oracle was called wrongly or answered with something that is no answer."""


def check_texts(oracle: str, prompts: Sequence[str], *responses: Sequence[str]) -> None:
    """Check that prompts and responses are equally many strings.

    Raises:
        OracleError: a bare string instead of a list, unequal lengths, or an entry that is no string.
    """
    columns = dict(zip(("prompts", "responses", "second responses"), (prompts, *responses), strict=False))
    for name, column in columns.items():
        if isinstance(column, str):
            raise OracleError(f"{oracle}: {name} must be a sequence of strings, got one string: put it in a list")
        for i, text in enumerate(column):
            if not isinstance(text, str):
                raise OracleError(f"{oracle}: {name}[{i}] must be a string, got {type(text).__name__}")
            if not is_text(text):
                raise OracleError(f"{oracle}: {name}[{i}], {text!r:.80}, holds half of a character (a lone surrogate)")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{n} {name}" for name, n in lengths.items())
        raise OracleError(f"{oracle}: expected one prompt for each response, got {given}")


def check_utilities(oracle: str, utilities: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Check n utilities that an oracle computed; NaN is a declared failure and passes.

    Raises:
        OracleError: wrong shape or an infinite utility.
    """
    if utilities.shape != (n,):
        raise OracleError(f"{oracle}: expected {n} utilities of shape ({n},), got shape {utilities.shape}")
    if np.isinf(utilities).any():
        at = int(np.flatnonzero(np.isinf(utilities))[0])
        raise OracleError(f"{oracle}: utility {at} is infinite: return a finite number, or NaN for no answer")
    return utilities


def bradley_terry(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(first preferred) = 1 / (1 + exp(u(second) - u(first))), temperature 1; NaN where a utility is NaN."""
    from scipy.special import expit

    return np.asarray(expit(first - second), dtype=np.float64)


def ask_preference(
    oracle: Oracle, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]
) -> NDArray[np.float64]:
    """An oracle's P(first preferred) of n duels, (n,), checked; NaN is a declared failure and passes.

    Raises:
        OracleError: the oracle raised, or answered with anything but n numbers in [0, 1].
    """
    answers = _numbers(oracle.name, "probabilities", len(prompts), lambda: oracle.preference(prompts, firsts, seconds))
    wrong = np.flatnonzero((answers < 0.0) | (answers > 1.0))
    if len(wrong):
        at = int(wrong[0])
        raise OracleError(
            f"oracle {oracle.name!r}: probability {at} is {answers[at]:g}: return a number from 0 to 1, or NaN for no "
            "answer"
        )
    return answers


def ask_utilities(oracle: UtilityOracle, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
    """An oracle's utilities of n texts, (n,), checked; NaN is a declared failure and passes.

    Raises:
        OracleError: the oracle raised, or answered with anything but n finite numbers.
    """
    answers = _numbers(oracle.name, "utilities", len(prompts), lambda: oracle.utilities(prompts, responses))
    return check_utilities(f"oracle {oracle.name!r}", answers, len(prompts))


def _numbers(oracle: str, what: str, n: int, ask: Callable[[], Any]) -> NDArray[np.float64]:
    try:
        answers = ask()
    except OracleError:
        raise
    except (OracleRaisedError, UnansweredError):  # said where it was raised
        raise
    except Exception as error:  # a user's code may raise anything
        raise OracleError(f"oracle {oracle!r} failed: {type(error).__name__}: {error}") from error
    return check_answers(oracle, what, n, answers)


def check_answers(oracle: str, what: str, n: int, answers: Any) -> NDArray[np.float64]:
    """What an oracle answered to n questions, (n,) float64.

    Args:
        oracle: its name.
        what: the answers are, in the plural.
        n: number of questions.
        answers: what it returned.

    Raises:
        OracleError: anything but n numbers.
    """
    expected = f"oracle {oracle!r}: expected {n} {what}, an array of shape ({n},)"
    try:
        array = np.asarray(answers)
    except ValueError as error:
        raise OracleError(f"{expected}; got a ragged {type(answers).__name__}") from error
    if array.dtype.kind not in "buif":
        raise OracleError(f"{expected}; got {type(answers).__name__} without numbers: {str(answers)[:60]!r}")
    if array.shape != (n,):
        raise OracleError(f"{expected}; got shape {array.shape}")
    return array.astype(np.float64)
