"""What the players' posteriors believe after their last label, of duels that they never learned from."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from duelbench.experiments.comparison.define import Comparison
from duelbench.experiments.comparison.tables import mean_text
from duelbench.records.record import Run
from duelbench.results.report.pictures.drawing import save_csv
from duelbench.results.statistics.reliability import read_predictions, scores

COLUMNS = {
    "accuracy": ("accuracy", 3),
    "log-loss": ("log_loss", 3),
    "lowest possible": ("log_loss_floor", 3),
    "two-sd coverage": ("coverage", 2),
    "calibration error": ("calibration_error", 3),
    "spread with error": ("rank_correlation", 2),
}
"""Columns of a table: the score and its decimals. An answer that is always a coin toss has a log-loss of 0.693."""

Beliefs = Mapping[str, Mapping[str, float]]
"""Scores by run id."""


def path_of(study: Comparison) -> Path:
    """Where a study keeps them."""
    return study.folder / "beliefs.csv"


def add_beliefs(path: Path, runs: Sequence[Run]) -> None:
    """Add the scores of every finished run whose agent has a posterior. Runs already there stay as they are."""
    found = {name: dict(values) for name, values in read_beliefs(path).items()}
    for run in runs:
        predictions = read_predictions(run) if run.finished and run.asked_id not in found else None
        if predictions is not None:
            found[run.asked_id] = scores(predictions)
    names = [name for name, _ in COLUMNS.values()]
    rows = [[run_id, *(f"{found[run_id][name]:.4g}" for name in names)] for run_id in sorted(found)]
    if rows:
        save_csv(path, ("run_id", *names), rows)


def read_beliefs(path: Path) -> Beliefs:
    """The scores that a study keeps; none if there is no table yet."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row.pop("run_id"): {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)}


def belief_table(study: Comparison, part: str, beliefs: Beliefs) -> str:
    """Mean ± standard error of each score, one row a player with a posterior; empty where there is none."""
    rows = []
    for name in study.parts[part].players:
        known = [beliefs[run_id] for run_id in study.ids(part, name) if run_id in beliefs]
        if known:
            rows.append([name, *(mean_text([b[score] for b in known], digits) for score, digits in COLUMNS.values())])
    if not rows:
        return ""
    lines = [["posterior at the end", *COLUMNS], ["---"] * (1 + len(COLUMNS)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
