"""Scores in [0, 1], so that tasks can be looked at together: 0 for uniform pairs, 1 for what cannot be beaten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from duelbench.duels.guides import UNIFORM_PAIRS
from duelbench.records.record import Role
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.comparison.tasks import agent_place
from duelbench.results.report.comparison.words.findings import FAILED, headline_metric
from duelbench.results.report.pictures.styles import Style
from duelbench.results.statistics.aggregate import Aggregate, aggregate
from duelbench.results.statistics.estimates import Estimate, probability_of_improvement
from duelbench.streams import Streams

LOW = round(1.0 - FAILED, 6)
"""A run with this score or less failed: it is hardly better than uniform pairs."""


@dataclass(frozen=True)
class TaskScores:
    """A task's runs on the common scale.

    Attributes:
        section: the task.
        values: {agent: {seed: score}}; empty if the task has no scale.
        reason: why it has none.
    """

    section: Section
    values: dict[str, dict[int, float]]
    reason: str = ""


def task_scores(section: Section) -> TaskScores:
    """Scores of a task's finished runs on its headline metric, clipped to [0, 1].

    Regret: 1 − R / R_uniform, with what uniform pairs lose on the same seed, hence on the same instance; with the
    average over instances that was recorded as a guide where uniform pairs did not play. Win rate w: (w − ½) / ½, so
    that 1 beats every reference response.
    """
    metric = headline_metric(section)
    if metric is None:
        return TaskScores(section, {}, "no regret and no win rate was recorded")
    finals = {agent: section.final(agent, metric) for agent in section.agents}
    finals = {agent: values for agent, values in finals.items() if values}
    chance = section.metric(metric).chance
    if chance is not None:
        scores = {a: {s: (w - chance) / (1.0 - chance) for s, w in ws.items()} for a, ws in finals.items()}
        return TaskScores(section, _clipped(scores))
    uniform, fallback = finals.get(section.floor or "", {}), _uniform_guide(section, metric)
    lost = {seed: uniform.get(seed, fallback) for values in finals.values() for seed in values}
    scores = {a: {s: 1.0 - r / lost[s] for s, r in rs.items() if lost[s] > 0} for a, rs in finals.items()}
    scores = {agent: values for agent, values in scores.items() if values}
    return TaskScores(section, _clipped(scores), "" if scores else "uniform pairs did not play it")


def _clipped(scores: dict[str, dict[int, float]]) -> dict[str, dict[int, float]]:
    return {a: {seed: min(1.0, max(0.0, score)) for seed, score in found.items()} for a, found in scores.items()}


def _uniform_guide(section: Section, metric: str) -> float:
    return next((float(g.value(section.end)) for g in section.guides(metric) if g.name == UNIFORM_PAIRS), 0.0)


@dataclass(frozen=True)
class Standing:
    """An agent over all tasks.

    Attributes:
        agent: the agent.
        strata: scores of its runs by task, (R,) each; only of tasks it has finished runs on.
        n: finished runs in all.
        aggregate: its numbers; None unless it has finished runs on every task: other tasks are other numbers.
        failed: share of its runs that score ``LOW`` or less.
        improvement: probability that a run of it scores above one of the baseline, averaged over tasks.
    """

    agent: str
    strata: tuple[tuple[float, ...], ...]
    n: int
    aggregate: Aggregate | None
    failed: float
    improvement: Estimate | None


@dataclass(frozen=True)
class Overview:
    """Several tasks together.

    Attributes:
        tasks: the tasks that have scores.
        left_out: the others.
        asked: the agent that the others are to be compared with.
        name: what the tasks have in common.
    """

    tasks: tuple[TaskScores, ...]
    left_out: tuple[TaskScores, ...]
    asked: str
    name: str

    @classmethod
    def of(cls, sections: Sequence[Section], baseline: str, name: str = "arms") -> Overview:
        """The tasks with their scores."""
        found = [task_scores(section) for section in sections]
        scored = tuple(task for task in found if not task.reason and task.values)
        return cls(scored, tuple(task for task in found if task not in scored), baseline, name)

    @cached_property
    def agents(self) -> list[str]:
        """Everyone with a score on some task, in the order of tables."""
        names = list(dict.fromkeys(agent for task in self.tasks for agent in task.section.agents if task.values))
        names = [name for name in names if any(name in task.values for task in self.tasks)]
        return sorted(names, key=lambda name: agent_place(self.roles[name], name))

    @cached_property
    def roles(self) -> dict[str, Role]:
        """What each agent is to the others."""
        return {name: role for task in self.tasks for name, role in task.section.roles.items()}

    @property
    def rivals(self) -> list[str]:
        """The agents that compete: all but those that are told the truth."""
        return [name for name in self.agents if self.roles[name] != "ceiling"]

    @property
    def looks(self) -> dict[str, Style]:
        """Colour and line style of each agent."""
        return self.tasks[0].section.looks

    @property
    def title(self) -> str:
        """Text for a heading."""
        return f"{len(self.tasks)} tasks with {self.name} together"

    @cached_property
    def baseline(self) -> str:
        """The agent asked for if it played every task, else uniform pairs."""
        return next((name for name in (self.asked, *self._floors) if self._everywhere(name)), self.asked)

    @cached_property
    def standings(self) -> list[Standing]:
        """Best first by the interquartile mean; those who did not play every task, and who knows the truth, last."""
        found = [self._standing(agent) for agent in self.agents]

        def place(s: Standing) -> tuple[bool, bool, float]:
            return s.aggregate is None, s.agent not in self.rivals, -(s.aggregate.center.value if s.aggregate else 0.0)

        return sorted(found, key=place)

    @property
    def _floors(self) -> list[str]:
        return [name for name in self.agents if self.roles[name] == "floor"]

    def _everywhere(self, agent: str) -> bool:
        return bool(self.tasks) and all(task.values.get(agent) for task in self.tasks)

    def _standing(self, agent: str) -> Standing:
        strata = tuple(tuple(task.values[agent].values()) for task in self.tasks if task.values.get(agent))
        flat = np.concatenate([np.array(scores) for scores in strata])
        whole, rng = self._everywhere(agent), Streams(0).generator(f"overview/{agent}")
        found = aggregate(strata, rng) if whole else None
        compared = whole and agent in self.rivals and agent != self.baseline and self._everywhere(self.baseline)
        improvement = self._improvement(agent) if compared else None
        return Standing(agent, strata, len(flat), found, float((flat <= LOW).mean()), improvement)

    def _improvement(self, agent: str) -> Estimate:
        return probability_of_improvement(
            [(list(t.values[agent].values()), list(t.values[self.baseline].values())) for t in self.tasks]
        )
