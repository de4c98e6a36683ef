"""A study's runs as one table that can be committed: written from run folders, read by everything that is shown."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from duelbench.drawing import save_csv
from duelbench.record import Run

COSTS = ("wall_seconds", "generated_tokens")
_KEYS = ("run_id", "seed", "labels")

Columns = dict[str, list[float]]


def recorded(path: Path) -> set[str]:
    """Ids of the runs in a table of records; none if there is no table yet."""
    return set(read_records(path)) if path.exists() else set()


def add_records(path: Path, runs: Sequence[Run], metrics: Sequence[str], *, last_only: bool = False) -> None:
    """Add the rows of every finished run that is not there yet: (run id, seed, labels, metrics, costs).

    An unknown value is left empty. Runs already there stay as they are, so that a study can go on elsewhere.

    Args:
        path: the table; made if there is none.
        runs: finished ones are added.
        metrics: its columns.
        last_only: leave out all evaluations but the last.
    """
    known = recorded(path)
    new = [run for run in runs if run.finished and run.run_id not in known]
    rows = [
        [run.run_id, str(run.spec["seed"]), str(int(row["labels"])), *(_short(row.get(name)) for name in metrics),
         *(_short(cost.get(name)) for name in COSTS)]
        for run in new for row, cost in list(zip(run.rows, run.timing, strict=True))[-1 if last_only else 0 :]
    ]  # fmt: skip
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
