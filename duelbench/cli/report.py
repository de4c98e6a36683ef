"""``duelbench report``, and the report with which every command that plays runs ends."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console

from duelbench.cli.arguments import UNSET
from duelbench.cli.printing import columns, complain
from duelbench.errors import unwritable, unwritten

if TYPE_CHECKING:
    from duelbench.records.record import Run


@dataclass
class ReportCommand:
    """Write the report of an output folder again: report.html with its pictures, or text tables."""

    folder: tyro.conf.Positional[Path]
    """Folder that `duelbench run` wrote."""
    format: Literal["html", "terminal", "md", "csv", "latex"] = "html"
    """html: the page, in the folder. The others go to standard output: terminal is a short table, md and latex are
    tables to paste, csv has one line for each task, agent, metric and number of labels."""
    baseline: Annotated[str | None, UNSET] = None
    """Agent that the others are compared with. Default: what the sweep says, else `online`."""
    multipliers_over: tuple[str, ...] = ()
    """Tell label multipliers over this agent, too, besides the baseline; repeat for several."""
    log_labels: Annotated[bool, UNSET] = False
    """Draw win rates with labels on a logarithmic axis."""
    json: Annotated[bool, UNSET] = False
    """Print the summary as one JSON object instead of the table."""


def report(command: ReportCommand, line: str) -> int:
    """Write it; returns the exit status.

    Raises:
        FileNotFoundError: the folder holds no runs.
    """
    from duelbench.records.record import load_runs
    from duelbench.results.report.formats import FORMATS
    from duelbench.results.report.subject import Subject
    from duelbench.results.report.terminal import terminal

    runs = load_runs(command.folder)
    asked: dict[str, Any] = {
        "baseline": command.baseline,
        "also_against": command.multipliers_over,
        "log_labels": command.log_labels,
    }
    if command.format == "html":
        return 0 if write_report(command.folder, runs, as_json=command.json, **asked) else 2
    subject = Subject.of(command.folder, runs, **asked)
    print(terminal(subject, columns()) if command.format == "terminal" else FORMATS[command.format](subject), end="")
    return 0


def write_report(
    out: Path, runs: list[Run], *, as_json: bool, ids: Collection[str] | None = None, **asked: Any
) -> bool:
    """Print a table of the results, write the page of an output folder, and say where it is.

    Where the page cannot be written, that is said in a sentence; the table is there all the same.

    Args:
        out: the folder.
        runs: all that is in it.
        as_json: print final metrics as one JSON object instead of the table.
        ids: ids of the runs that the table or the object is about; None for all.
        asked: how the page differs from what its plan says, as for ``page.write_report``.

    Returns:
        Whether the page was written.
    """
    from duelbench.results.report import page
    from duelbench.results.report.subject import Subject
    from duelbench.results.report.terminal import terminal

    told = [run for run in runs if ids is None or run.folder_id in ids]
    if as_json:
        print(json.dumps({"out": str(out), **page.summary(told)}))
    else:
        print(terminal(Subject.of(out, told, planned=ids, **asked), columns()), end="")
    try:
        path = page.write_report(out, runs, **asked)
    except OSError as error:
        if not unwritable(error):
            raise
        complain(f"the report: {unwritten(error)}")
        return False
    Console(stderr=True).print(f"Report: {path}", markup=False, highlight=False, soft_wrap=True)
    return True
