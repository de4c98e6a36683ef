"""Play the study.

    python -m duelbench.experiments.selection_rules.run --out results/selection_rules

The same command again goes on where it stopped; ``--part``, ``--place`` and ``--seeds`` choose a piece of it. Runs that
are in records.csv already are not played again, nor is a run twice that two parts share.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import tyro

from duelbench.experiments.selection_rules.sweep import Part, part_specs
from duelbench.experiments.studies import play_missing

RECORDS = Path(__file__).with_name("records.csv")


@dataclass
class Study:
    """Options of the study."""

    part: tuple[Part, ...] = ("rules", "prompts")
    """Which parts."""
    place: tuple[str, ...] = ("pool", "neural")
    """Where: pool, warm, neural, or tiny, the language model, whose runs take a minute or two each."""
    seeds: int = 10
    """Seeds 0, 1, …"""
    workers: int = os.cpu_count() or 1
    """Processes."""
    out: Path = Path("results/selection_rules")
    """Output folder."""
    records: Path = RECORDS
    """What is known already."""


def main() -> None:
    """Play what is missing."""
    options = tyro.cli(Study)
    wanted = [spec for part in options.part for spec in part_specs(part, options.place, options.seeds)]
    raise SystemExit(play_missing(wanted, options.records, options.out, options.workers))


if __name__ == "__main__":
    main()
