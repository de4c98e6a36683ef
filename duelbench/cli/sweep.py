"""``duelbench sweep``: play what a sweep lacks, then its report."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console

from duelbench.cli.arguments import CHOICE, REPEATED, UNSET
from duelbench.cli.forecast import table
from duelbench.cli.judging import JudgingOptions
from duelbench.cli.report import write_report
from duelbench.errors import UsageError
from duelbench.plugins import did_you_mean

if TYPE_CHECKING:
    from duelbench.records.plan import Plan, Planned
    from duelbench.records.spec import RunSpec
    from duelbench.runs.engines import Engine
    from duelbench.runs.engines.outcome import Outcome

console = Console(stderr=True)
_TRACEBACKS = 3  # printed; the others are in the report


@dataclass
class SweepOptions:
    """Which runs, where, and what of them."""

    sweep: tyro.conf.Positional[str]
    """A file.py that holds a `sweep`, or a name (`duelbench list sweeps`)."""
    only: Annotated[tuple[str, ...], REPEATED] = ()
    """Only runs with this tag: an environment, preset, model, agent, optimizer, a tag of the file, or `smoke`."""
    dry_run: Annotated[bool, UNSET] = False
    """Only say what would be played, and what it would cost."""
    retry_failed: Annotated[bool, UNSET] = False
    """Play failed runs again, from where they stopped."""
    fresh: Annotated[bool, UNSET] = False
    """Remove earlier records of the chosen runs, and play them again."""
    engine: Annotated[Literal["inline", "process", "ray"], CHOICE] = "process"
    """inline, process or ray; records do not depend on it."""
    workers: Annotated[int | None, UNSET] = None
    """Runs at once. Default: one per core."""
    gpus: float = 0.0
    """GPUs per run, on Ray; fractions share one."""
    out: Annotated[Path | None, UNSET] = None
    """Output folder. Default: results/NAME."""
    json: Annotated[bool, UNSET] = False
    """Print the final metrics as JSON, the last line of standard output."""


@dataclass
class SweepCommand(JudgingOptions, SweepOptions):
    """Play a sweep: environments × agents × optimizers × settings × seeds, as a Python file says.

    Give the same command again to continue what was interrupted; nothing is played twice.
    """


def play_sweep(command: SweepCommand, line: str) -> int:
    """Play what is missing, write the report where something changed, and return the exit status.

    Raises:
        UsageError: for an unknown sweep or tag, or a sweep that does not fit together.
    """
    from duelbench.records.plan import Plan
    from duelbench.records.record import load_runs
    from duelbench.runs.judging.forecast import forecast_all, forecast_text
    from duelbench.study.costs import Costs, forecast
    from duelbench.study.library import clear
    from duelbench.study.sweep_files import load_sweep

    name, sweep = load_sweep(command.sweep)
    plan = dataclasses.replace(sweep, judging={**sweep.judging, **command.judging()}).plan(name)
    out = command.out or Path("results") / name
    chosen = _tagged(plan, command.only)
    runs = _Runs(chosen, out)
    missing = runs.missing + (runs.failed if command.retry_failed else [])
    if command.fresh:
        missing = [run.spec for run in chosen]
    if command.dry_run:
        lines = forecast([run.spec for run in chosen], missing, Costs([run.spec for run in plan.runs], out))
        Console().print(table(plan.title, lines, command.workers or os.cpu_count() or 1))
        if text := forecast_text(forecast_all(missing)):
            Console().print(f"{text}.", highlight=False, soft_wrap=True)
        return 0
    engine = _engine(command)
    if not command.agreed(missing, console):
        return 1
    if command.fresh:
        clear(missing, out, console)
    if plan != Plan.load(out):
        plan.write(out)
        changed = True
    else:
        changed = not (out / "report.html").exists()
    outcomes = _play(missing, out, engine, command.workers, line)
    failed = _Runs(chosen, out).failed
    _say(chosen, outcomes, failed, retried=command.retry_failed)
    written = not (outcomes or changed) or write_report(out, load_runs(out), as_json=command.json)
    return 1 if failed or not written else 0


class _Runs:
    """Where the runs of a sweep stand."""

    def __init__(self, planned: Sequence[Planned], out: Path) -> None:
        from duelbench.runs.recording.run_folder import RunFolder

        folders = [RunFolder.at(out, run.spec) for run in planned]
        self.finished = [folder.spec for folder in folders if folder.finished]
        self.failed = [folder.spec for folder in folders if folder.failed]
        ended = {spec.run_id for spec in (*self.finished, *self.failed)}
        self.missing = [folder.spec for folder in folders if folder.spec.run_id not in ended]


def _tagged(plan: Plan, tags: Sequence[str]) -> list[Planned]:
    known = {tag for run in plan.runs for tag in run.tags}
    for tag in tags:
        if tag not in known:
            raise UsageError(f"no run has the tag {tag!r}: expected one of {sorted(known)}{did_you_mean(tag, known)}")
    chosen = [run for run in plan.runs if set(tags) <= set(run.tags)]
    if not chosen:
        raise UsageError(f"no run has all the tags {list(tags)}")
    return chosen


def _engine(command: SweepCommand) -> Engine:
    from duelbench.runs.engines import make_engine

    if command.gpus and command.engine != "ray":
        raise UsageError("--gpus goes with --engine ray; elsewhere a run takes the GPU that it finds")
    return make_engine(command.engine, **({"gpus": command.gpus} if command.engine == "ray" else {}))


def _play(specs: Sequence[RunSpec], out: Path, engine: Engine, workers: int | None, line: str) -> list[Outcome]:
    from duelbench.runs.execute import execute, fetch_models

    if not specs:
        return []
    fetch_models(specs, console.print)
    return execute(specs, out, workers=workers, command=line, console=console, engine=engine)


def _say(chosen: Sequence[Planned], outcomes: Sequence[Outcome], failed: Sequence[RunSpec], *, retried: bool) -> None:
    from duelbench.runs.execute import say_failures

    say_failures([outcome for outcome in outcomes if outcome.error][:_TRACEBACKS], console)
    text = f"{len(chosen) - len(failed)} of {len(chosen)} runs finished, {len(outcomes)} of them played now"
    if failed:
        again = "" if retried else "; --retry-failed plays them again"
        text += f". {len(failed)} failed: tracebacks in the report{again}"
    console.print(text, highlight=False)
