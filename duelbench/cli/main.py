"""The command line: ``duelbench run`` and the other commands."""

from __future__ import annotations

import inspect
import os
import shlex
import sys
from importlib.metadata import version
from typing import Annotated, Any, Union

import tyro

from duelbench import plugins
from duelbench.cli.printing import complain, make_printable
from duelbench.errors import explain, unwritable, unwritten

_CLOSED_PIPE = 1  # as rich ends, which notices most closed pipes

COMMANDS = {
    "run": ("duelbench.cli.run:RunCommand", "duelbench.cli.run:play_run"),
    "suite": ("duelbench.cli.suite:SuiteCommand", "duelbench.cli.suite:play_suite"),
    "sweep": ("duelbench.cli.sweep:SweepCommand", "duelbench.cli.sweep:play_sweep"),
    "label": ("duelbench.cli.label:LabelCommand", "duelbench.cli.label:label"),
    "rank": ("duelbench.cli.rank:RankCommand", "duelbench.cli.rank:rank"),
    "tune": ("duelbench.cli.tune:TuneCommand", "duelbench.cli.tune:tune"),
    "task": ("duelbench.cli.task:TaskCommand", "duelbench.cli.task:write_task"),
    "export": ("duelbench.cli.export:ExportCommand", "duelbench.cli.export:export"),
    "report": ("duelbench.cli.report:ReportCommand", "duelbench.cli.report:report"),
    "rm": ("duelbench.cli.rm:RemoveCommand", "duelbench.cli.rm:remove_runs"),
    "new": ("duelbench.cli.new:NewCommand", "duelbench.cli.new:write_new"),
    "list": ("duelbench.cli.listing:ListCommand", "duelbench.cli.listing:show"),
}
"""Options and function of each command. They are loaded on demand, so no command pays for the imports of another."""
EXAMPLES = {
    "run": "duelbench run --env LLMDuelPool-v0 --agent sea --agent online --seeds 3",
    "suite": "duelbench suite --agent double_ts --agent rucb --smoke",
    "sweep": "duelbench sweep first_steps --dry-run",
    "label": "duelbench label --task questions.csv --labels 100",
    "rank": "duelbench rank items.csv --judge taste.py:brevity --votes 300 --dry-run",
    "tune": "duelbench tune --env LLMDuelPool-v0 --agent sea --search learner.learning_rate=log:1e-4:1e-1",
    "task": "duelbench task questions.csv --prompt-column question --model smollm2-135m --out questions.npz",
    "export": "duelbench export results/LLMDuel-v0 --to preferences",
    "report": "duelbench report results/LLMDuel-v0 --format terminal",
    "rm": "duelbench rm results/LLMDuel-v0 --stale",
    "new": "duelbench new agent curious",
    "list": "duelbench list agents",
}
"""The example with which the help of each command begins."""


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
    """Run the command line; returns the exit status."""
    try:
        if argv == ["--version"]:
            print(f"duelbench {version('duelbench')}")
            return 0
        command = parse(argv)
        return _action(command)(command, shlex.join(["duelbench", *argv]))
    except SystemExit as ended:  # help, or no command at all
        return ended.code if isinstance(ended.code, int) else 2
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        complain("Interrupted. Nothing is lost: the same command continues.")
        return 130
    except Exception as error:
        if unwritable(error):
            said = unwritten(error)
        else:
            said = explain(error) if not isinstance(error, ValueError | OSError) else str(error)
        complain(said)
        return 1 if "Traceback" in said else 2


def parse(argv: list[str]) -> Any:
    """The command that the arguments describe; exits with status 2 and a message if they are not valid."""
    name = argv[0] if argv else ""
    if name in COMMANDS:
        options = _options(name)
        described = f"Example: {EXAMPLES[name]}\n\n{inspect.getdoc(options)}"
        return _parse(options, argv[1:], f"duelbench {name}", described)
    described = "LLM alignment as a contextual dueling bandit. `duelbench --version` says which version this is."
    each = [Annotated[_options(known), tyro.conf.subcommand(known, description=_summary(known))] for known in COMMANDS]  # type: ignore[misc]
    return _parse(Union[tuple(each)], argv, "duelbench", described)  # noqa: UP007 - there is no other way to spell it


def _parse(options: Any, argv: list[str], prog: str, description: str) -> Any:
    config = (
        tyro.conf.UseAppendAction,
        tyro.conf.FlagCreatePairsOff,
        tyro.conf.OmitArgPrefixes,
        tyro.conf.DisallowNone,
    )
    return tyro.cli(options, args=argv, prog=prog, description=description, config=config)


def _options(name: str) -> type:
    return plugins.load(COMMANDS[name][0], kind="command")


def _summary(name: str) -> str:
    """The first line of a command's help."""
    return (inspect.getdoc(_options(name)) or "").partition("\n")[0]


def _action(command: Any) -> Any:
    """The function that runs a command."""
    place = f"{type(command).__module__}:{type(command).__qualname__}"
    return plugins.load(dict(COMMANDS.values())[place], kind="command")
