"""``duelbench run``: agents × seeds on one environment, then the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Console

from duelbench.cli.arguments import AGENTS, CHOICE, UNSET, Optimizer
from duelbench.cli.judging import JudgingOptions
from duelbench.cli.report import write_report

if TYPE_CHECKING:
    from duelbench.records.spec import RunSpec

console = Console(stderr=True)


@dataclass
class RunOptions:
    """What is played, and where its records go."""

    env: str = "LLMDuel-v0"
    """Its id (`list envs`) or `file.py:Name-v0`."""
    preset: Annotated[str | None, UNSET] = None
    """A named setting of the environment, e.g. `easy` or `hard`."""
    agent: Annotated[tuple[str, ...], AGENTS] = ()
    """A name (`duelbench list agents`) or `file.py:Class`."""
    optimizer: Annotated[Optimizer, CHOICE] = "dpo"
    """Loss that trains the policy: dpo, ipo, slic or simpo."""
    seeds: Annotated[int | None, UNSET] = None
    """Number of seeds: 0, 1, …, N − 1."""
    first_seed: int = 0
    """From 1000 up for tuning, from 0 for reporting."""
    labels: Annotated[int | None, UNSET] = None
    """Oracle labels that each run may use."""
    batch: Annotated[int | None, UNSET] = None
    """Labels per round."""
    model: Annotated[str | None, UNSET] = None
    """Language model: `tiny`, `mini`, `smollm2-135m`, a folder or a hub id."""
    learning_rate: Annotated[float | None, UNSET] = None
    """Step size of the policy's optimizer."""
    set: Annotated[tuple[str, ...], UNSET] = ()
    """`sea.candidates=8`, `env.NAME=…`, `policy.NAME=…`, `learner.NAME=…`; repeat."""
    out: Annotated[Path | None, UNSET] = None
    """Output folder. Default: results/ENV."""
    workers: Annotated[int | None, UNSET] = None
    """Runs at once. Default: one per core."""
    threads: int = 1
    """Torch threads of each run."""
    fresh: Annotated[bool, UNSET] = False
    """Remove earlier records of these runs, and play them again."""
    json: Annotated[bool, UNSET] = False
    """Print the final metrics as JSON, the last line of standard output."""


@dataclass
class RunCommand(JudgingOptions, RunOptions):
    """Play agents × seeds on one environment, and write a report.

    Without arguments: five agents, three seeds, 512 labels, the embedded language model on LLMDuel-v0. Give the same
    command again to continue what was interrupted; nothing is played twice.
    """


def play_run(command: RunCommand, line: str) -> int:
    """Play what is missing, write the report, and return the exit status."""
    from duelbench.records.record import load_runs
    from duelbench.runs.execute import say_failures
    from duelbench.runs.recording.run_folder import RunFolder
    from duelbench.study.library import default_folder, play

    specs = run_specs(command)
    out = command.out or default_folder(command.env)
    missing = [spec for spec in specs if command.fresh or not RunFolder.at(out, spec).finished]
    if not command.agreed(missing, console):
        return 1
    outcomes = play(specs, out, workers=command.workers, command=line, fresh=command.fresh, console=console)
    failed = say_failures(outcomes, console)
    try:
        runs = load_runs(out)
    except FileNotFoundError:  # every run failed before it had anything to record
        return 1
    written = write_report(out, runs, as_json=command.json, ids={spec.run_id for spec in specs})
    return 1 if failed or not written else 0


def run_specs(command: RunCommand) -> list[RunSpec]:
    """The runs a command asks for: a sweep of one environment.

    Raises:
        UsageError: for an unknown environment, preset, agent or option.
    """
    from duelbench.study.library import one_environment
    from duelbench.study.options import read_settings
    from duelbench.study.sweep import EnvSetting

    rate = {} if command.learning_rate is None else {"learner.learning_rate": [command.learning_rate]}
    return one_environment(
        EnvSetting(command.env, command.preset, model=command.model),
        agents=command.agent,
        optimizers=(command.optimizer,),
        settings=rate | read_settings(command.set),
        seeds=command.seeds,
        first_seed=command.first_seed,
        labels=command.labels,
        batch=command.batch,
        judging=command.judging(),
        threads=command.threads,
    ).specs()
