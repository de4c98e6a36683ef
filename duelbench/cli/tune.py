"""``duelbench tune``: hyper-parameters of one agent on one environment through Optuna."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from duelbench.cli.arguments import CHOICE, REPEATED, UNSET
from duelbench.cli.printing import table_printer
from duelbench.cli.run import RunCommand, run_specs
from duelbench.errors import UsageError, install

if TYPE_CHECKING:
    from optuna.study import Study

    from duelbench.records.spec import RunSpec
    from duelbench.runs.engines.outcome import Outcome
    from duelbench.study.tuning.space import Setting, Space
    from duelbench.study.tuning.study import Objective, Tuning

console = Console(stderr=True)

_FREE = ("trials", "workers", "out", "json", "yes")  # what may change while a study goes on
_NOT_RUN = (
    "fresh",
    "seeds",
    "first_seed",
    "out",
    "workers",
    "json",
    "set",
    "yes",
)  # of the line that runs the best setting


@dataclass
class SearchOptions:
    """What is searched, and how."""

    search: Annotated[tuple[str, ...], REPEATED] = ()
    """NAME=KIND:RANGE, e.g. log:1e-4:1e-1, float:0:2, int:4:32, int:4:32:4, logint:2:32, choice:64,128."""
    trials: int = 20
    """Settings to try in all; a grid has its own number."""
    sampler: Annotated[Literal["tpe", "random", "cmaes", "gp", "grid", "llm"], CHOICE] = "tpe"
    """Who proposes them: tpe, random, cmaes, gp, grid or llm."""
    sampler_seed: int = 0
    """Seed of the sampler."""
    proposer: str = "smollm2-135m"
    """For `llm`: a model or `URL#MODEL`."""
    metric: Annotated[str | None, UNSET] = None
    """Default: offline win rate, or cumulative regret where arms are played."""
    at_end: Annotated[bool, UNSET] = False
    """Score the end of the curve instead of its average height."""
    pruner: Annotated[Literal["none", "median"], CHOICE] = "none"
    """median: stop trials that are worse than half the others."""


@dataclass
class TuneCommand(RunCommand, SearchOptions):
    """Search the hyper-parameters of one agent with Optuna, on seeds that no reported number uses.

    Give the same command again to go on where it stopped. It ends with the `duelbench run` line of the best setting,
    and takes the --judge-… options of `duelbench run` too.
    """

    agent: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["-a"], help_behavior_hint="")] = ()
    """The agent: a name or `file.py:Class`."""
    seeds: int | None = 3
    """Tuning seeds of each trial."""
    first_seed: int = 1000
    """First tuning seed, at least 1000."""
    json: Annotated[bool, UNSET] = False
    """Print the content of tuning.json as one line of standard output."""
    out: Annotated[Path | None, UNSET] = None
    """Folder of the study. Default: results/tuning/ENV-AGENT."""
    judge_every: Annotated[int | None, tyro.conf.Suppress] = None
    judge_prompts: Annotated[int | None, tyro.conf.Suppress] = None
    judge_repeats: Annotated[int | None, tyro.conf.Suppress] = None
    judge_references: Annotated[int | None, tyro.conf.Suppress] = None
    judge_oracle: Annotated[str | None, tyro.conf.Suppress] = None
    judge_second: Annotated[str | None, tyro.conf.Suppress] = None


def tune(command: TuneCommand, line: str) -> int:
    """Search, print and write the result; returns the exit status: 1 if no trial could be scored.

    Raises:
        ValueError: the command line does not fit together.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise UsageError(f"tuning needs Optuna: {install('tune')}") from None
    from duelbench.study.tuning import record

    tuning = _tuning(command)
    out = _folder(command)
    if not command.agreed(_specs_of(command, {}), console, times=tuning.trials):
        return 1
    study = tuning.go(out, _say_trial)
    best = record.best_trial(study)
    run_line = _run_line(command, best.params) if best else ""
    budget = record.Budget.of(study, tuning.specs_of, out)
    content = record.document(study, tuning.objective, budget, run_line, line)
    record.write(out, content)
    _show(content, out, table_printer(stderr=command.json))
    if command.json:
        print(json.dumps({"out": str(out), **content}))
    return 0 if best else 1


def _tuning(command: TuneCommand) -> Tuning:
    """The study that a command asks for, checked as far as that goes without playing."""
    from duelbench.study.tuning.llm import make_proposer
    from duelbench.study.tuning.samplers import sampler_factory
    from duelbench.study.tuning.space import grid, parse_space
    from duelbench.study.tuning.study import FIRST_SEED, Tuning

    if len(command.agent) != 1:
        raise UsageError(f"tune one agent at a time with --agent NAME, got {list(command.agent)}")
    if command.first_seed < FIRST_SEED:
        raise UsageError(
            f"tuning seeds begin at {FIRST_SEED}, so that no reported number uses them; got {command.first_seed}"
        )
    space = parse_space(command.search)
    _check_edges(command, space)
    specs = _specs_of(command, {})
    if command.pruner != "none" and len(specs) == 1:
        raise UsageError("pruning goes from seed to seed, but here all seeds are one run: leave --pruner out")
    proposer = make_proposer(command.proposer, console.print) if command.sampler == "llm" else None
    settings = {name: value for name, value in dataclasses.asdict(command).items() if name not in _FREE}
    return Tuning(
        space=space,
        specs_of=lambda setting: _specs_of(command, setting),
        play=lambda runs: _play(command, runs),
        objective=_objective(command),
        sampler=sampler_factory(command.sampler, space, command.sampler_seed, proposer),
        trials=len(grid(space)) if command.sampler == "grid" else command.trials,
        settings=json.loads(json.dumps(settings)),
        pruning=command.pruner == "median",
    )


def _specs_of(command: TuneCommand, setting: Setting) -> list[RunSpec]:
    from duelbench.study.tuning.space import as_options

    return run_specs(dataclasses.replace(command, set=(*command.set, *as_options(setting))))


def _check_edges(command: TuneCommand, space: Space) -> None:
    """Try both ends of every range as an option, so that a wrong name or type is reported at once."""
    from duelbench.study.tuning.space import edges

    usual = {name: edges(distribution)[0] for name, distribution in space.items()}
    for name, distribution in space.items():
        for value in edges(distribution):
            _specs_of(command, usual | {name: value})


def _objective(command: TuneCommand) -> Objective:
    from duelbench.metrics import REGRETS, WIN_RATES
    from duelbench.study.settings import settings_of
    from duelbench.study.tuning.study import Objective

    if command.metric is not None:
        return Objective((command.metric,), command.at_end)
    usual = REGRETS if settings_of(command.env).arms else WIN_RATES
    return Objective(usual, command.at_end)


def _folder(command: TuneCommand) -> Path:
    if command.out is not None:
        return command.out
    return Path("results/tuning") / f"{command.env}-{command.agent[0].rpartition(':')[2]}".replace("/", "_")


def _play(command: TuneCommand, specs: Sequence[RunSpec]) -> Sequence[Outcome]:
    from duelbench.runs.execute import execute, say_failures, suitable_workers

    workers = min(len(specs), command.workers or suitable_workers(specs))
    outcomes = execute(specs, _folder(command), workers=workers, console=console)
    say_failures([outcome for outcome in outcomes if outcome.error][:1], console)  # the seeds of a trial fail alike
    return outcomes


def _run_line(command: TuneCommand, setting: Setting) -> str:
    """The command that plays a setting on reporting seeds, everything else as in the study."""
    from duelbench.study.tuning.space import as_options

    words = ["duelbench", "run"]
    for field in dataclasses.fields(RunCommand):
        value = getattr(command, field.name)
        if field.name not in _NOT_RUN and value != field.default:
            for each in value if isinstance(value, tuple) else (value,):
                words += [f"--{field.name.replace('_', '-')}", str(each)]
    for option in (*command.set, *as_options(setting)):
        words += ["--set", option]
    return shlex.join(words)


def _say_trial(study: Study) -> None:
    """One line for the trial that just ended."""
    from duelbench.study.tuning import record

    trial = record.as_row(study.get_trials(deepcopy=False)[-1])
    best = record.best_trial(study)
    values = " ".join(f"{name}={record.value_text(value)}" for name, value in trial["setting"].items())
    remark = record.remark(trial)
    console.print(
        f"trial {trial['number']}: {record.score_text(trial)}  {values}{f'  ({remark})' if remark else ''}"
        + (f"  best: trial {best.number}, {best.value:.4g}" if best else ""),
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _show(content: dict[str, Any], out: Path, printer: Console) -> None:
    """The trials as a table, and what follows from them."""
    from duelbench.study.tuning import record

    names = list(content["trials"][0]["setting"])
    table = Table("trial", *names, "score", "", title=f"{content['objective']} ({content['direction']})", box=None)
    for trial in content["trials"]:
        values = [record.value_text(trial["setting"].get(name)) for name in names]
        table.add_row(str(trial["number"]), *values, record.score_text(trial), record.remark(trial))
    printer.print(table)
    lines = [record.importances_text(content), record.budget_text(content["budget"])]
    if content["proposals"]:
        lines.append(record.proposals_text(content["proposals"]))
    if content["best"]:
        lines += [f"Best: trial {content['best']['number']}. On reporting seeds:", content["best"]["command"]]
    lines.append(f"Study: {out}")
    printer.print("\n".join(filter(None, lines)), markup=False, highlight=False, soft_wrap=True)
