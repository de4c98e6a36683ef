"""From runs to what can be compared: tasks, agents with their seeds, curves, final scores.

Only finished runs are ever averaged. Runs with another label budget, model or ``env_kwargs`` are another
task, and runs of one agent with other settings are another agent: neither is mixed silently.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from duelbench.curves import Curves, align
from duelbench.record import Run

AGENT_ORDER = ("uniform", "offline", "online", "apl", "xpo", "sea", "sea-ee")
"""Known agents, from baseline to newest; all tables and legends keep this order unless they sort by score."""

TASK_KEYS = ("env", "labels", "policy", "model")
"""Fields of a run's specification that make a task, beside ``env_kwargs``."""


@dataclass(frozen=True, slots=True)
class Metric:
    """How a recorded metric is called and read."""

    title: str
    higher_is_better: bool | None = True  # None: neither
    chance: float | None = None  # the level of a response that is just as good as the reference


METRICS = {
    "offline_win_rate": Metric("offline win rate", chance=0.5),
    "offline_win_probability": Metric("offline win probability", chance=0.5),
    "online_win_rate": Metric("online win rate", chance=0.5),
    "online_win_probability": Metric("online win probability", chance=0.5),
    "cumulative_average_regret": Metric("cumulative average regret", higher_is_better=False),
    "cumulative_weak_regret": Metric("cumulative weak regret", higher_is_better=False),
    "cumulative_probability_regret": Metric("cumulative probability regret", higher_is_better=False),
    "simple_regret": Metric("simple regret", higher_is_better=False),
    "offline_utility": Metric("offline utility"),
}
"""The results, in the order in which they are shown; other metrics are diagnostics and follow by name."""


@dataclass(frozen=True)
class Section:
    """All runs of one task.

    Attributes:
        title: the environment id, with its settings where several tasks share the id.
        env: the environment id.
        agents: for each agent name its finished runs, ascending in seed; an agent may have none.
        unfinished: (agent name, run) of every run that failed or stopped early.
    """

    title: str
    env: str
    agents: dict[str, tuple[Run, ...]]
    unfinished: tuple[tuple[str, Run], ...]

    @property
    def runs(self) -> list[Run]:
        """The finished runs of all agents."""
        return [run for runs in self.agents.values() for run in runs]

    @cached_property
    def end(self) -> float:
        """Labels at which final scores are read: the most that every finished run reached."""
        return min((float(run.rows[-1]["labels"]) for run in self.runs), default=0.0)

    @cached_property
    def metrics(self) -> list[str]:
        """Metrics that some finished run recorded."""
        found = {name for run in self.runs for row in run.rows for name in row} - {"labels"}
        found = {name for name in found if any(_series(run, name)[0] for run in self.runs)}
        return [name for name in METRICS if name in found] + sorted(found - METRICS.keys())

    def metric(self, name: str) -> Metric:
        """How a metric is called here.

        Where responses are free text the best response is not known, only the best of a declared comparator:
        what is measured against that is a pseudo-regret.
        """
        lower = "regret" in name or "loss" in name
        metric = METRICS.get(name, Metric(name.replace("_", " "), higher_is_better=False if lower else None))
        if self.env.split(":")[-1].startswith("LLMDuel-"):
            title = metric.title.replace("regret", "pseudo-regret")
            metric = Metric(title, metric.higher_is_better, metric.chance)
        return metric

    def named(self, agent: str) -> str:
        """The first agent of that name, whatever settings are added to it; the name if there is none."""
        alike = [name for name, runs in self.agents.items() if runs and name.split(" [")[0] == agent]
        return agent if agent in alike or not alike else alike[0]

    def curves(self, agent: str, metric: str, until: float = np.inf) -> Curves | None:
        """An agent's learning curves on their shared grid, None where it never recorded the metric.

        Args:
            agent: the agent.
            metric: the metric.
            until: labels at which the curves are cut; a point is interpolated there.
        """
        series = [_series(run, metric) for run in self.agents.get(agent, ())]
        series = [(labels, values) for labels, values in series if labels]
        if not series:
            return None
        curves = align([s[0] for s in series], [s[1] for s in series])
        end = min(until, float(curves.labels[-1]))
        labels = np.append(curves.labels[curves.labels < end], end)
        return Curves(labels, np.stack([np.interp(labels, curves.labels, y) for y in curves.values]))

    def final(self, agent: str, metric: str) -> dict[int, float]:
        """{seed: score at ``end``} of the runs that recorded the metric, linearly interpolated."""
        found = {}
        for run in self.agents.get(agent, ()):
            labels, values = _series(run, metric)
            if labels:
                found[int(run.spec["seed"])] = float(np.interp(self.end, labels, values))
        return found


def sections(runs: Sequence[Run]) -> list[Section]:
    """The tasks among the runs, in order of environment id, longest runs first."""
    tasks: dict[str, list[Run]] = {}
    for run in {run.run_id: run for run in runs}.values():
        tasks.setdefault(_canonical(_task(run)), []).append(run)
    by_env: dict[str, list[list[Run]]] = {}
    for _, members in sorted(tasks.items()):
        by_env.setdefault(str(members[0].spec["env"]), []).append(members)
    found = []
    for env, groups in sorted(by_env.items()):
        groups.sort(key=lambda members: -float(members[0].spec.get("labels") or 0))
        for members, settings in zip(groups, _differing([_task(m[0]) for m in groups]), strict=True):
            found.append(_section(env + settings, env, members))
    return found


def _task(run: Run) -> dict[str, Any]:
    """What must be equal for runs to be compared: the environment, the label budget and the model."""
    return {key: run.spec.get(key) for key in TASK_KEYS} | dict(run.spec.get("env_kwargs") or {})


def _differing(settings: Sequence[dict[str, Any]]) -> list[str]:
    """For each of several settings those in which they differ, as a suffix: `` [batch=64]``."""
    keys = sorted({key for one in settings for key in one})
    keys = [key for key in keys if len({_canonical(one.get(key)) for one in settings}) > 1]
    texts = [", ".join(f"{key}={_canonical(one.get(key))}" for key in keys) for one in settings]
    return [f" [{text}]" if text else "" for text in texts]


def _section(title: str, env: str, runs: list[Run]) -> Section:
    names = _agent_names(runs)
    known = {name: i for i, name in enumerate(AGENT_ORDER)}
    order = sorted(set(names.values()), key=lambda n: (known.get(n.split(" [")[0], len(known)), n))
    ranked = sorted(runs, key=lambda run: (int(run.spec["seed"]), run.run_id))
    complete = [run for run in ranked if run.finished and run.error is None and run.rows]
    ids = {run.run_id for run in complete}
    return Section(
        title=title,
        env=env,
        agents={name: tuple(run for run in complete if names[run.run_id] == name) for name in order},
        unfinished=tuple((names[run.run_id], run) for run in ranked if run.run_id not in ids),
    )


def _agent_names(runs: list[Run]) -> dict[str, str]:
    """{run id: agent name}, with the settings in which runs of one agent differ: ``sea [batch=64]``."""
    by_agent: dict[str, list[Run]] = {}
    for run in runs:
        by_agent.setdefault(str(run.spec["agent"]), []).append(run)
    names = {}
    for agent, members in by_agent.items():
        free = {"agent", "seed", "env_kwargs", *TASK_KEYS}
        settings = [{k: v for k, v in run.spec.items() if k not in free} for run in members]
        for run, suffix in zip(members, _differing(settings), strict=True):
            names[run.run_id] = agent + suffix
    return names


def _series(run: Run, metric: str) -> tuple[list[float], list[float]]:
    rows = [row for row in run.rows if metric in row and np.isfinite(row[metric])]
    return [float(row["labels"]) for row in rows], [float(row[metric]) for row in rows]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
