"""The study's records: what each cell of it measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duelbench.curves import Curves, align
from duelbench.experiments.records import Columns, read_records
from duelbench.experiments.sea_paper.sweep import Cell, Part, cells, spec_of

METRICS = (
    "offline_win_rate", "online_win_rate", "offline_utility", "simple_regret", "cumulative_average_regret",
    "posterior_accuracy",
)  # fmt: skip
MOST_SEEDS = 100
RECORDS = Path(__file__).with_name("records.csv")


@dataclass(frozen=True)
class Records:
    """Rows of each run by run id: {column: values}."""

    runs: dict[str, Columns]

    @classmethod
    def read(cls, path: Path) -> Records:
        """Read a table of records."""
        return cls(read_records(path))

    def curves(self, part: Part, cell: Cell, metric: str) -> dict[int, tuple[list[float], list[float]]]:
        """{seed: (labels, values)} of the finished runs of a cell, where the metric is known."""
        setting = cells(part)[cell]
        found = {}
        for seed in range(MOST_SEEDS):
            run = self.runs.get(spec_of(cell, setting, seed).run_id)
            if run is not None:
                known = [(x, y) for x, y in zip(run["labels"], run[metric], strict=True) if np.isfinite(y)]
                found[seed] = ([x for x, _ in known], [y for _, y in known])
        return found

    def final(self, part: Part, cell: Cell, metric: str) -> dict[int, float]:
        """{seed: last value}."""
        return {seed: values[-1] for seed, (_, values) in self.curves(part, cell, metric).items() if values}

    def average(self, part: Part, cell: Cell, metric: str) -> dict[int, float]:
        """{seed: mean over the judgements after the first}: the anytime score."""
        curves = self.curves(part, cell, metric)
        return {seed: float(np.mean(values[1:])) for seed, (_, values) in curves.items() if len(values) > 1}

    def stacked(self, part: Part, cell: Cell, metric: str) -> Curves | None:
        """All seeds' curves on the labels that they share."""
        found = [c for c in self.curves(part, cell, metric).values() if c[0]]
        return align([labels for labels, _ in found], [values for _, values in found]) if found else None
