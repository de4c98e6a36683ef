"""Studies on arms: players in lock-step, and what they have lost after given numbers of duels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duelbench.experiments.comparison.tables import mean_text
from duelbench.experiments.records import Records
from duelbench.records.spec import Judging, RunSpec

METRICS = ("cumulative_average_regret", "best_arm_rate", "position_bias_estimate")
"""What is kept of every judgement, where a study does not say."""


@dataclass(frozen=True)
class ArmsPlayer:
    """An agent on one problem."""

    agent: str
    options: Mapping[str, Any] = field(default_factory=dict)
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ArmsStudy:
    """A study.

    Attributes:
        folder: where its records and tables are.
        env: environment of all runs.
        tables: by title: players by the name of their row.
        columns: of every table: metric, duels after which it is read, and decimals, by heading.
        labels: duels of a run.
        every: duels between two judgements.
        seeds: 0, 1, …, all of them at once.
        metrics: what is kept of every judgement.
    """

    folder: Path
    env: str
    tables: Mapping[str, Mapping[str, ArmsPlayer]]
    columns: Mapping[str, tuple[str, int, int]]
    labels: int
    every: int
    seeds: int
    metrics: Sequence[str] = METRICS

    @property
    def records(self) -> Path:
        """The table of its runs."""
        return self.folder / "records.csv"

    @property
    def kept(self) -> set[int]:
        """Numbers of duels at which records are kept."""
        return {labels for _, labels, _ in self.columns.values()}

    def spec(self, player: ArmsPlayer) -> RunSpec:
        """All seeds of one player."""
        return RunSpec(
            env=self.env,
            agent=player.agent,
            seed=0,
            labels=self.labels,
            batch=1,
            judging=Judging(every=self.every, repeats=1),
            env_kwargs=dict(player.env_kwargs),
            agent_options=dict(player.options),
            lockstep=self.seeds,
        )

    def specs(self) -> list[RunSpec]:
        """Every run, each once."""
        found = [self.spec(player) for players in self.tables.values() for player in players.values()]
        return list({spec.asked_id: spec for spec in found}.values())


def arm_results(study: ArmsStudy, records: Records) -> str:
    """Every table, as Markdown."""
    parts = [f"# Results\n\nWritten by a program from `records.csv`. Mean ± standard error of {study.seeds} seeds."]
    for title, players in study.tables.items():
        lines = [["", *study.columns], ["---"] * (1 + len(study.columns))]
        for name, player in players.items():
            run = study.spec(player).asked_id
            ids = [f"{run}/{seed}" for seed in range(study.seeds)]
            lines.append([name, *(_cell(records, ids, *column) for column in study.columns.values())])
        parts.append(f"## {title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts) + "\n"


def _cell(records: Records, ids: list[str], metric: str, labels: int, digits: int) -> str:
    known = records.curves(ids, metric).values()
    return mean_text([y for xs, ys in known for x, y in zip(xs, ys, strict=True) if x == labels], digits)
