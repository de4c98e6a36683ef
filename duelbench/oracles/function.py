"""Any function of (prompt, response) as an oracle."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.oracles.checks import bradley_terry, check_texts, check_utilities

_log = logging.getLogger(__name__)


class FunctionOracle:
    """A rule f(prompt, response) -> float, compared by Bradley–Terry.

    Example:
        >>> def brevity(prompt: str, response: str) -> float:
        ...     return -len(response.split())
        >>> oracle = FunctionOracle(brevity)
        >>> oracle.preference(["Say hi."], ["hi"], ["well, hello there"]).round(2).tolist()
        [0.88]
    """

    prefers_by_utility = True

    def __init__(self, function: Callable[[str, str], float], name: str | None = None) -> None:
        """Wrap a function.

        Args:
            function: utility of a response to a prompt. If it raises, or gives anything but a
                number, that response has no utility (NaN). Attributes ``free`` and ``portion`` of the
                function are the oracle's.
            name: what records call the oracle; the function's own name by default.
        """
        self.__wrapped__ = self.function = function
        self.free = bool(getattr(function, "free", False))
        self.portion: int | None = getattr(function, "portion", None)
        self.name = name or str(getattr(function, "__name__", type(function).__name__))

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        """u(x, y) of n texts, (n,); NaN where the function raised or gave no number.

        Raises:
            OracleError: unequal lengths or an infinite utility.
        """
        check_texts(self.name, prompts, responses)
        values = np.full(len(prompts), np.nan)
        failures: list[Exception] = []
        for i, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
            try:
                values[i] = _number(self.function(prompt, response))
            except Exception as error:  # a user's code may raise anything: one bad text must not cost a batch
                failures.append(error)
        if failures:
            counts = f"{len(failures)} of {len(values)}"
            _log.warning("%s: no utility for %s texts, first: %r", self.name, counts, failures[0])
        return check_utilities(self.name, values, len(prompts))

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """Probability that the first response is preferred, (n,); NaN where either has no utility."""
        check_texts(self.name, prompts, firsts, seconds)
        both = self.utilities([*prompts, *prompts], [*firsts, *seconds])
        return bradley_terry(both[: len(prompts)], both[len(prompts) :])


def _number(value: Any) -> float:
    if isinstance(value, str | bytes):  # float("3") is 3.0, but a text is no judgement
        raise TypeError(f"expected a number, got the text {value!r}")
    return float(value)
