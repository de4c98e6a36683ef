"""Play the study.

    python -m duelbench.experiments.ladder.run --out results/ladder

The same command again goes on where it stopped; ``--part`` and ``--seeds`` choose a piece of it. Runs that are in
records.csv already are not played again, nor is a run twice that two parts share.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import tyro

from duelbench.experiments.ladder.sweep import PARTS, RECORDS, SEEDS, part_specs
from duelbench.experiments.studies import play_missing


@dataclass
class Study:
    """Options of the study."""

    part: tuple[str, ...] = tuple(PARTS)
    """Which parts: a world ("reader, warm"), or "ablation"."""
    seeds: int = SEEDS
    """How many: 0, 1, …"""
    workers: int = os.cpu_count() or 1
    """Processes."""
    out: Path = Path("results/ladder")
    """Output folder."""
    records: Path = RECORDS
    """What is known already."""


def main() -> None:
    """Play what is missing."""
    options = tyro.cli(Study)
    wanted = [spec for part in options.part for spec in part_specs(part, options.seeds)]
    raise SystemExit(play_missing(wanted, options.records, options.out, options.workers))


if __name__ == "__main__":
    main()
