"""A study's runs as one table that can be committed: written from run folders, read by everything that is shown."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duelbench.records.record import Run
from duelbench.results.report.pictures.drawing import save_csv
from duelbench.results.statistics.curves import Curves, align

COSTS = ("wall_seconds", "generated_tokens")
_KEYS = ("run_id", "seed", "labels")

MOST_SEEDS = 100

Columns = dict[str, list[float]]

Ids = Sequence[str]
"""Ids of the runs of something that is compared, with seeds 0, 1, …; most of them were never played."""


def recorded(path: Path) -> set[str]:
    """Ids of the runs in a table of records; none if there is no table yet."""
    return set(read_records(path)) if path.exists() else set()


def add_records(
    path: Path,
    runs: Sequence[Run],
    metrics: Sequence[str],
    *,
    last_only: bool = False,
    labels: Collection[int] | None = None,
) -> None:
    """Add the rows of every finished run that is not there yet: (run id, seed, labels, metrics, costs).

    An unknown value is left empty. Runs already there stay as they are, so that a study can go on elsewhere.

    Args:
        path: the table; made if there is none.
        runs: finished ones are added.
        metrics: its columns.
        last_only: leave out all evaluations but the last.
        labels: leave out all evaluations but those after so many labels; None keeps all.
    """
    known = recorded(path)
    new = [run for run in runs if run.finished and run.asked_id not in known]
    rows = [
        [
            run.asked_id,
            str(run.spec["seed"]),
            str(int(row["labels"])),
            *(_short(row.get(name)) for name in metrics),
            *(_short(cost.get(name)) for name in COSTS),
        ]
        for run in new
        for row, cost in list(zip(run.rows, run.timing, strict=True))[-1 if last_only else 0 :]
        if labels is None or int(row["labels"]) in labels
    ]
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            rows += list(csv.reader(file))[1:]
    save_csv(path, (*_KEYS, *metrics, *COSTS), sorted(rows, key=lambda row: (int(row[1]), row[0], int(row[2]))))


def read_records(path: Path) -> dict[str, Columns]:
    """Rows of each run by run id: {column: values}, NaN where a value is unknown."""
    runs: dict[str, Columns] = defaultdict(lambda: defaultdict(list))
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for name in [name for name in row if name != "run_id"]:
                runs[row["run_id"]][name].append(float(row[name] or "nan"))
    return runs


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


@dataclass(frozen=True)
class Records:
    """Rows of each run by run id: {column: values}."""

    runs: dict[str, Columns]

    @classmethod
    def read(cls, path: Path) -> Records:
        """Read a table of records."""
        return cls(read_records(path))

    def curves(self, ids: Ids, metric: str) -> dict[int, tuple[list[float], list[float]]]:
        """{seed: (labels, values)} of the finished runs, where the metric is known."""
        found = {}
        for seed, run_id in enumerate(ids):
            run = self.runs.get(run_id)
            if run is not None:
                known = [(x, y) for x, y in zip(run["labels"], run[metric], strict=True) if np.isfinite(y)]
                found[seed] = ([x for x, _ in known], [y for _, y in known])
        return found

    def final(self, ids: Ids, metric: str) -> dict[int, float]:
        """{seed: last value}."""
        return {seed: values[-1] for seed, (_, values) in self.curves(ids, metric).items() if values}

    def average(self, ids: Ids, metric: str) -> dict[int, float]:
        """{seed: mean over the labels}: each value counts as many labels as were asked since the row before it.

        A rate over the duels since the last row is so averaged over all duels, the first window included; what is
        judged now and then is averaged over its judgements after the one at the start, which holds no label.
        """
        found = {}
        for seed, run_id in enumerate(ids):
            if (run := self.runs.get(run_id)) is not None:
                values, held = np.array(run[metric]), np.diff(run["labels"], prepend=0.0)
                known = np.isfinite(values) & (held > 0)
                if known.any():
                    found[seed] = float(np.average(values[known], weights=held[known]))
        return found

    def stacked(self, ids: Ids, metric: str) -> Curves | None:
        """All seeds' curves on the labels that they share."""
        found = [c for c in self.curves(ids, metric).values() if c[0]]
        return align([labels for labels, _ in found], [values for _, values in found]) if found else None
