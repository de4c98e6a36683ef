"""One task of a report: its agents with their seeds, curves and final scores. Only finished runs are ever averaged."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from duelbench.duels.guides import Guide
from duelbench.metrics import RESULTS, Metric, metric
from duelbench.records.record import Role, Run, SeedRows
from duelbench.results.report.comparison.versions import Older
from duelbench.results.report.pictures.styles import Style
from duelbench.results.statistics.curves import Curves, align
from duelbench.results.statistics.estimates import Floats

Series = tuple[Floats, Floats]
"""Labels and values, (E,) and (E,)."""

_NOTHING: Series = (np.empty(0), np.empty(0))
_LONGEST = 80  # characters of a part of a file name


@dataclass(frozen=True)
class Section:
    """All runs of one task.

    Attributes:
        title: the environment id, with its settings where several tasks share the id.
        env: the environment id.
        agents: for each agent name its finished runs, ascending in seed; an agent may have none.
        unfinished: (agent name, run) of every run that failed, stopped early or is missing.
        name: the title, or the name that the suite gave the task that it belongs to.
        of_suite: whether it belongs to one.
        older: runs of older versions, which are in no other field.
        looks: colour and line style of each agent, the same in all tasks of a report.
    """

    title: str
    env: str
    agents: dict[str, tuple[Run, ...]]
    unfinished: tuple[tuple[str, Run], ...]
    name: str = field(default="", kw_only=True)
    of_suite: bool = field(default=False, kw_only=True)
    older: tuple[Older, ...] = field(default=(), kw_only=True)
    looks: dict[str, Style] = field(default_factory=dict, kw_only=True)

    @cached_property
    def slug(self) -> str:
        """The name as a part of file names and anchors."""
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", self.name).strip("-")
        return slug if len(slug) <= _LONGEST else f"{slug[:_LONGEST]}-{hashlib.sha256(slug.encode()).hexdigest()[:6]}"

    @cached_property
    def runs(self) -> list[Run]:
        """The finished runs of all agents."""
        return [run for runs in self.agents.values() for run in runs]

    @cached_property
    def numeric(self) -> bool:
        """Whether arms with known preferences are duelled, and not responses that somebody judges."""
        return any(run.arms for run in self.everyone)

    @cached_property
    def everyone(self) -> list[Run]:
        """All runs, finished or not."""
        return [*self.runs, *(run for _, run in self.unfinished)]

    @cached_property
    def roles(self) -> dict[str, Role]:
        """What each agent is to the others."""
        found = {name: run.role for name, run in self.unfinished}
        return found | {name: runs[0].role for name, runs in self.agents.items() if runs}

    @cached_property
    def floor(self) -> str | None:
        """The agent with finished runs that plays uniform pairs, if there is one."""
        return next((name for name, runs in self.agents.items() if runs and self.roles[name] == "floor"), None)

    @property
    def rivals(self) -> list[str]:
        """The agents that compete: all but those that are told the truth."""
        return [name for name in self.agents if self.roles.get(name) != "ceiling"]

    @cached_property
    def free_text(self) -> bool:
        """Whether a language model writes the responses."""
        return any(language_model(run) for run in self.runs)

    @cached_property
    def end(self) -> float:
        """Labels at which final scores are read: the most that every finished run reached, or stopped asking before."""
        return min((_last_label(run) for run in self.runs), default=0.0)

    @cached_property
    def metrics(self) -> list[str]:
        """Metrics that some finished run recorded."""
        found = {name for run in self.runs for name in _recorded(run)}
        found = {name for name in found if any(len(self._series(run, name)[0]) for run in self.runs)}
        return [name for name in RESULTS if name in found] + sorted(found.difference(RESULTS))

    def always_zero(self, metric: str) -> bool:
        """Whether a metric is 0 in every run from start to end: there is nothing to see."""
        return not any(self._series(run, metric)[1].any() for run in self.runs)

    def guides(self, metric: str) -> list[Guide]:
        """Lines to read a metric's curves against, as the first finished run that has any recorded them."""
        return [guide for guide in self._guides if guide.metric == metric]

    def metric(self, name: str) -> Metric:
        """How a metric is called here.

        Where responses are free text the best response is not known, only the best of a declared comparator:
        what is measured against that is a pseudo-regret.
        """
        known = metric(name)
        return replace(known, title=known.title.replace("regret", "pseudo-regret")) if self.free_text else known

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
        curves = self._whole_curves(agent, metric)
        if curves is None or until >= curves.labels[-1]:
            return curves
        labels = np.append(curves.labels[curves.labels < until], until)
        return Curves(labels, np.stack([np.interp(labels, curves.labels, y) for y in curves.values]))

    def final(self, agent: str, metric: str) -> dict[int, float]:
        """{seed: score at ``end``} of the runs that recorded the metric, linearly interpolated."""
        if (agent, metric) not in self._finals:
            found = [(run, self._series(run, metric)) for run in self.agents.get(agent, ())]
            self._finals[agent, metric] = {
                int(run.spec["seed"]): float(np.interp(self.end, *series)) for run, series in found if len(series[0])
            }
        return self._finals[agent, metric]

    @cached_property
    def _guides(self) -> list[Guide]:
        recorded: list[dict[str, Any]] = next((g for run in self.runs if (g := run.manifest.get("guides"))), [])
        return [Guide(**guide) for guide in recorded]

    def _series(self, run: Run, metric: str) -> Series:
        if id(run) not in self._read:  # all metrics at once: a row is a dict, and there are many
            self._read[id(run)] = _series(run)
        return self._read[id(run)].get(metric, _NOTHING)

    @cached_property
    def _read(self) -> dict[int, dict[str, Series]]:
        return {}

    @cached_property
    def _finals(self) -> dict[tuple[str, str], dict[int, float]]:
        return {}

    @cached_property
    def _curves(self) -> dict[tuple[str, str], Curves | None]:
        return {}

    def _whole_curves(self, agent: str, metric: str) -> Curves | None:
        if (agent, metric) not in self._curves:
            series = [self._series(run, metric) for run in self.agents.get(agent, ())]
            series = [(labels, values) for labels, values in series if len(labels)]
            curves = align([s[0] for s in series], [s[1] for s in series]) if series else None
            self._curves[agent, metric] = curves
        return self._curves[agent, metric]


def language_model(run: Run) -> str | None:
    """The language model that a run aligned; None where its policy is none."""
    said = [(run.spec.get("resolved") or {}).get("policy"), run.spec.get("policy")]
    return next((str(policy["model"]) for policy in said if policy and policy.get("model")), None)


def asks_no_more(run: Run) -> bool:
    """Whether a run came to its bound on rounds before its budget: its agent only proposed what is no question."""
    return run.finished and run.manifest.get("ended") == "rounds"


def _last_label(run: Run) -> float:
    """Up to where a run has results: one that asks no more stays as it is up to its budget."""
    last = float(run.rows[-1]["labels"])
    return max(last, float(run.spec["labels"])) if asks_no_more(run) else last


def _recorded(run: Run) -> set[str]:
    """Names of the metrics in a run's rows."""
    if isinstance(run.rows, SeedRows):
        return set(run.rows.columns)
    return {name for row in run.rows for name in row} - {"labels"}


def _series(run: Run) -> dict[str, Series]:
    """Labels and values of each metric where it was recorded and is finite."""
    if isinstance(run.rows, SeedRows):
        return {name: _finite(run.rows.labels, values) for name, values in run.rows.columns.items()}
    if not run.rows:
        return {}
    names = dict.fromkeys(name for row in run.rows for name in row)
    table = np.array([[row.get(name, np.nan) for name in names] for row in run.rows], np.float64)  # (rows, names)
    labels = table[:, list(names).index("labels")]
    whole = np.asarray(np.isfinite(table).all(0))
    found = {name: (labels, table[:, k]) if whole[k] else _finite(labels, table[:, k]) for k, name in enumerate(names)}
    if asks_no_more(run):
        last = _last_label(run)
        found = {n: _kept_until(last, *series) for n, series in found.items()}
    return found


def _finite(labels: Floats, values: Floats) -> Series:
    known = np.isfinite(values)
    return (labels, values) if len(values) and known.all() else (labels[: len(values)][known], values[known])


def _kept_until(last: float, labels: Floats, values: Floats) -> Series:
    """A series that stays at its last value up to so many labels."""
    if not len(labels) or labels[-1] >= last:
        return labels, values
    return np.append(labels, last), np.append(values, values[-1])
