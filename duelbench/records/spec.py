"""The run specification: everything that decides a run's outcome, and the id that follows from it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

SPEC_VERSION = 1
RUN_SETS = ("horizon",)
"""Arguments of the environment that follow from the run itself: its budget."""


@dataclass(frozen=True)
class Judging:
    """How the deployed policy is judged on held-out prompts, by whom and how often."""

    every: int = 64
    repeats: int = 2
    prompts: int | None = None
    references: int | None = None
    oracle: str | None = None
    oracle_kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSpec:
    """One run of one agent with one seed. All fields are plain JSON data.

    Attributes:
        env: environment id.
        agent: registered name, ``package.module:Class`` or ``file.py:Class``.
        seed: root of every random stream.
        labels: oracle labels the run may use.
        batch: labels a round.
        evaluate_every: labels between two judgements of the deployed policy.
        evaluation_repeats: responses judged for each held-out prompt.
        env_kwargs: of the environment.
        agent_options: fields of the agent's ``Config``, dotted for nested ones.
        learner: fields of ``duelbench.learning.learner.LearnerConfig``.
        policy: arguments of the policy; ``model`` names the language model.
        threads: torch threads; results can differ between thread counts.
        task: name that a suite gives the task; no part of the id, for it decides nothing.
        lockstep: seeds, from ``seed`` on, that an agent of the numeric families plays at once; 0 for any other agent.
    """

    env: str
    agent: str
    seed: int
    labels: int
    batch: int = 32
    evaluate_every: int = 64
    evaluation_repeats: int = 2
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    agent_options: dict[str, Any] = field(default_factory=dict)
    learner: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    lockstep: int = 0
    task: str = ""

    def __post_init__(self) -> None:
        for name in ("labels", "batch", "evaluate_every", "evaluation_repeats", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def judging(self) -> Judging:
        """How it is judged."""
        return Judging(self.evaluate_every, self.evaluation_repeats)

    def to_json(self) -> dict[str, Any]:
        """The specification as plain data; ``lockstep`` and ``task`` only where they say something."""
        data = dataclasses.asdict(self) | {"version": SPEC_VERSION}
        return {name: value for name, value in data.items() if value or name not in ("lockstep", "task")}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RunSpec:
        """The specification that ``to_json`` gave."""
        return cls(**{name: value for name, value in data.items() if name != "version"})

    @property
    def total_labels(self) -> int:
        """Labels of all its seeds."""
        return self.labels * max(1, self.lockstep)

    @property
    def run_id(self) -> str:
        """Hash of the canonical JSON: equal specifications are the same run."""
        data = {name: value for name, value in self.to_json().items() if name != "task"}
        canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @property
    def agent_label(self) -> str:
        """The agent's name for people: the class name if it was given by path."""
        return self.agent.rpartition(":")[2]

    @property
    def folder_name(self) -> str:
        """Name of the run's folder; an environment's namespace must not become a folder of its own."""
        return f"{self.env}-{self.agent_label}-{self.seed}-{self.run_id}".replace("/", "_").replace(":", "_")


def seed_specs(agent: type, shared: dict[str, Any], seeds: range, in_batches: dict[str, Any]) -> list[RunSpec]:
    """The runs of one agent: one for all seeds where it plays them in lock-step, else one for each.

    Args:
        agent: its class.
        shared: fields of its runs.
        seeds: consecutive.
        in_batches: more fields for an agent that is not of the lock-step kind: ``batch``, ``learner``, ``policy``.
    """
    if getattr(agent, "lockstep", False):
        return [RunSpec(**shared, seed=seeds.start, batch=1, lockstep=len(seeds))]
    return [RunSpec(**shared, **in_batches, seed=seed) for seed in seeds]


def option_value(text: str) -> Any:
    """The value of a ``NAME=VALUE`` setting: JSON where it parses as such, else the text itself.

    >>> option_value("8"), option_value("0.5"), option_value("bai")
    (8, 0.5, 'bai')
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
