"""What a report is about: the runs of an output folder, read as their sweep's plan said in advance."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from duelbench.records.plan import Plan
from duelbench.records.record import Run
from duelbench.records.spec import RunSpec
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.comparison.standings import Overview
from duelbench.results.report.comparison.tasks import sections

THRESHOLDS = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8)


@dataclass(frozen=True)
class Subject:
    """Runs by task, with who is compared with whom.

    Attributes:
        title: heading.
        baseline: the agent that all others are compared with.
        thresholds: win rates for the table of labels needed.
        also_against: agents that label multipliers are told against besides the baseline.
        log_labels: whether pictures of win rates have labels on a logarithmic axis.
        sections: the tasks, with the planned runs that nobody has begun among their unfinished ones.
        planned: ids of the runs that were to be played; None for runs that no sweep planned.
    """

    title: str
    baseline: str
    thresholds: tuple[float, ...]
    sections: tuple[Section, ...]
    planned: frozenset[str] | None
    also_against: tuple[str, ...] = ()
    log_labels: bool = False

    @classmethod
    def of(
        cls,
        folder: Path,
        runs: Sequence[Run],
        *,
        baseline: str | None = None,
        thresholds: Sequence[float] | None = None,
        title: str | None = None,
        planned: Collection[str] | None = None,
        also_against: Sequence[str] = (),
        log_labels: bool = False,
    ) -> Subject:
        """The runs of a folder with its plan, if there is one. What is given here goes before what the plan says.

        Args:
            folder: output folder.
            runs: finished and unfinished runs of one or several tasks. Only finished ones enter any number.
            baseline: the agent to compare with; None for the plan's, else ``online``.
            thresholds: offline win rates; choose them before looking at the runs. None for the plan's, else
                ``THRESHOLDS``.
            title: heading; None for the plan's.
            planned: ids of the plan's runs that matter here; None for all.
            also_against: agents that label multipliers are told against besides the baseline.
            log_labels: whether pictures of win rates have labels on a logarithmic axis.
        """
        plan = Plan.load(folder)
        specs = {p.spec.run_id: p.spec for p in plan.runs} if plan else {}
        if planned is not None:
            specs = {run_id: spec for run_id, spec in specs.items() if run_id in planned}
        begun = {run.folder_id for run in runs}
        missing = [_not_begun(run_id, spec) for run_id, spec in specs.items() if run_id not in begun]
        return cls(
            title=title or (plan.title if plan else "duelbench report"),
            baseline=baseline or (plan.baseline if plan else "online"),
            thresholds=tuple(thresholds or (plan and plan.thresholds) or THRESHOLDS),
            sections=tuple(sections([*runs, *missing])),
            planned=frozenset(specs) if plan else None,
            also_against=tuple(also_against),
            log_labels=log_labels,
        )

    @cached_property
    def overviews(self) -> list[Overview]:
        """Tasks of a kind together, where there are several: those with responses to judge, and those with arms.

        The two kinds have other agents and another scale, so one number for both would say nothing.
        """
        kinds = {"responses": False, "arms": True}
        groups = {name: [s for s in self.sections if s.numeric == numeric] for name, numeric in kinds.items()}
        return [Overview.of(found, self.baseline, name) for name, found in groups.items() if len(found) > 1]

    @cached_property
    def everyone(self) -> list[Run]:
        """All runs of all tasks, finished or not."""
        return [run for s in self.sections for run in [*s.runs, *(run for _, run in s.unfinished)]]

    @cached_property
    def unplanned(self) -> list[Run]:
        """Recorded runs that the plan does not have; none if there is no plan."""
        planned = self.planned
        return [] if planned is None else [run for run in self.everyone if run.folder_id not in planned]


def _not_begun(run_id: str, spec: RunSpec) -> Run:
    """A planned run of which there is no record."""
    return Run(run_id, spec.to_json() | {"agent": spec.agent_label}, [], [], [], False, {})
