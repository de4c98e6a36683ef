"""The command line: ``duelbench run`` and the other commands."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

import tyro

from duelbench.cli import listing
from duelbench.cli.export import ExportCommand, export
from duelbench.cli.label import LabelCommand, label
from duelbench.cli.listing import ListCommand
from duelbench.cli.printing import complain, make_printable
from duelbench.cli.report import ReportCommand, report
from duelbench.cli.rm import RemoveCommand, remove_runs
from duelbench.cli.run import RunCommand, play_run
from duelbench.cli.suite import SuiteCommand, play_suite
from duelbench.cli.sweep import SweepCommand, play_sweep
from duelbench.cli.task import TaskCommand, write_task
from duelbench.cli.tune import TuneCommand, tune
from duelbench.errors import explain

_CLOSED_PIPE = 1  # as rich ends, which notices most closed pipes

Command = (
    Annotated[RunCommand, tyro.conf.subcommand("run")]
    | Annotated[SuiteCommand, tyro.conf.subcommand("suite")]
    | Annotated[SweepCommand, tyro.conf.subcommand("sweep")]
    | Annotated[LabelCommand, tyro.conf.subcommand("label")]
    | Annotated[TuneCommand, tyro.conf.subcommand("tune")]
    | Annotated[TaskCommand, tyro.conf.subcommand("task")]
    | Annotated[ExportCommand, tyro.conf.subcommand("export")]
    | Annotated[ReportCommand, tyro.conf.subcommand("report")]
    | Annotated[RemoveCommand, tyro.conf.subcommand("rm")]
    | Annotated[ListCommand, tyro.conf.subcommand("list")]
)
ACTIONS: dict[type, Callable[[Any, str], int]] = {
    RunCommand: play_run,
    SweepCommand: play_sweep,
    SuiteCommand: play_suite,
    LabelCommand: label,
    TuneCommand: tune,
    TaskCommand: write_task,
    ExportCommand: export,
    ReportCommand: report,
    RemoveCommand: remove_runs,
    ListCommand: listing.show,
}


def main(argv: list[str] | None = None) -> None:
    """Entry point; exits with 0, 1 if a run failed, 2 for a mistake of the user's, 130 when interrupted."""
    make_printable()
    try:
        status = _answer(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()  # a reader that went away is noticed here, and not when the interpreter ends
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to flush goes nowhere
        raise SystemExit(_CLOSED_PIPE) from None
    raise SystemExit(status)


def _answer(argv: list[str]) -> int:
    """Do what the arguments say; returns the exit status."""
    try:
        if argv == ["--version"]:
            print(f"duelbench {version('duelbench')}")
            return 0
        command = parse(argv)
        return ACTIONS[type(command)](command, shlex.join(["duelbench", *argv]))
    except SystemExit as ended:  # help, or no command at all
        return ended.code if isinstance(ended.code, int) else 2
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        complain("Interrupted. Nothing is lost: the same command continues.")
        return 130
    except Exception as error:
        said = explain(error) if not isinstance(error, ValueError | OSError) else str(error)
        complain(said)
        return 1 if "Traceback" in said else 2


def parse(argv: list[str]) -> Any:
    """The command that arguments ask for; exits with 2 and a message where they are none."""
    return tyro.cli(
        Command,  # type: ignore[arg-type]
        args=argv,
        prog="duelbench",
        description="LLM alignment as a contextual dueling bandit. `duelbench --version` says which version this is.",
        config=(tyro.conf.UseAppendAction, tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
    )
