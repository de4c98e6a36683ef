"""The two commands of a study: ``play`` what its records lack, and ``tell`` what they say."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from duelbench.experiments.comparison.arms import ArmsStudy, arm_results
from duelbench.experiments.comparison.beliefs import add_beliefs, path_of, read_beliefs
from duelbench.experiments.comparison.define import METRICS, Comparison
from duelbench.experiments.comparison.results import draw, results
from duelbench.experiments.records import Records, add_records
from duelbench.experiments.studies import play_missing
from duelbench.records.files import write_atomic
from duelbench.records.record import load_runs


@dataclass
class Play:
    """Play what the records lack. The same command again goes on where it stopped."""

    out: Path
    """Output folder."""
    part: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A part, by title; may be given several times. All of them by default."""
    seeds: int | None = None
    """How many: 0, 1, …; by default as many as make the study complete."""
    workers: int = os.cpu_count() or 1
    """Processes."""


@dataclass
class Tell:
    """Write RESULTS.md and the picture from the records."""

    runs: Path | None = None
    """Folder of runs that are added to the records first."""


_Commands = Annotated[Play, tyro.conf.subcommand("play")] | Annotated[Tell, tyro.conf.subcommand("tell")]


def main(study: Comparison) -> None:
    """Do what the command line of a study asks for."""
    asked = tyro.cli(_Commands)  # type: ignore[arg-type]
    if isinstance(asked, Play):
        if unknown := [part for part in asked.part if part not in study.parts]:
            raise SystemExit(f"no part {unknown[0]!r}: expected one of {list(study.parts)}")
        wanted = [spec for part in asked.part or study.parts for spec in study.specs(part, asked.seeds)]
        raise SystemExit(play_missing(wanted, study.records, asked.out, asked.workers))
    if asked.runs is not None:
        runs = load_runs(asked.runs)
        add_records(study.records, runs, METRICS)
        add_beliefs(path_of(study), runs)
    records = Records.read(study.records)
    write_atomic(study.folder / "RESULTS.md", results(study, records, read_beliefs(path_of(study))))
    draw(study, records)


@dataclass
class ArmsOptions:
    """Play what the records of a study on arms lack, add it, and write RESULTS.md."""

    out: Path
    """Output folder."""


def main_arms(study: ArmsStudy) -> None:
    """The one command of a study on arms, which takes minutes."""
    status = play_arms(study, tyro.cli(ArmsOptions).out)
    write_atomic(study.folder / "RESULTS.md", arm_results(study, Records.read(study.records)))
    raise SystemExit(status)


def play_arms(study: ArmsStudy, out: Path) -> int:
    """Play what the records lack, and add it to them; returns the exit status."""
    status = play_missing(study.specs(), study.records, out, os.cpu_count() or 1)
    ours = {spec.asked_id for spec in study.specs()}
    played = [run for run in load_runs(out) if run.asked_id.partition("/")[0] in ours] if out.exists() else []
    add_records(study.records, played, study.metrics, labels=study.kept)
    return status
