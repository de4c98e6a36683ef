"""Play the study.

    python -m duelbench.experiments.selection_rules.run --out results/selection_rules

The same command again goes on where it stopped; ``--part``, ``--place`` and ``--seeds`` choose a piece of it. Runs that
are in records.csv already are not played again, nor is a run twice that two parts share.
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from duelbench.execute import execute, say_failures
from duelbench.experiments.records import recorded
from duelbench.experiments.selection_rules.sweep import Part, part_specs

RECORDS = Path(__file__).with_name("records.csv")


@dataclass
class Study:
    """Options of the study."""

    part: tuple[Part, ...] = ("rules", "prompts")
    """Which parts."""
    place: tuple[str, ...] = ("pool", "neural")
    """Where: pool, neural, or tiny, the language model, whose runs take a minute or two each."""
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
    console = Console(stderr=True)
    wanted = {spec.run_id: spec for part in options.part for spec in part_specs(part, options.place, options.seeds)}
    known = recorded(options.records)
    specs = [spec for spec in wanted.values() if spec.run_id not in known]
    console.print(f"{len(wanted)} runs in all, {len(specs)} of them to be played here")
    if not specs:
        return
    outcomes = execute(specs, options.out, workers=options.workers, command=shlex.join(sys.argv), console=console)
    raise SystemExit(1 if say_failures(outcomes, console) else 0)


if __name__ == "__main__":
    main()
