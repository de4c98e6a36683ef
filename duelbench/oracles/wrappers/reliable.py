"""Time-outs, retries and a rate limit for an oracle that is slow, busy or down now and then."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from duelbench.oracles.checks import OracleError, check_answers
from duelbench.protocols import Oracle, Traits, UtilityOracle

_log = logging.getLogger(__name__)
_LONGEST_PAUSE = 60.0  # seconds
_Asked = TypeVar("_Asked", bound=Callable[..., Any] | Oracle)
Answers = NDArray[np.float64]


@overload
def reliable(
    asked: _Asked, *, timeout: float | None = None, retries: int = 3, rate: float | None = None, pause: float = 1.0
) -> _Asked: ...
@overload
def reliable(
    *, timeout: float | None = None, retries: int = 3, rate: float | None = None, pause: float = 1.0
) -> Callable[[_Asked], _Asked]: ...
def reliable(
    asked: Any = None,
    *,
    timeout: float | None = None,
    retries: int = 3,
    rate: float | None = None,
    pause: float = 1.0,
) -> Any:
    """An oracle that is asked with patience: it takes its time, is tried again, and is not asked faster than it likes.

    What still has no answer is NaN: no label is made up, and none that has come is lost or asked for again. Of a batch
    that an oracle answers in part, only the rest is asked again; an answer that comes after its time is taken if it
    comes before the next attempt. An answer of the wrong form is an error at once.

    Args:
        asked: a function f(prompt, response) -> float, a class of oracles, or an oracle; without it, a decorator.
        timeout: seconds that a call may take; None waits for ever. A call with a timeout runs in a thread of its own,
            which cannot be stopped: one that hangs is left behind.
        retries: how often a failed call is tried again: one that raises, takes too long, or answers with NaN.
        rate: calls per second at most, attempts included; None for no limit.
        pause: seconds before the first retry, twice as many before each further one up to 60; up to ``pause`` seconds
            more are drawn each time, so that several processes do not all come back at once.

    Returns:
        The same kind of thing, under the same name, wherever an oracle is expected. A function is asked text by text,
        and each answer is durable before the next is bought; an oracle says by its attribute ``portion`` how many
        questions a call has. Attributes such as ``free`` are kept.

    Raises:
        ValueError: an argument is out of range.
        TypeError: what is to be asked is no oracle.

    >>> calls = []
    >>> @reliable(retries=1, pause=0)
    ... def brevity(prompt: str, response: str) -> float:
    ...     calls.append(response)
    ...     if len(calls) == 1:
    ...         raise TimeoutError("busy")
    ...     return -len(response)
    >>> brevity("Say hi.", "hi"), calls
    (-2.0, ['hi', 'hi'])
    """
    patience = _Patience(timeout, retries, rate, pause)
    return patience.with_(asked) if asked is not None else patience.with_


@dataclass
class _Patience:
    """How an oracle is asked; see ``reliable``."""

    timeout: float | None
    retries: int
    rate: float | None
    pause: float
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _next: float = 0.0  # when the next call may begin

    def __post_init__(self) -> None:
        for name, value in (("timeout", self.timeout), ("rate", self.rate)):
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be a number above 0, or None for no limit, got {value}")
        if isinstance(self.retries, bool) or not isinstance(self.retries, int) or self.retries < 0:
            raise ValueError(f"retries must be a whole number of at least 0, got {self.retries!r}")
        if not 0 <= self.pause <= _LONGEST_PAUSE:
            raise ValueError(f"pause must be a number of seconds from 0 to {_LONGEST_PAUSE:g}, got {self.pause}")

    def with_(self, asked: Any) -> Any:
        """The same, asked with patience."""
        if inspect.isclass(asked) and hasattr(asked, "preference"):
            return _patient_class(asked, self)
        if not inspect.isclass(asked) and isinstance(asked, Oracle):
            return (
                ReliableUtilityOracle(asked, self) if isinstance(asked, UtilityOracle) else ReliableOracle(asked, self)
            )
        if inspect.isclass(asked) or not callable(asked):
            raise TypeError(
                f"expected a function f(prompt, response) -> float, or an oracle with name and preference(prompts, "
                f"firsts, seconds), got {asked!r}"
            )
        return _patient_function(asked, self)

    def ask(self, name: str, what: str, call: Callable[..., Any], *columns: Sequence[str]) -> Answers:
        """n answers, (n,), to questions given as columns of texts."""
        from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential, wait_random

        questions = _Questions(name, what, columns, functools.partial(self._begin, call))
        attempts = Retrying(
            stop=stop_after_attempt(1 + self.retries),
            wait=wait_exponential(self.pause, _LONGEST_PAUSE) + wait_random(0, self.pause),
            retry=retry_if_result(bool),
            retry_error_callback=lambda state: None,
        )
        attempts(questions.attempt, self.timeout)
        questions.take_late()
        questions.complain()
        return questions.answers

    def _begin(self, call: Callable[..., Any], *columns: list[str]) -> Future[Any]:
        """Begin a call when the rate allows it."""
        if self.rate is not None:
            with self._lock:
                begins = max(time.monotonic(), self._next)
                self._next = begins + 1 / self.rate
            time.sleep(max(0.0, begins - time.monotonic()))
        future: Future[Any] = Future()
        if self.timeout is None:
            _run(future, call, columns)
        else:
            threading.Thread(target=_run, args=(future, call, columns), daemon=True).start()
        return future


def _run(future: Future[Any], call: Callable[..., Any], columns: tuple[list[str], ...]) -> None:
    try:
        future.set_result(call(*columns))
    except BaseException as error:  # raised again by whoever waits
        future.set_exception(error)


class _Questions:
    """Questions of one batch, and the answers that have come.

    Args:
        name: name of the oracle.
        what: answers are, in the plural.
        columns: columns of texts, n each.
        begin: begins a call for some questions.
    """

    def __init__(
        self, name: str, what: str, columns: Sequence[Sequence[str]], begin: Callable[..., Future[Any]]
    ) -> None:
        self.name, self.what, self.columns, self.begin = name, what, columns, begin
        self.answers: Answers = np.full(len(columns[0]), np.nan)
        self.error: Exception | None = None
        self._late: list[tuple[NDArray[np.int64], Future[Any]]] = []

    def attempt(self, timeout: float | None) -> bool:
        """Ask what has no answer yet; returns whether there is still such."""
        self.take_late()
        rows = np.flatnonzero(np.isnan(self.answers))
        if not len(rows):
            return False
        future = self.begin(*([column[row] for row in rows.tolist()] for column in self.columns))
        self._late.append((rows, future))
        try:
            future.result(timeout)
        except TimeoutError as error:
            self.error = error if future.done() else TimeoutError(f"no answer within {timeout:g} s")
        except Exception as error:
            self.error = error
        self.take_late()
        return bool(np.isnan(self.answers).any())

    def take_late(self) -> None:
        """Take the answers of all calls that have ended since."""
        for rows, future in [late for late in self._late if late[1].done()]:
            if isinstance(raised := future.exception(), OracleError):
                raise raised
            if raised is None:
                came = check_answers(self.name, self.what, len(rows), future.result())
                open_rows = np.isnan(self.answers[rows])
                self.answers[rows[open_rows]] = came[open_rows]
        self._late = [late for late in self._late if not late[1].done()]

    def complain(self) -> None:
        """Say how many questions have no answer, and why."""
        if failed := int(np.isnan(self.answers).sum()):
            why = "it answered with NaN" if self.error is None else repr(self.error)
            _log.warning("%s: no answer to %d of %d questions: %s", self.name, failed, len(self.answers), why)


class ReliableOracle:
    """An oracle that is asked with patience; made by ``reliable``. ``__wrapped__`` is the oracle itself."""

    def __init__(self, oracle: Oracle, patience: _Patience) -> None:
        self.__wrapped__, self._patience, self.name = oracle, patience, oracle.name
        Traits.of(oracle).put_on(self)

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> Answers:
        """As ``duelbench.protocols.Oracle``; NaN where the oracle failed again and again."""
        ask = self.__wrapped__.preference
        return self._patience.ask(self.name, "probabilities", ask, prompts, firsts, seconds)


class ReliableUtilityOracle(ReliableOracle):
    """The same for an oracle with utilities."""

    __wrapped__: UtilityOracle

    def __init__(self, oracle: UtilityOracle, patience: _Patience) -> None:
        super().__init__(oracle, patience)
        self.prefers_by_utility = bool(getattr(oracle, "prefers_by_utility", False))

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> Answers:
        """As ``duelbench.protocols.UtilityOracle``; NaN where the oracle failed again and again."""
        return self._patience.ask(self.name, "utilities", self.__wrapped__.utilities, prompts, responses)


def _patient_class(cls: Any, patience: _Patience) -> type[ReliableOracle]:
    """A class whose oracles are those of ``cls``, asked with patience."""
    base = ReliableUtilityOracle if hasattr(cls, "utilities") else ReliableOracle

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        base.__init__(self, cls(*args, **kwargs), patience)

    said = [trait.name for trait in fields(Traits) if trait.name != "flips"] + ["prefers_by_utility"]
    kept = {name: getattr(cls, name) for name in said if hasattr(cls, name)}
    own = {"__init__": __init__, "__signature__": inspect.signature(cls), "__wrapped__": cls, "__doc__": cls.__doc__}
    place = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    return type(cls.__name__, (base,), kept | own | place)


def _patient_function(function: Callable[[str, str], Any], patience: _Patience) -> Callable[[str, str], float]:
    """A function that is asked with patience, one text at a time."""
    name = str(getattr(function, "__name__", type(function).__name__))

    def one(prompts: Sequence[str], responses: Sequence[str]) -> list[Any]:
        return [function(prompts[0], responses[0])]

    @functools.wraps(function)
    def patient(prompt: str, response: str) -> float:
        return float(patience.ask(name, "utilities", one, [prompt], [response])[0])

    vars(patient).setdefault("portion", 1)
    return patient
