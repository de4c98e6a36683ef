"""Ranges of options, declared where the options are: a value out of its range is refused as soon as it is given.

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Config(Checked):
...     rate: Positive = 1e-3
...     share: Share = 0.5
...     longest: Count | None = None
>>> Config(rate=0.0)
Traceback (most recent call last):
ValueError: Config: rate must be a finite number > 0, got 0.0
"""

from __future__ import annotations

import functools
import math
import numbers
import operator
import types
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from annotated_types import Ge, Gt, Interval, Le, Lt

Positive = Annotated[float, Gt(0)]
"""A number above 0."""
NonNegative = Annotated[float, Ge(0)]
"""A number of at least 0."""
Share = Annotated[float, Interval(ge=0, le=1)]
"""A share or probability, 0 and 1 included."""
Count = Annotated[int, Ge(1)]
"""A whole number of at least 1."""
Natural = Annotated[int, Ge(0)]
"""A whole number of at least 0."""


def at_least(share: float, of: int) -> int:
    """The least whole number that is no less than a share of another one, the share as it is written in decimals.

    >>> at_least(0.07, 100), math.ceil(0.07 * 100)
    (7, 8)
    >>> 10 - at_least(0.9, 10), int((1 - 0.9) * 10)
    (1, 0)
    """
    return math.ceil(Fraction(str(float(share))) * of)


class Checked:
    """A dataclass of options each of which is of its type and in its range. No number is NaN or infinite."""

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ValueError: naming the first that is wrong, and what was expected.
        """
        check_values(type(self), vars(self))


def check_values(place: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Check values against the types and ranges that a dataclass's fields, or a function's arguments, declare.

    Args:
        place: the dataclass or the function; of any other class, the constructor.
        values: by name; names that it does not have are left to others.

    Raises:
        ValueError: naming the first that is wrong, and what was expected.
    """
    checks = _checks(place)
    for name, value in values.items():
        if name in checks and (expected := checks[name](value)) is not None:
            raise ValueError(f"{place.__name__}: {name} must be {expected}, got {value!r}")


Check = Callable[[Any], str | None]
"""Says what was expected of a value; None if it is as expected, or of a type that is not looked at."""


@functools.cache
def _checks(place: Callable[..., Any]) -> dict[str, Check]:
    """The check of each field or argument, made once: a report reads the options of thousands of runs."""
    of_class = isinstance(place, type) and not hasattr(place, "__dataclass_fields__")
    hints = get_type_hints(place.__init__ if of_class else place, include_extras=True)  # type: ignore[misc]
    return {name: _check(hint) for name, hint in hints.items()}


def _check(hint: Any) -> Check:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _check_bounds(args[0], [bound for given in args[1:] for bound in _bounds(given)])
    if origin in (Union, types.UnionType):
        return _check_any([_check(arg) for arg in args])
    if origin is Literal:
        return lambda value: None if value in args else f"one of {list(args)}"
    if origin is tuple:
        return _check_tuple([_check(arg) for arg in args if arg is not ...], any_length=args[1:] == (...,))
    return lambda value: None if _is(hint, value) else _named(hint)


def _check_bounds(hint: Any, bounds: list[tuple[str, Any]]) -> Check:
    inner = _check(hint)
    expected = f"{_named(hint)} {' and '.join(f'{sign} {limit}' for sign, limit in bounds)}".strip()

    def check(value: Any) -> str | None:
        holds = inner(value) is None and all(_holds(sign, value, limit) for sign, limit in bounds)
        return None if holds else expected

    return check


def _check_any(checks: list[Check]) -> Check:
    def check(value: Any) -> str | None:
        found = [check(value) for check in checks]
        return None if None in found else " or ".join(dict.fromkeys(text for text in found if text))

    return check


def _check_tuple(checks: list[Check], *, any_length: bool) -> Check:
    def check(value: Any) -> str | None:
        if not isinstance(value, tuple | list):
            return "a list"
        each = checks * len(value) if any_length else checks
        if len(each) != len(value):
            return f"a list of {len(each)}"
        found = [check(inner) for check, inner in zip(each, value, strict=True)]
        return next((f"a list, each {text}" for text in found if text), None)

    return check


def _is(hint: Any, value: Any) -> bool:
    truth = isinstance(value, bool | np.bool_)
    if hint is bool:
        return truth
    if hint is int:
        return isinstance(value, numbers.Integral) and not truth
    if hint is float:
        return isinstance(value, numbers.Real) and not truth and math.isfinite(value)
    if hint is str:
        return isinstance(value, str)
    return value is None if hint in (None, type(None)) else True


def _named(hint: Any) -> str:
    names = {
        int: "a whole number",
        float: "a finite number",
        bool: "true or false",
        str: "a text",
        type(None): "nothing",
    }
    return names.get(hint, str(hint))


def _bounds(given: Any) -> list[tuple[str, Any]]:
    match given:
        case Gt(gt=limit):
            return [(">", limit)]
        case Ge(ge=limit):
            return [("≥", limit)]
        case Lt(lt=limit):
            return [("<", limit)]
        case Le(le=limit):
            return [("≤", limit)]
        case Interval():
            return [bound for inner in given for bound in _bounds(inner)]
    return []


_SIGNS = {">": operator.gt, "≥": operator.ge, "<": operator.lt, "≤": operator.le}


def _holds(sign: str, value: Any, limit: Any) -> bool:
    return bool(_SIGNS[sign](value, limit))
