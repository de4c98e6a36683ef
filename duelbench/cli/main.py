"""The command line: ``duelbench run``, ``sweep``, ``suite``, ``tune``, ``task``, ``export``, ``report``, ``list``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from duelbench.assets.model_source import FETCHED
from duelbench.cli.export import ExportCommand, export
from duelbench.cli.report import ReportCommand, report
from duelbench.cli.run import RunCommand, play_run
from duelbench.cli.suite import SuiteCommand, play_suite
from duelbench.cli.sweep import SweepCommand, play_sweep
from duelbench.cli.task import TaskCommand, write_task
from duelbench.cli.tune import TuneCommand, tune
from duelbench.study.settings import ENV_DEFAULTS

console = Console(stderr=True)


@dataclass
class ListCommand:
    """Name what there is."""

    what: tyro.conf.Positional[Literal["all", "envs", "agents", "oracles", "tasks", "models", "sweeps"]] = "all"
    """Which list."""


Command = (
    Annotated[RunCommand, tyro.conf.subcommand("run")]
    | Annotated[SuiteCommand, tyro.conf.subcommand("suite")]
    | Annotated[SweepCommand, tyro.conf.subcommand("sweep")]
    | Annotated[TuneCommand, tyro.conf.subcommand("tune")]
    | Annotated[TaskCommand, tyro.conf.subcommand("task")]
    | Annotated[ExportCommand, tyro.conf.subcommand("export")]
    | Annotated[ReportCommand, tyro.conf.subcommand("report")]
    | Annotated[ListCommand, tyro.conf.subcommand("list")]
)


def main(argv: list[str] | None = None) -> None:
    """Entry point; exits with 0, 1 if a run failed, 2 for bad usage, 130 when interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    command = parse(argv)
    actions: dict[type, Callable[[Any, str], int]] = {
        RunCommand: play_run,
        SweepCommand: play_sweep,
        SuiteCommand: play_suite,
        TuneCommand: tune,
        TaskCommand: write_task,
        ExportCommand: export,
        ReportCommand: report,
        ListCommand: _list,
    }
    try:
        raise SystemExit(actions[type(command)](command, shlex.join(["duelbench", *argv])))
    except (ValueError, FileNotFoundError) as error:
        console.print(f"[red]duelbench:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        console.print("Interrupted. Nothing is lost: the same command continues.")
        raise SystemExit(130) from None


def parse(argv: list[str]) -> Any:
    """The command that arguments ask for; exits with 2 and a message where they are none."""
    return tyro.cli(
        Command,  # type: ignore[arg-type]
        args=argv,
        prog="duelbench",
        description="LLM alignment as a contextual dueling bandit.",
        config=(tyro.conf.UseAppendAction, tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
    )


def _list(command: ListCommand, line: str) -> int:
    from importlib import resources

    from duelbench.agents import registry
    from duelbench.envs.text.tasks.load import task_names
    from duelbench.envs.text.tasks.prompt_sets import PROMPT_SETS
    from duelbench.oracles import ORACLES
    from duelbench.study.sweep import load_sweep, sweep_names

    models = resources.files("duelbench.assets") / "models"
    contents = {
        "envs": {name: ", ".join(d.presets) and f"presets: {', '.join(d.presets)}" for name, d in ENV_DEFAULTS.items()},
        "agents": {name: registry.summary_line(name) for name in registry.AGENTS},
        "agents that play arms": {name: registry.summary_line(name, arms=True) for name in registry.ARM_AGENTS},
        "oracles": dict(ORACLES),
        "tasks": dict.fromkeys(task_names(), "packaged") | PROMPT_SETS,
        "models": {entry.name: "packaged" for entry in models.iterdir() if entry.is_dir()}
        | {name: f"fetched once from {source.package}" for name, source in FETCHED.items()},
        "sweeps": {name: load_sweep(name)[1].title for name in sweep_names()},
    }
    printer = Console()
    for title, rows in contents.items():
        if command.what in ("all", title):
            table = Table("name", "what", title=title, title_justify="left", box=None)
            for name, what in rows.items():
                table.add_row(name, what)
            printer.print(table)
    return 0
