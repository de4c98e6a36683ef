"""A study's records as one table: written from the run folders, read by everything that is shown."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duelbench.curves import Curves, align
from duelbench.drawing import save_csv
from duelbench.record import Run

METRICS = (
    "offline_win_rate", "online_win_rate", "offline_utility", "simple_regret", "cumulative_average_regret",
    "posterior_accuracy",
)  # fmt: skip
COSTS = ("wall_seconds", "generated_tokens")
MOST_SEEDS = 100
Ids = Sequence[str]
"""Ids of the runs of something that is compared, with seeds 0, 1, …; most of them were never played."""
RECORDS = Path(__file__).with_name("records.csv")


def recorded(path: Path) -> set[str]:
    """Ids of the runs in a table of records; none if there is no table yet."""
    return set(Records.read(path).runs) if path.exists() else set()


def add_records(path: Path, runs: list[Run], metrics: tuple[str, ...] = METRICS) -> None:
    """Add every row of every finished run that is not there yet: (run id, seed, labels, metrics, costs).

    An unknown value is left empty. Runs already there stay as they are, so that a study can go on elsewhere.
    """
    known = recorded(path)
    new = [run for run in runs if run.finished and run.run_id not in known]
    rows = [
        [run.run_id, str(run.spec["seed"]), str(int(row["labels"])), *(_short(row.get(name)) for name in metrics),
         *(_short(cost.get(name)) for name in COSTS)]
        for run in new for row, cost in zip(run.rows, run.timing, strict=True)
    ]  # fmt: skip
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            rows += list(csv.reader(file))[1:]
    columns = ("run_id", "seed", "labels", *metrics, *COSTS)
    save_csv(path, columns, sorted(rows, key=lambda row: (int(row[1]), row[0], int(row[2]))))


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


@dataclass(frozen=True)
class Records:
    """Rows of each run by run id: {column: values}."""

    runs: dict[str, dict[str, list[float]]]

    @classmethod
    def read(cls, path: Path) -> Records:
        """Read what ``add_records`` wrote."""
        runs: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for name, value in row.items():
                    if name != "run_id":
                        runs[row["run_id"]][name].append(float(value or "nan"))
        return cls(runs)

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
        """{seed: mean over the judgements after the first}: the anytime score."""
        curves = self.curves(ids, metric)
        return {seed: float(np.mean(values[1:])) for seed, (_, values) in curves.items() if len(values) > 1}

    def stacked(self, ids: Ids, metric: str) -> Curves | None:
        """All seeds' curves on the labels that they share."""
        found = [c for c in self.curves(ids, metric).values() if c[0]]
        return align([labels for labels, _ in found], [values for _, values in found]) if found else None
