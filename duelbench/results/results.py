"""The runs of an output folder as tables to compute with, and as the report."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from duelbench.records.record import Run, load_runs
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.page import write_report
from duelbench.results.report.subject import Subject
from duelbench.results.report.terminal import WIDTH, terminal

_KEYS = ("task", "agent", "seed", "run_id", "labels")


@dataclass(frozen=True)
class Results:
    """What runs found out, as ``duelbench.run``, ``duelbench.sweep`` and ``duelbench.load`` return it.

    Attributes:
        folder: the output folder.
        runs: the runs that were asked for, finished or not; one that failed has an ``error``.
        ids: ids of the runs that were asked for; None for the whole folder.
    """

    folder: Path
    runs: list[Run]
    ids: frozenset[str] | None = None

    @classmethod
    def load(cls, folder: str | Path) -> Results:
        """All runs of an output folder.

        Raises:
            FileNotFoundError: it holds none.
        """
        return cls(Path(folder), load_runs(Path(folder)))

    def curves(self, metric: str | None = None) -> Any:
        """The learning curves of the finished runs: a row for each run and number of labels.

        Args:
            metric: a single one; None for all that were recorded.

        Returns:
            A pandas data frame where pandas is installed, else a dict of arrays of one length: ``task``, ``agent``,
            ``seed``, ``run_id``, ``labels`` and a column for each metric, NaN where a run did not record it.
        """
        parts = []
        for section, agent, run in self._finished:
            columns = {name: np.array([row.get(name, np.nan) for row in run.rows]) for name in self._metrics(metric)}
            labels = np.array([float(row["labels"]) for row in run.rows])
            parts.append(_keys(section, agent, run, labels) | columns)
        return _frame(parts, (*_KEYS, *self._metrics(metric)))

    def finals(self, metric: str | None = None) -> Any:
        """What the report compares: a row for each finished run, at the labels that all runs of its task reached.

        Args:
            metric: a single one; None for all that were recorded.

        Returns:
            As for ``curves``.
        """
        parts = []
        for section, agent, run in self._finished:
            seed = int(run.spec["seed"])
            found = {name: section.final(agent, name).get(seed, np.nan) for name in self._metrics(metric)}
            columns = {name: np.array([value]) for name, value in found.items()}
            parts.append(_keys(section, agent, run, np.array([section.end])) | columns)
        return _frame(parts, (*_KEYS, *self._metrics(metric)))

    def table(self, width: int = WIDTH) -> str:
        """Each agent's final value with its interval and the verdict against the baseline, as text for a terminal."""
        return terminal(self._subject, width)

    def report(self) -> Path:
        """Write the page of the whole folder, with its pictures; returns its path."""
        return write_report(self.folder, load_runs(self.folder))

    @cached_property
    def _subject(self) -> Subject:
        return Subject.of(self.folder, self.runs, planned=self.ids)

    @cached_property
    def _finished(self) -> list[tuple[Section, str, Run]]:
        sections = self._subject.sections
        return [(section, agent, run) for section in sections for agent, runs in section.agents.items() for run in runs]

    def _metrics(self, asked: str | None) -> list[str]:
        """Names of columns.

        Raises:
            KeyError: no run recorded the metric.
        """
        recorded = list(dict.fromkeys(name for section in self._subject.sections for name in section.metrics))
        if asked is None:
            return recorded
        if asked not in recorded:
            raise KeyError(f"no run recorded {asked!r}: expected one of {recorded}")
        return [asked]


def _keys(section: Section, agent: str, run: Run, labels: Any) -> dict[str, Any]:
    """What a row is about, as columns."""
    known = {"task": section.name, "agent": agent, "seed": int(run.spec["seed"]), "run_id": run.run_id}
    return {name: np.full(len(labels), value) for name, value in known.items()} | {"labels": labels}


def _frame(parts: list[dict[str, Any]], names: tuple[str, ...]) -> Any:
    columns = {name: np.concatenate([part[name] for part in parts]) if parts else np.empty(0) for name in names}
    try:
        import pandas
    except ImportError:
        return columns
    return pandas.DataFrame(columns)
