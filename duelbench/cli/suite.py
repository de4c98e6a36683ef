"""``duelbench suite``: play the behaviour suite, print its scores, draw its radar pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from duelbench.agents import registry
from duelbench.cli.arguments import UNSET
from duelbench.cli.printing import table_printer

if TYPE_CHECKING:
    from duelbench.records.record import Run
    from duelbench.records.spec import RunSpec
    from duelbench.results.statistics.scores import Score
    from duelbench.runs.engines.outcome import Outcome
    from duelbench.study.suite import Task

Played = dict[tuple[str, str], list["RunSpec"]]  # runs by task and agent

_FEWEST_SPOKES = 3  # of a radar picture
_RIVALS = ("greedy", "double_ts", "max_pair_ucb")  # who plays when nobody is named


@dataclass
class SuiteCommand:
    """Play the behaviour suite: small tasks that isolate one ability each, scored from 0 (uniform) to 1 (oracle).

    The same command again continues what was interrupted and repeats nothing.
    """

    agent: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["-a"])] = ()
    """Agent name, `package.module:Class` or `path/to/file.py:Class`; repeat for several. Default: greedy, double_ts
    and max_pair_ucb."""
    seeds: int = 20
    """Number of seeds: 0, 1, …, N − 1."""
    smoke: Annotated[bool, UNSET] = False
    """Only the few tasks that show within seconds that an agent works."""
    tag: tuple[str, ...] = ()
    """Only tasks with this tag; repeat for several."""
    labels: Annotated[int | None, UNSET] = None
    """Labels of a seed on every task, instead of the task's own number."""
    out: Path = Path("results/suite")
    """Output folder."""
    workers: Annotated[int | None, UNSET] = None
    """Processes. Default: one for each core."""
    json: Annotated[bool, UNSET] = False
    """Print one JSON object with the scores as the last line of standard output."""
    list: Annotated[bool, UNSET] = False
    """Only list the tasks."""


def play_suite(command: SuiteCommand, line: str) -> int:
    """Play, score, print and draw; returns the exit code.

    Raises:
        ValueError: for an unknown agent or tag, or no seeds.
    """
    from duelbench.runs.execute import execute, say_failures, suitable_workers
    from duelbench.study.suite import select

    tasks = select(command.tag, smoke=command.smoke)
    printer = table_printer(stderr=command.json)
    if command.list:
        printer.print(_listing(tasks))
        return 0
    if command.seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {command.seeds}")
    agents = tuple(dict.fromkeys(command.agent or _RIVALS))
    played, reasons = _plan(command, agents, tasks)
    specs = list({spec.run_id: spec for group in played.values() for spec in group}.values())
    console = Console(stderr=True)
    workers = command.workers or suitable_workers(specs)
    outcomes = execute(specs, command.out, workers=workers, command=line, console=console)
    failed = say_failures(outcomes, console)
    scores = _scores(command.out, agents, tasks, played, reasons, outcomes)
    _show(printer, tasks, scores)
    write_suite(command.out, tasks, scores)
    console.print(f"Scores and pictures: {command.out}", markup=False, highlight=False, soft_wrap=True)
    if command.json:
        print(json.dumps({"out": str(command.out), "scores": _rows(scores)}))  # nothing else goes to standard output
    return 1 if failed else 0


def _plan(
    command: SuiteCommand, names: tuple[str, ...], tasks: Sequence[Task]
) -> tuple[Played, dict[tuple[str, str], str]]:
    """The runs of every task and agent, always including uniform pairs; and the reasons why some cannot be played."""
    from duelbench.study.suite import UNIFORM, task_specs, why_not

    agents = {name: registry.find_agent(name, arms=True).cls for name in dict.fromkeys((UNIFORM, *names))}
    played: Played = {}
    reasons: dict[tuple[str, str], str] = {}
    for task in tasks:
        for name, agent in agents.items():
            if reason := why_not(task, agent):
                reasons[task.name, name] = reason
            else:
                played[task.name, name] = task_specs(task, name, range(command.seeds), command.labels)
    return played, reasons


def _scores(
    out: Path,
    agents: tuple[str, ...],
    tasks: Sequence[Task],
    played: Played,
    reasons: dict[tuple[str, str], str],
    outcomes: Sequence[Outcome],
) -> list[Score]:
    """One score for each task and agent."""
    from duelbench.records.record import load_runs
    from duelbench.results.statistics.scores import Score, final_regrets, seed_scores
    from duelbench.study.suite import UNIFORM

    done = {outcome.spec.run_id for outcome in outcomes if not outcome.error}
    runs: dict[str, list[Run]] = {}
    for run in load_runs(out) if done else ():
        runs.setdefault(run.folder_id, []).append(run)
    scores = []
    for task in tasks:
        for name in agents:
            label = name.rpartition(":")[2]
            specs = [*played.get((task.name, name), ()), *played[task.name, UNIFORM]]
            if reason := reasons.get((task.name, name)):
                scores.append(Score(task.name, label, reason=reason))
            elif any(spec.run_id not in done for spec in specs):
                scores.append(Score(task.name, label, reason="a run failed"))
            else:
                mine, uniform = (
                    final_regrets([run for spec in played[task.name, who] for run in runs[spec.run_id]])
                    for who in (name, UNIFORM)
                )
                scores.append(Score(task.name, label, seed_scores(mine, uniform)))
    return scores


def write_suite(out: Path, tasks: Sequence[Task], scores: Sequence[Score]) -> None:
    """Write ``scores.csv``, ``scores.json`` and, with enough spokes, a radar picture for each agent.

    Several agents also get one picture together, ``radar.png``.
    """
    from duelbench.records.files import write_atomic
    from duelbench.results.report.pictures.drawing import save_csv
    from duelbench.results.report.pictures.radar import save_radar

    rows = _rows(scores)
    write_atomic(out / "scores.json", json.dumps(rows, indent=1))
    save_csv(out / "scores.csv", [*rows[0]][:-1], [[*row.values()][:-1] for row in rows])
    if len(tasks) < _FEWEST_SPOKES:
        return
    names = [task.name for task in tasks]
    agents = list(dict.fromkeys(score.agent for score in scores))
    for agent in agents:
        save_radar(out / f"radar-{agent.replace('/', '_')}.png", names, [s for s in scores if s.agent == agent])
    if len(agents) > 1:
        save_radar(out / "radar.png", names, scores)


def _rows(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Scores as plain data; the scores of single seeds come last."""
    return [
        {
            "task": score.task,
            "agent": score.agent,
            "score": score.mean if score.values else None,
            "standard_error": score.error,
            "seeds": len(score.values),
            "reason": score.reason,
            "values": list(score.values),
        }
        for score in scores
    ]


def _show(printer: Console, tasks: Sequence[Task], scores: Sequence[Score]) -> None:
    """The table, with the reason for each empty cell."""
    printer.print("0 = uniform pairs, 1 = oracle; ± standard error over seeds", highlight=False)
    printer.print(_table(tasks, scores))
    for reason in dict.fromkeys(score.reason for score in scores if score.reason):
        printer.print(f"—: {reason}", markup=False, highlight=False)


def _table(tasks: Sequence[Task], scores: Sequence[Score]) -> Table:
    agents = list(dict.fromkeys(score.agent for score in scores))
    found = {(score.task, score.agent): score for score in scores}
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("task", no_wrap=True)
    for agent in agents:
        table.add_column(escape(agent), justify="right")
    for task in tasks:
        table.add_row(task.name, *(_cell(found[task.name, agent]) for agent in agents))
    table.add_section()
    means = [[s.mean for s in scores if s.agent == agent and s.values] for agent in agents]
    table.add_row("mean", *(f"{sum(mean) / len(mean):.2f}" if mean else "—" for mean in means))
    return table


def _cell(score: Score) -> str:
    if not score.values:
        return "—"
    return f"{score.mean:.2f}" + ("" if score.error is None else f" ±{score.error:.2f}")


def _listing(tasks: Sequence[Task]) -> Table:
    table = Table("task", "isolates", "labels", "tags", title_justify="left", box=None)
    for task in tasks:
        table.add_row(task.name, task.isolates, str(task.labels), ", ".join(task.tags + ("smoke",) * task.smoke))
    return table
