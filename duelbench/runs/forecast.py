"""How many questions a run will put to oracles that cost something, said before the first is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from duelbench.envs.duel.problem import AsksOracle
from duelbench.oracles.reader.taste import TASTES
from duelbench.plugins import load
from duelbench.records.journal import Purpose
from duelbench.records.journaled_oracle import is_free
from duelbench.records.spec import RunSpec
from duelbench.runs.budget import allowance, questions_per_duel
from duelbench.runs.resolve import problem_of
from duelbench.runs.schedule import evaluation_points

MANY = 10_000
"""Questions above which one is asked whether that is meant."""


@dataclass(frozen=True)
class _Kind:
    """What an oracle is like, as far as its class tells: whether it has utilities, and compares by them alone."""

    utilities: bool
    derived: bool


def forecast_calls(spec: RunSpec) -> dict[Purpose, int]:
    """Questions of a run at most, under their purpose; 0 for oracles that are free. None is asked.

    >>> forecast_calls(RunSpec("LLMDuel-v0", "online", 0, 64))
    {'duel': 0, 'judging': 0}
    >>> forecast_calls(RunSpec("LLMDuel-v0", "online", 0, 64, env_kwargs={"oracle": "judge:some/model"}))
    {'duel': 64, 'judging': 128}
    """
    if spec.lockstep:  # the arms' probabilities are known
        return {"duel": 0, "judging": 0}
    answers = _answering(spec)
    judge = _paid(spec.judging.oracle) if spec.judging.oracle else answers
    duel = 0 if answers is None else spec.labels * questions_per_duel(answers.derived)
    return {"duel": duel, "judging": 0 if judge is None else _judging(spec, judge)}


def forecast_text(calls: Mapping[Purpose, int]) -> str:
    """The forecast as a sentence; empty where nothing costs anything.

    >>> forecast_text({"duel": 64, "judging": 1128})
    'Oracles that cost something get at most 64 questions for duels and 1,128 for judging'
    """
    if not sum(calls.values()):
        return ""
    return (
        f"Oracles that cost something get at most {calls['duel']:,} questions for duels and "
        f"{calls['judging']:,} for judging"
    )


def forecast_all(specs: Iterable[RunSpec]) -> dict[Purpose, int]:
    """The same of several runs together."""
    found = [forecast_calls(spec) for spec in specs]
    return {purpose: sum(calls[purpose] for calls in found) for purpose in ("duel", "judging")}  # type: ignore[misc]


def _answering(spec: RunSpec) -> _Kind | None:
    """What the oracle of the duels is like: the one that the arguments name, or that of the environment itself."""
    if isinstance(name := spec.env_kwargs.get("oracle"), str):
        return _paid(name)
    problem = problem_of(spec)
    return _kind(problem.oracle) if isinstance(problem, AsksOracle) else None


def _judging(spec: RunSpec, judge: _Kind) -> int:
    allowed = allowance(spec.labels, judge.utilities)
    if spec.judging.prompts is None:
        return max(allowed, 2)  # a single response is judged, however few labels there are
    points = evaluation_points(spec.labels, spec.judging.every, early=False)
    responses, references = len(points) * spec.judging.prompts * spec.judging.repeats, spec.judging.references or 1
    if judge.utilities:  # every stored response is scored where half the allowance pays for that
        return responses + spec.judging.prompts * references + allowed // 2
    return responses * references


def _paid(oracle: Any) -> _Kind | None:
    """What an oracle that costs something is like; None for one that is free."""
    if not isinstance(oracle, str):
        return _kind(oracle)
    name = oracle.removeprefix("ray:")
    kind, _, target = name.partition(":")
    if name in TASTES or name == "ifeval":
        return None
    if kind in ("judge", "pairrm") and target:
        return _Kind(utilities=False, derived=False)
    if kind == "reward-model" and target:
        return _Kind(utilities=True, derived=True)
    place, colon, attribute = name.rpartition(":")
    if not colon:
        place, _, attribute = name.rpartition(".")
    return _kind(load(f"{place}:{attribute}", kind="oracle"))


def _kind(oracle: Any) -> _Kind | None:
    if is_free(oracle):
        return None
    if callable(oracle) and not hasattr(oracle, "preference"):  # a function of prompt and response
        return _Kind(utilities=True, derived=True)
    utilities = hasattr(oracle, "utilities")
    return _Kind(utilities, utilities and bool(getattr(oracle, "prefers_by_utility", False)))
