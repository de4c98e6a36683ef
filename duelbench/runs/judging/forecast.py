"""How many questions a run will put to oracles that cost something, and how long ones, before the first is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duelbench.envs.duel.problem import AsksOracle
from duelbench.envs.text.llm_duel import DEFAULT_TASK
from duelbench.envs.text.tasks.load import load_task
from duelbench.oracles.question import TEMPLATE
from duelbench.oracles.reader.taste import TASTES
from duelbench.plugins import find
from duelbench.records.answers.entries import Purpose
from duelbench.records.answers.journaled_oracle import is_free
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.resolve import problem_of
from duelbench.runs.judging.budget import allowance, questions_per_duel
from duelbench.runs.judging.schedule import evaluation_points

MANY = 10_000
"""Questions above which one is asked whether that is meant."""


_ORDERS = 2  # a judge is asked in both
_SAMPLE = 200  # prompts whose length is measured
_CHARACTERS_PER_TOKEN = 4.0  # English, roughly


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
    calls: dict[Purpose, int] = {"duel": 0, "judging": 0}
    for _, purpose, questions in _asked(spec):
        calls[purpose] += questions
    return calls


def _asked(spec: RunSpec) -> list[tuple[Any, Purpose, int]]:
    """Who is asked what for, and how often at most; without oracles that are free."""
    if spec.lockstep:  # the arms' probabilities are known
        return []
    own, answers = spec.env_kwargs.get("oracle"), _answering(spec)
    duels: list[tuple[Any, Purpose, int]] = []
    if answers is not None:
        duels = [(own, "duel", spec.labels * questions_per_duel(answers.derived))]
    judges = [(own, answers)] if spec.judging.oracle is None else [(spec.judging.oracle, _paid(spec.judging.oracle))]
    if spec.judging.second is not None:
        judges.append((spec.judging.second, _paid(spec.judging.second)))
    return duels + [(name, "judging", _judging(spec, kind)) for name, kind in judges if kind is not None]


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


def requests_text(specs: Sequence[RunSpec]) -> str:
    """Requests to chat models behind endpoints and the tokens that these read, at most; empty where there are none.

    >>> spec = RunSpec("LLMDuel-v0", "online", 0, 64, env_kwargs={"oracle": "judge:http://localhost:8000/v1#qwen"})
    >>> requests_text([spec]).partition(", which")[0]
    'Up to 384 requests to judge:http://localhost:8000/v1#qwen'
    """
    asked = [(spec, name, n) for spec in specs for name, n in _chat_questions(spec).items() if n]
    if not asked:
        return ""
    requests, names = sum(_ORDERS * n for *_, n in asked), list(dict.fromkeys(name for _, name, _ in asked))
    tokens = sum(_ORDERS * n * _tokens(spec) for spec, _, n in asked)
    return f"Up to {requests:,} requests to {', '.join(names)}, which read about {round(tokens, -3):,.0f} tokens"


def _chat_questions(spec: RunSpec) -> dict[str, int]:
    """Questions to chat models behind endpoints, by their names."""
    if not any(map(_chats, (spec.env_kwargs.get("oracle"), spec.judging.oracle, spec.judging.second))):
        return {}
    found: dict[str, int] = {}
    for oracle, _, questions in _asked(spec):
        if _chats(oracle):
            found[oracle] = found.get(oracle, 0) + questions
    return found


def _chats(oracle: Any) -> bool:
    return isinstance(oracle, str) and oracle.removeprefix("ray:").startswith(("judge:http://", "judge:https://"))


def _tokens(spec: RunSpec) -> float:
    """Tokens that a judge reads in one question, about: of its template, a prompt, and two responses."""
    task = load_task(spec.env_kwargs.get("task", DEFAULT_TASK), spec.env_kwargs.get("task_options"))
    stored = [text for row in task.references[:_SAMPLE] for text in row]
    response = sum(map(len, stored)) / max(1, len(stored))
    prompts = task.prompts[:_SAMPLE]
    return (len(TEMPLATE) + sum(map(len, prompts)) / len(prompts) + 2 * response) / _CHARACTERS_PER_TOKEN


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
    if name == "people" or (kind in ("judge", "pairrm") and target):
        return _Kind(utilities=False, derived=False)
    if kind == "reward-model" and target:
        return _Kind(utilities=True, derived=True)
    return _kind(find(name, {}, kind="oracle"))


def _kind(oracle: Any) -> _Kind | None:
    if is_free(oracle):
        return None
    if callable(oracle) and not hasattr(oracle, "preference"):  # a function of prompt and response
        return _Kind(utilities=True, derived=True)
    utilities = hasattr(oracle, "utilities")
    return _Kind(utilities, utilities and bool(getattr(oracle, "prefers_by_utility", False)))
