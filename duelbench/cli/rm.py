"""``duelbench rm``: remove the records of runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from duelbench.cli.arguments import UNSET
from duelbench.cli.report import write_report


@dataclass
class RemoveCommand:
    """Remove runs from an output folder, and say which. Runs that another process is playing are kept.

    Without options all runs go. Nothing is asked, and nothing can be brought back: the oracle's answers go too.
    """

    folder: tyro.conf.Positional[Path]
    """Folder that `duelbench run` or `duelbench sweep` wrote."""
    run: tuple[str, ...] = ()
    """Only the run with this id, as the report and the names of folders under `runs` show it; repeat for several."""
    stale: Annotated[bool, UNSET] = False
    """Only runs of which there is a newer version: the same was asked for, but a file or a default has changed."""


def remove_runs(command: RemoveCommand, line: str) -> int:
    """Remove them and report on the rest; returns 1 if a run is being played.

    Raises:
        FileNotFoundError: the folder holds no runs.
        UsageError: no run has such an id.
    """
    from duelbench.records.record import load_runs
    from duelbench.runs.recording.remove import chosen, remove

    console = Console(stderr=True)
    gone, busy = remove(chosen(command.folder, command.run, stale=command.stale))
    for folder in gone:
        console.print(f"Removed {folder}", markup=False, highlight=False, soft_wrap=True)
    for folder in busy:
        console.print(f"Kept {folder}: another process is playing it", markup=False, highlight=False, soft_wrap=True)
    if not gone:
        console.print("Removed nothing", highlight=False)
    elif any((command.folder / "runs").glob("*/manifest.json")):
        write_report(command.folder, load_runs(command.folder), as_json=False)
    else:
        (command.folder / "report.html").unlink(missing_ok=True)  # it would tell of runs that are gone
    return 1 if busy else 0
