"""Play the study.

    python -m duelbench.experiments.sea_paper.run --out results/sea_paper

The same command again goes on where it stopped; ``--part``, ``--scale``, ``--optimizer`` and ``--seeds`` choose a piece
of it. Runs that are in records.csv already are not played again, nor is a run twice that two parts share.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import tyro

from duelbench.experiments.sea_paper.sweep import OPTIMIZERS, RECORDS, SCALES, Part, part_specs
from duelbench.experiments.studies import play_missing


@dataclass
class Study:
    """Options of the study."""

    part: tuple[Part, ...] = ("scales", "ablation", "rules")
    """Which parts."""
    scale: tuple[str, ...] = tuple(SCALES)
    """Which model sizes."""
    optimizer: tuple[str, ...] = tuple(OPTIMIZERS)
    """Which direct optimizers."""
    seeds: int | None = None
    """How many: 0, 1, …; by default as many as make the study complete, which takes fewer of the largest model."""
    workers: int = os.cpu_count() or 1
    """Processes."""
    out: Path = Path("results/sea_paper")
    """Output folder."""
    records: Path = RECORDS
    """What is known already."""


def main() -> None:
    """Play what is missing."""
    options = tyro.cli(Study)
    wanted = [spec for part in options.part for spec in part_specs(part, options.seeds)]
    chosen = [
        spec for spec in wanted if spec.policy["model"] in options.scale and spec.learner["loss"] in options.optimizer
    ]
    raise SystemExit(play_missing(chosen, options.records, options.out, options.workers))


if __name__ == "__main__":
    main()
