"""What every study does first: play what its committed records lack."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from duelbench.experiments.records import recorded
from duelbench.records.spec import RunSpec
from duelbench.runs.execute import execute, fetch_models, say_failures


def play_missing(wanted: Iterable[RunSpec], records: Path, out: Path, workers: int) -> int:
    """Play the runs that are not in a table of records, each once; returns the exit status.

    Args:
        wanted: the runs of the study; parts of it may share some.
        records: its table.
        out: output folder.
        workers: processes.
    """
    console = Console(stderr=True)
    runs, known = {spec.asked_id: spec for spec in wanted}, recorded(records)
    known |= {run_id.partition("/")[0] for run_id in known}  # seeds in lock-step have a record each
    specs = [spec for run_id, spec in runs.items() if run_id not in known]
    console.print(f"{len(runs)} runs in all, {len(specs)} of them to be played here")
    if not specs:
        return 0
    fetch_models(specs, console.print)
    outcomes = execute(specs, out, workers=workers, command=shlex.join(sys.argv), console=console)
    return 1 if say_failures(outcomes, console) else 0
