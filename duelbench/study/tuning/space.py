"""What hyper-parameters may be: ranges as the command line writes them, as Optuna's distributions, and in words.

    learner.learning_rate=log:1e-4:1e-1   a number, uniform on the logarithmic scale
    sea.posterior.prior_scale=float:0:2    a number, uniform
    sea.candidates=int:4:32               a whole number; int:4:32:4 goes in steps of 4
    sea.posterior.samples=logint:8:256     a whole number, uniform on the logarithmic scale
    policy.hidden=choice:64,128,256       one of these values, each read like that of a ``--set``

Names are those of ``--set``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from duelbench.plugins import did_you_mean
from duelbench.records.spec import option_value

Setting = dict[str, Any]
"""A value for each parameter."""
Range = FloatDistribution | IntDistribution | CategoricalDistribution
Space = dict[str, Range]
"""A range for each parameter."""

KINDS = {
    "log": "log:LOW:HIGH",
    "float": "float:LOW:HIGH",
    "int": "int:LOW:HIGH or int:LOW:HIGH:STEP",
    "logint": "logint:LOW:HIGH",
    "choice": "choice:A,B,C",
}
"""Kinds of range and how each is written."""


class SearchError(ValueError):
    """A range that cannot be searched."""


def parse_space(searches: Sequence[str]) -> Space:
    """The search space of ``NAME=KIND:RANGE`` texts.

    Raises:
        SearchError: naming the text, what is wrong with it and what is expected.

    >>> parse_space(["sea.candidates=int:4:32", "policy.hidden=choice:64,128"])["sea.candidates"]
    IntDistribution(high=32, log=False, low=4, step=1)
    """
    space: Space = {}
    for text in searches:
        name, equals, rest = text.partition("=")
        kind, colon, limits = rest.partition(":")
        if not name or not equals or not colon:
            raise SearchError(
                f"--search expects NAME=KIND:RANGE, e.g. learner.learning_rate=log:1e-4:1e-1, got {text!r}"
            )
        if kind not in KINDS:
            raise SearchError(
                f"--search {text}: there is no range of kind {kind!r}: expected one of {list(KINDS)}"
                + did_you_mean(kind, KINDS)
            )
        if name in space:
            raise SearchError(f"--search names {name} twice: give it one range")
        space[name] = _choice(text, limits) if kind == "choice" else _range(text, kind, limits.split(":"))
    if not space:
        raise SearchError("nothing to tune: give at least one --search, e.g. learner.learning_rate=log:1e-4:1e-1")
    return space


def _choice(text: str, limits: str) -> CategoricalDistribution:
    values = [option_value(value) for value in limits.split(",")]
    for value in values:
        if not (value is None or isinstance(value, bool | int | float | str)) or value == "":
            raise SearchError(f"--search {text}: a choice is a number, a word, true, false or null, got {value!r}")
    if len(set(map(repr, values))) < max(2, len(values)):
        raise SearchError(f"--search {text}: expected at least two different choices")
    return CategoricalDistribution(values)


def _range(text: str, kind: str, parts: list[str]) -> Range:
    whole, log = kind in ("int", "logint"), kind.startswith("log")
    number = int if whole else float
    try:
        low, high, *steps = [number(part) for part in parts]
    except ValueError:
        raise SearchError(f"--search {text}: expected {KINDS[kind]} with {number.__name__} numbers") from None
    if len(steps) > (kind == "int") or (steps and steps[0] < 1):
        raise SearchError(f"--search {text}: expected {KINDS[kind]}, the step at least 1")
    if not (low < high and -float("inf") < low and high < float("inf")):
        raise SearchError(f"--search {text}: expected LOW < HIGH, both finite, got {low} and {high}")
    if log and low <= 0:
        raise SearchError(f"--search {text}: on a logarithmic scale LOW is above 0, got {low}")
    if not whole:
        return FloatDistribution(low, high, log=log)
    step = int(steps[0]) if steps else 1
    if (high - low) % step:
        raise SearchError(f"--search {text}: steps of {step} from {low} do not end at {high}")
    return IntDistribution(int(low), int(high), log=log, step=step)


def edges(distribution: Range) -> tuple[Any, ...]:
    """Values that show whether a range fits its parameter: both ends, or every choice."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    return distribution.low, distribution.high


def grid(space: Space) -> list[Setting]:
    """Every setting of a space of choices and whole numbers, the last parameter fastest.

    Raises:
        SearchError: for a range of numbers, which has no end of settings.
    """
    settings: list[Setting] = [{}]
    for name, distribution in space.items():
        if isinstance(distribution, CategoricalDistribution):
            values: Sequence[Any] = distribution.choices
        elif isinstance(distribution, IntDistribution) and not distribution.log:
            values = range(distribution.low, distribution.high + 1, distribution.step)
        else:
            raise SearchError(f"a grid needs choices or int ranges, but {name} is {words(distribution)}")
        settings = [setting | {name: value} for setting in settings for value in values]
    return settings


def holds(distribution: Range, value: Any) -> bool:
    """Whether a value that came from outside lies in the range. A truth value is no number here."""
    if isinstance(distribution, CategoricalDistribution):
        return any(type(value) is type(choice) and value == choice for choice in distribution.choices)
    number = int if isinstance(distribution, IntDistribution) else int | float
    if isinstance(value, bool) or not isinstance(value, number):
        return False
    if not distribution.low <= value <= distribution.high:
        return False
    return isinstance(distribution, FloatDistribution) or (value - distribution.low) % distribution.step == 0


def suggest(trial: Trial, space: Space) -> Setting:
    """The setting of a trial, as its study's sampler draws it; what it has drawn before stays."""
    setting: Setting = {}
    for name, d in space.items():
        if isinstance(d, CategoricalDistribution):
            setting[name] = trial.suggest_categorical(name, d.choices)
        elif isinstance(d, IntDistribution):
            setting[name] = trial.suggest_int(name, d.low, d.high, log=d.log, step=d.step)
        else:
            setting[name] = float(trial.suggest_float(name, d.low, d.high, log=d.log))  # a sampler may have given 1
    return setting


def words(distribution: Range) -> str:
    """A range in words.

    >>> words(FloatDistribution(1e-4, 0.1, log=True)), words(CategoricalDistribution([64, "bai"]))
    ('a number from 0.0001 to 0.1 on a logarithmic scale', 'one of 64, "bai"')
    """
    if isinstance(distribution, CategoricalDistribution):
        return "one of " + ", ".join(map(json.dumps, distribution.choices))
    whole = isinstance(distribution, IntDistribution)
    text = f"a {'whole ' if whole else ''}number from {distribution.low:g} to {distribution.high:g}"
    if distribution.log:
        return f"{text} on a logarithmic scale"
    return f"{text} in steps of {distribution.step}" if whole and distribution.step != 1 else text


def as_options(setting: Setting) -> tuple[str, ...]:
    """A setting as values of ``--set``.

    >>> as_options({"policy.hidden": 64, "sea.selection": "bai", "env.one_hot": True})
    ('policy.hidden=64', 'sea.selection=bai', 'env.one_hot=true')
    """
    return tuple(f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in setting.items())
