"""The table of what posteriors believe, from the committed records."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from duelbench.experiments.comparison.tables import mean_text
from duelbench.experiments.posteriors.study import LABELS, RECORDS, SCORES, WORLDS
from duelbench.results.report.pictures.drawing import save_csv

Key = tuple[str, str, int, int]
"""World, posterior, seed, labels."""
Rows = Mapping[Key, Mapping[str, float]]

COLUMNS = {
    "accuracy": ("accuracy", 3),
    "log-loss": ("log_loss", 3),
    "lowest possible": ("floor", 3),
    "two-sd coverage": ("covered", 2),
    "spread with error": ("spread_tells_error", 2),
    "bound error": ("bound_error", 4),
}
"""Columns and their decimals."""
SHOWN = (64, 512, 1024)


def read(path: Path = RECORDS) -> dict[Key, dict[str, float]]:
    """The committed rows; none if there is no table yet."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {
            (row["world"], row["posterior"], int(row["seed"]), int(row["labels"])): {
                name: float(row[name]) for name in SCORES
            }
            for row in csv.DictReader(file)
        }


def write(rows: Rows, path: Path = RECORDS) -> None:
    """Keep these rows, in order."""
    lines = [[*key, *(f"{rows[key][name]:.4g}" for name in SCORES)] for key in sorted(rows)]
    save_csv(path, ("world", "posterior", "seed", "labels", *SCORES), lines)


def results(rows: Rows) -> str:
    """The page of tables."""
    parts = [_HEAD]
    for title, world in WORLDS.items():
        parts.append(f"## {title}\n")
        for labels in (n for n in LABELS if n in SHOWN):
            lines = [[f"{labels:,} labels", "seeds", *COLUMNS], ["---"] * (2 + len(COLUMNS))]
            for name in world.posteriors:
                found = [rows[key] for key in rows if key[:2] == (title, name) and key[3] == labels]
                if found:
                    cells = [mean_text([row[score] for row in found], digits) for score, digits in COLUMNS.values()]
                    lines.append([name, str(len(found)), *cells])
            parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n")
    return "\n".join(parts)


_HEAD = """# What posteriors believe after random duels

Written by `python -m duelbench.experiments.posteriors` from `records.csv`: means ± standard error over reporting seeds.
What the columns mean: [README.md](README.md).
"""
