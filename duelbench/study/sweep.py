"""Sweeps as data: environments × agents × optimizers × settings × seeds.

A file of one's own holds a ``sweep``::

    from duelbench.study.sweep import AgentSetting, Sweep

    sweep = Sweep(
        title="How many candidates does SEA need?",
        envs=["LLMDuelPool-v0"],
        agents=["online", AgentSetting("sea", {"candidates": 4}), AgentSetting("sea", {"candidates": 16})],
        seeds=10,
        labels=512,
    )

and ``duelbench sweep my_sweep.py`` plays it. A run is known by the hash of its specification, never by its place:
runs can be added, removed and reordered, and what is finished stays finished.
"""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duelbench.plugins import did_you_mean, load_module
from duelbench.records.plan import Plan, Planned
from duelbench.study.request import OTHERS, Request, UsageError, meant

SMOKE = "smoke"
"""Tag of a few runs that show that a sweep works: the first seed of each environment and agent, all else at its first
value."""

_NAMED = "duelbench.experiments.sweeps"


@dataclass(frozen=True)
class EnvSetting:
    """An environment of a sweep.

    Attributes:
        env: environment id.
        preset: a named setting of it.
        options: arguments of it.
        model: language model.
        labels: budget of a run; None for the sweep's.
        tags: chosen with ``--only``.
    """

    env: str
    preset: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    labels: int | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class AgentSetting:
    """An agent of a sweep.

    Attributes:
        agent: registered name, ``package.module:Class`` or ``path/to/file.py:Class``.
        options: fields of its ``Config``, dotted for nested ones.
        tags: chosen with ``--only``.
    """

    agent: str
    options: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sweep:
    """What is compared, and how its author says in advance that it is to be read.

    Attributes:
        title: heading of the report.
        envs: ids or settings.
        agents: names or settings.
        optimizers: direct optimizers of the policy, names in ``duelbench.learning.pair_losses.LOSSES``.
        settings: values of an axis each: ``{"learner.learning_rate": [1e-3, 1e-2], "sea.candidates": [8, 16]}``. The
            axis of one agent does not multiply the runs of the others.
        seeds: how many, or which: consecutive ones from 0 report, those from 1000 tune.
        labels: budget of a run; None for the environment's usual one.
        batch: labels a round; the same.
        baseline: the agent that the others are compared with.
        thresholds: win rates for the table of labels needed; None for the report's own.
        threads: torch threads of a run.
    """

    title: str
    envs: Sequence[str | EnvSetting]
    agents: Sequence[str | AgentSetting]
    optimizers: Sequence[str] = ("dpo",)
    settings: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    seeds: int | range = 10
    labels: int | None = None
    batch: int | None = None
    baseline: str = "online"
    thresholds: tuple[float, ...] | None = None
    threads: int = 1

    def plan(self, name: str) -> Plan:
        """Every run, each once, ordered by seed, so that an interrupted sweep has all agents of its first seeds.

        Raises:
            UsageError: for an unknown environment, agent, axis or option.
        """
        found: dict[str, Planned] = {}
        for request, tags, first in self._requests():
            for spec in request.specs():
                smoke = (SMOKE,) if first and spec.seed == request.first_seed else ()
                known = found[spec.run_id].tags if spec.run_id in found else ()
                found[spec.run_id] = Planned(spec, tuple(dict.fromkeys((*known, *tags, *smoke))))
        if not found:
            raise UsageError(f"the sweep {name!r} has no runs: give it at least one environment and one agent")
        runs = tuple(sorted(found.values(), key=lambda planned: planned.spec.seed))
        return Plan(name, self.title, runs, self.baseline, self.thresholds)

    def _requests(self) -> Iterator[tuple[Request, tuple[str, ...], bool]]:
        """Agents × seeds on one environment each, with its tags, and whether all else is at its first value."""
        agents = [agent if isinstance(agent, AgentSetting) else AgentSetting(agent) for agent in self.agents]
        names = [agent.agent for agent in agents]
        axes = {_axis(setting, names): values for setting, values in self.settings.items()}
        seeds = range(self.seeds) if isinstance(self.seeds, int) else self.seeds
        if seeds.step != 1:
            raise UsageError(f"seeds must be consecutive, got {seeds}")
        for env, agent in itertools.product(self.envs, agents):
            on = env if isinstance(env, EnvSetting) else EnvSetting(env)
            own = {axis: values for axis, values in axes.items() if axis[0] in (*OTHERS, agent.agent)}
            for place, (optimizer, *values) in enumerate(itertools.product(self.optimizers, *own.values())):
                options = {"env": dict(on.options), agent.agent: dict(agent.options)}
                for (whose, option), value in zip(own, values, strict=True):
                    options.setdefault(whose, {})[option] = value
                request = Request(
                    env=on.env,
                    agents=(agent.agent,),
                    preset=on.preset,
                    optimizer=optimizer,
                    seeds=len(seeds),
                    first_seed=seeds.start,
                    labels=on.labels or self.labels,
                    batch=self.batch,
                    model=on.model,
                    options=options,
                    threads=self.threads,
                )
                marks = (on.env, on.preset, on.model, agent.agent.rpartition(":")[2], optimizer)
                yield request, (*filter(None, marks), *on.tags, *agent.tags), place == 0


def _axis(setting: str, agents: Sequence[str]) -> tuple[str, str]:
    """Whose option an axis varies, and which."""
    name, dot, option = setting.partition(".")
    if not dot:
        raise UsageError(f"an axis of settings is called NAME.OPTION, as in 'learner.learning_rate', got {setting!r}")
    return meant(name, (*OTHERS, *agents)), option


def load_sweep(where: str) -> tuple[str, Sweep]:
    """A sweep and its name, from a file or from ``duelbench.experiments.sweeps``.

    Args:
        where: path of a Python file that holds a ``sweep``, or a name that ``sweep_names`` lists.

    Raises:
        UsageError: if there is no such file or name, or no ``sweep`` in it.
    """
    if where.endswith(".py"):
        module, name = load_module(where, kind="sweep"), Path(where).stem
    elif where in sweep_names():
        module, name = load_module(f"{_NAMED}.{where}", kind="sweep"), where
    else:
        known = sweep_names()
        raise UsageError(f"no sweep {where!r}: expected one of {known} or a file.py{did_you_mean(where, known)}")
    found = getattr(module, "sweep", None)
    if not isinstance(found, Sweep):
        raise UsageError(f"{where} holds no sweep: it must define `sweep = Sweep(...)`, got {found!r}")
    return name, found


def sweep_names() -> list[str]:
    """Sweeps that come with the package."""
    spec = importlib.util.find_spec(_NAMED)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return sorted(path.stem for place in places for path in Path(place).glob("*.py") if path.stem != "__init__")
