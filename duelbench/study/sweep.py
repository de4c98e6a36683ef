"""Sweeps as data: environments × agents × optimizers × settings × seeds. All runs that are played come from one.

A file of one's own holds a ``sweep``::

    from duelbench.study.sweep import AgentSetting, Sweep

    sweep = Sweep(
        title="How many candidates does SEA need?",
        envs=["LLMDuelPool-v0"],
        agents=["online", AgentSetting("sea", {"candidates": 4}), AgentSetting("sea", {"candidates": 16})],
        seeds=10,
        labels=512,
    )

and ``duelbench sweep my_sweep.py`` plays it. A run is known by the hash of what decides it, never by its place: runs
can be added, removed and reordered, and what is finished stays finished.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from duelbench.agents import registry
from duelbench.envs.duel.problem import Problem
from duelbench.errors import UsageError
from duelbench.plugins import name_of
from duelbench.records.plan import Plan, Planned
from duelbench.records.spec import Judging, RunSpec, seed_specs
from duelbench.runs.configuration.resolve import resolve
from duelbench.study.options import (
    OTHERS,
    check_env_options,
    check_features,
    check_judging,
    check_training_options,
    full_name,
    hint,
)
from duelbench.study.settings import RunSettings, settings_of, with_model

SMOKE = "smoke"
"""Tag of a few runs that show that a sweep works: the first seed of each environment and agent, all else at its first
value."""

Options = dict[str, dict[str, Any]]
"""Values of options, by whose they are."""


@dataclass(frozen=True)
class EnvSetting:
    """An environment of a sweep.

    Attributes:
        env: environment id, where it is (``path/to/file.py:Mine-v0``), or a ``Problem`` class.
        preset: a named setting of it.
        options: arguments of it.
        model: language model.
        labels: budget of a run; None for the sweep's.
        tags: chosen with ``--only``.
        task: the name that a suite gives it.
    """

    env: Any
    preset: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    labels: int | None = None
    tags: tuple[str, ...] = ()
    task: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "env", name_of(self.env))


@dataclass(frozen=True)
class AgentSetting:
    """An agent of a sweep.

    Attributes:
        agent: registered name, ``package.module:Class``, ``path/to/file.py:Class`` or the class itself.
        options: fields of its ``Config``, dotted for nested ones.
        tags: chosen with ``--only``.
    """

    agent: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sweep:
    """What is compared, and how its author says in advance that it is to be read.

    What is left open follows from the environment: see ``duelbench.study.settings``.

    Attributes:
        title: heading of the report.
        envs: ids, ``Problem`` classes or settings.
        agents: names, classes or settings; none for those that usually play the environment.
        optimizers: direct optimizers of the policy, names in ``duelbench.learning.pair_losses.LOSSES``.
        settings: values of an axis each: ``{"learner.learning_rate": [1e-3, 1e-2], "sea.candidates": [8, 16]}``. The
            axis of one agent does not multiply the runs of the others.
        seeds: how many, or which: consecutive ones from 0 report, those from 1000 tune. None for the environment's
            usual number.
        labels: budget of a run; None for the environment's usual one.
        batch: labels per round; the same.
        judging: fields of ``duelbench.records.spec.Judging`` that differ from the environment's usual ones.
        baseline: the agent that the others are compared with.
        thresholds: win rates for the table of labels needed; None for the report's own.
        threads: torch threads of a run.
    """

    title: str
    envs: Sequence[str | type[Problem] | EnvSetting]
    agents: Sequence[str | type | AgentSetting] = ()
    optimizers: Sequence[str] = ("dpo",)
    settings: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    seeds: int | range | None = 10
    labels: int | None = None
    batch: int | None = None
    judging: Mapping[str, Any] = field(default_factory=dict)
    baseline: str = "online"
    thresholds: tuple[float, ...] | None = None
    threads: int = 1

    def plan(self, name: str) -> Plan:
        """Every run, each once, ordered by seed, so that an interrupted sweep has all agents of its first seeds.

        Raises:
            UsageError: for an unknown environment, preset, agent, axis or option.
        """
        found: dict[str, Planned] = {}
        for cell in self._cells():
            specs = cell.specs(self)
            for spec in specs:
                smoke = (SMOKE,) if cell.first and spec.seed == specs[0].seed else ()
                known = found[spec.run_id].tags if spec.run_id in found else ()
                found[spec.run_id] = Planned(spec, tuple(dict.fromkeys((*known, *cell.tags, *smoke))))
        if not found:
            raise UsageError(f"the sweep {name!r} has no runs: give it at least one environment and one optimizer")
        runs = tuple(sorted(found.values(), key=lambda planned: planned.spec.seed))
        return Plan(name, self.title, runs, self.baseline, self.thresholds)

    def specs(self) -> list[RunSpec]:
        """The runs of the plan alone."""
        return [planned.spec for planned in self.plan("").runs]

    def _cells(self) -> Iterator[_Cell]:
        """Agents on one environment each, with one value of everything."""
        check_judging(self.judging)
        places = [_Place.of(env if isinstance(env, EnvSetting) else EnvSetting(env)) for env in self.envs]
        playing = [(place, self._agents_of(place)) for place in places]
        names = [agent.agent for _, agents in playing for agent in agents]
        axes = {_axis(setting, names): _values(setting, values) for setting, values in self.settings.items()}
        for place, agents in playing:
            for agent in agents:
                own = {axis: values for axis, values in axes.items() if axis[0] in (*OTHERS, agent.agent)}
                for number, (optimizer, *values) in enumerate(itertools.product(self.optimizers, *own.values())):
                    options: Options = {name: {} for name in OTHERS}
                    options |= {"env": dict(place.on.options), agent.agent: dict(agent.options)}
                    for (whose, option), value in zip(own, values, strict=True):
                        options[whose][option] = value
                    options = {whose: _by_name(own) for whose, own in options.items()}
                    yield _Cell(place, agent, optimizer, options, first=number == 0)

    def _agents_of(self, place: _Place) -> list[AgentSetting]:
        asked = self.agents or place.settings.agents
        given = [agent if isinstance(agent, AgentSetting) else AgentSetting(agent) for agent in asked]
        return [dataclasses.replace(agent, agent=name_of(agent.agent)) for agent in given]


@dataclass(frozen=True)
class _Place:
    """An environment with what is usually played there."""

    on: EnvSetting
    settings: RunSettings

    @classmethod
    def of(cls, on: EnvSetting) -> _Place:
        settings = settings_of(on.env)
        if on.model is not None:
            if "model" not in settings.policy:
                raise UsageError(f"{on.env} runs no language model, so it takes no --model: LLMDuel-v0 does")
            settings = with_model(settings, on.model)
        if on.preset is not None and on.preset not in settings.presets:
            raise UsageError(f"{on.env} has no preset {on.preset!r}{hint(on.preset, settings.presets)}")
        return cls(on, settings)

    @property
    def env_kwargs(self) -> dict[str, Any]:
        """Arguments of the environment before any of the user's."""
        return self.settings.env | (dict(self.settings.presets[self.on.preset]) if self.on.preset else {})

    def labels(self, asked: int | None) -> int:
        """Budget of a run; zero that was asked for is no default, but an error later on."""
        usual = self.settings.preset_labels.get(self.on.preset or "", self.settings.labels)
        return next(labels for labels in (self.on.labels, asked, usual) if labels is not None)

    def seeds(self, asked: int | range | None) -> range:
        """The seeds to play."""
        seeds = self.settings.seeds if asked is None else asked
        seeds = range(seeds) if isinstance(seeds, int) else seeds
        if seeds.step != 1:
            raise UsageError(f"seeds must be consecutive, got {seeds}")
        if not seeds:
            raise UsageError(f"seeds must be at least 1, got {len(seeds)}")
        return seeds


@dataclass(frozen=True)
class _Cell:
    """One agent on one environment with one value of everything; ``first`` if these are the first values."""

    place: _Place
    agent: AgentSetting
    optimizer: str
    options: Options
    first: bool

    @property
    def tags(self) -> tuple[str, ...]:
        """What its runs are called by ``--only``."""
        on = self.place.on
        marks = (
            on.env.rpartition(":")[2],
            on.preset,
            on.model,
            on.task,
            self.agent.agent.rpartition(":")[2],
            self.optimizer,
        )
        return (*filter(None, marks), *on.tags, *self.agent.tags)

    def specs(self, sweep: Sweep) -> list[RunSpec]:
        """Its runs, one for each seed or one for all of them."""
        on, settings, name = self.place.on, self.place.settings, self.agent.agent
        found = registry.find_agent(name, arms=settings.arms)
        registry.make_config(found, self.options[name])
        check_env_options(on.env, self.options["env"])
        env_kwargs = self.place.env_kwargs | self.options["env"]
        if settings.arms:
            check_features(on.env, env_kwargs, name, found.cls)
        usual = Judging(every=settings.evaluate_every, repeats=settings.evaluation_repeats)
        shared: dict[str, Any] = {
            "env": on.env,
            "agent": name,
            "labels": self.place.labels(sweep.labels),
            "judging": dataclasses.replace(usual, **_by_name(sweep.judging)),
            "env_kwargs": env_kwargs,
            "agent_options": self.options[name],
            "threads": sweep.threads,
            "task": on.task,
        }
        in_batches = {"batch": settings.batch if sweep.batch is None else sweep.batch, **self._training(settings)}
        specs = seed_specs(found.cls, shared, self.place.seeds(sweep.seeds), in_batches)
        whole = resolve(specs[0])  # nothing of it depends on the seed
        return [dataclasses.replace(whole, seed=spec.seed) for spec in specs]

    def _training(self, settings: RunSettings) -> dict[str, Any]:
        """Arguments of the policy and of the learner."""
        policy, learner = self.options["policy"], self.options["learner"]
        check_training_options(policy, learner, language_model="model" in settings.policy)
        usual = settings.learner | {"loss": self.optimizer} | settings.losses.get(self.optimizer, {})
        return {"policy": settings.policy | policy, "learner": usual | learner}


def _by_name(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as plain data, with names in place of objects."""
    return {option: _plain(value) for option, value in options.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value if value is None or isinstance(value, str | int | float) else name_of(value)


def _axis(setting: str, agents: Sequence[str]) -> tuple[str, str]:
    """Whose option an axis varies, and which."""
    name, dot, option = setting.partition(".")
    if not dot:
        raise UsageError(f"an axis of settings is called NAME.OPTION, as in 'learner.learning_rate', got {setting!r}")
    return full_name(name, (*OTHERS, *agents)), option


def _values(setting: str, values: Any) -> Sequence[Any]:
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise UsageError(f"the axis {setting!r} takes a list of at least one value, got {values!r}")
    return values
