"""The run specification: everything that decides a run's outcome, and the id that follows from it."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from duelbench.ranges import Checked, Count, Natural

SPEC_VERSION = 2
RUN_SETS = ("horizon",)
"""Arguments of the environment that follow from the run itself: its budget."""
_AS_ASKED = ("env_kwargs", "agent_options", "learner", "policy")
"""Fields that say what was asked for; once they are resolved, only what they resolve to counts."""
_JUDGES = ("oracle", "oracle_kwargs", "second", "second_kwargs")
"""Those of ``Judging``."""


@dataclass(frozen=True)
class Judging(Checked):
    """How the deployed policy is judged on held-out prompts, by whom and how often.

    Attributes:
        every: labels between two judgements; 0 judges at the end alone.
        repeats: responses judged for each held-out prompt.
        prompts: held-out prompts that are judged; None for all, 0 to judge nothing.
        references: stored references of each prompt that responses are compared with; None for all. An oracle that
            costs something is asked about one, and about few prompts, unless these say otherwise.
        oracle: who judges; None for the oracle that answers the duels.
        oracle_kwargs: arguments of that oracle.
        second: another oracle that judges the same responses, by whom nothing is learned; None for nobody. One that
            costs something is shown as few of them as one that judges alone.
        second_kwargs: of that oracle.
    """

    every: Natural = 64
    repeats: Count = 2
    prompts: Natural | None = None
    references: Count | None = None
    oracle: str | None = None
    oracle_kwargs: dict[str, Any] = field(default_factory=dict)
    second: str | None = None
    second_kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSpec:
    """One run of one agent with one seed. All fields are plain JSON data.

    A specification says what is asked for; ``duelbench.runs.configuration.resolve`` adds what that comes to. The id of
    a run follows from the latter: an option that is set to its default changes nothing, a default or a file that
    changed makes another run.

    Attributes:
        env: environment id, or where it is: ``package.module:Id-v0``, ``path/to/file.py:Id-v0``.
        agent: registered name, ``package.module:Class`` or ``file.py:Class``.
        seed: root of every random stream.
        labels: oracle labels the run may use.
        batch: labels per round.
        judging: how the deployed policy is judged.
        env_kwargs: arguments of the environment.
        agent_options: fields of the agent's ``Config``, dotted for nested ones.
        learner: fields of ``duelbench.learning.learner.LearnerConfig``.
        policy: arguments of the policy; ``model`` names the language model.
        threads: torch threads; results can differ between thread counts.
        task: name that a suite gives the task; no part of the id, for it decides nothing.
        lockstep: seeds, from ``seed`` on, that an agent of the numeric families plays at once; 0 for any other agent.
        resolved: the whole configuration of ``agent``, ``learner``, ``policy`` and ``env``, defaults included; empty
            until it is resolved.
        content: hash of what is in the files behind ``agent``, ``env``, ``oracle``, ``task``, ``model``, … .
        old_id: id of a run that an older version played, which hashed less; empty for any other.
    """

    env: str
    agent: str
    seed: int
    labels: int
    batch: int = 32
    judging: Judging = field(default_factory=Judging)
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    agent_options: dict[str, Any] = field(default_factory=dict)
    learner: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    threads: int = 1
    lockstep: int = 0
    task: str = ""
    resolved: dict[str, Any] = field(default_factory=dict)
    content: dict[str, str] = field(default_factory=dict)
    old_id: str = ""

    def __post_init__(self) -> None:
        for name in ("labels", "batch", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def to_json(self) -> dict[str, Any]:
        """The specification as plain data; what came later and says nothing is left out, so that ids stay."""
        return copy.deepcopy(self._shallow())

    def _shallow(self) -> dict[str, Any]:
        """As ``to_json``, of values that are the specification's own."""
        data = vars(self) | {"judging": dict(vars(self.judging)), "version": SPEC_VERSION}
        if self.judging.second is None:
            del data["judging"]["second"], data["judging"]["second_kwargs"]
        return {name: value for name, value in data.items() if value or name not in ("lockstep", "task", "old_id")}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunSpec:
        """The specification that ``to_json`` gave, in this version or an older one."""
        data = dict(data)
        if data.get("version", 1) < SPEC_VERSION:
            data = _from_version_1(data)
        data["judging"] = Judging(**data.get("judging", {}))
        return cls(**{name: value for name, value in data.items() if name != "version"})

    @property
    def total_labels(self) -> int:
        """Labels of all its seeds."""
        return self.labels * max(1, self.lockstep)

    @property
    def run_id(self) -> str:
        """Hash of all that decides the outcome: equal outcomes, equal ids, wherever the files lie."""
        if self.old_id:
            return self.old_id
        data = self._shallow()
        data.pop("task", None)
        if self.resolved:
            for name in _AS_ASKED:
                del data[name]
            data |= {"env": self.env_label, "agent": self.agent_label}
            for name in _JUDGES:  # ``resolved`` has them, by content
                data["judging"].pop(name, None)
        return _hash(data)

    @property
    def asked_id(self) -> str:
        """Hash of what was asked, whatever it came to: the run's name in a study that is committed as a table."""
        data = dataclasses.asdict(self)
        kept = {name: data[name] for name in ("env", "agent", "seed", "labels", "batch", *_AS_ASKED, "threads")}
        kept |= {"evaluate_every": self.judging.every, "evaluation_repeats": self.judging.repeats, "version": 1}
        return _hash(kept | ({"lockstep": self.lockstep} if self.lockstep else {}))

    @property
    def agent_label(self) -> str:
        """The agent's name for people: the class name if it was given by path."""
        return self.agent.rpartition(":")[2]

    @property
    def env_label(self) -> str:
        """The environment's id for people, without the module or file it comes from."""
        return self.env.rpartition(":")[2]

    @property
    def folder_name(self) -> str:
        """Name of the run's folder; an environment's namespace must not become a folder of its own."""
        return f"{self.env_label}-{self.agent_label}-{self.seed}-{self.run_id}".replace("/", "_")


def _hash(data: Mapping[str, Any]) -> str:
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _from_version_1(data: Mapping[str, Any]) -> dict[str, Any]:
    """A specification of version 1 kept how it is judged in two fields and hashed itself as it was asked for."""
    judging = {"every": data.get("evaluate_every", 64), "repeats": data.get("evaluation_repeats", 2)}
    kept = {name: value for name, value in data.items() if name not in ("evaluate_every", "evaluation_repeats")}
    return kept | {"judging": judging, "old_id": _hash(data)}


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
