"""``duelbench run``: agents × seeds on one environment, then the report."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from duelbench.cli.report import write_report
from duelbench.plugins import PluginError
from duelbench.records.spec import RunSpec
from duelbench.study.request import Request, UsageError, read_settings
from duelbench.study.settings import settings_of

console = Console(stderr=True)


@dataclass
class RunCommand:
    """Align the policy with each agent and draw the curves.

    Without arguments: seven agents, three seeds, the embedded language model on LLMDuel-v0. The same command again
    continues what was interrupted and repeats nothing.
    """

    env: str = "LLMDuel-v0"
    """Environment id (`duelbench list envs`)."""
    preset: str | None = None
    """A named setting of the environment, e.g. `easy`, `standard`, `hard`, `noiseless`."""
    agent: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["-a"])] = ()
    """Agent name, `package.module:Class` or `path/to/file.py:Class`; repeat for several. Default: all of the demo."""
    optimizer: Literal["dpo", "ipo", "slic", "simpo"] = "dpo"
    """Direct optimizer of the policy."""
    seeds: int | None = None
    """Number of seeds: 0, 1, …, N − 1."""
    first_seed: int = 0
    """First seed; tune on seeds from 1000 up, report on those from 0."""
    labels: int | None = None
    """Oracle labels each run may use."""
    batch: int | None = None
    """Labels a round."""
    model: str | None = None
    """Language model of LLMDuel-v0: `tiny` or `mini` (embedded), `smollm2-135m` (fetched once), a local folder or a hub
    id."""
    learning_rate: float | None = None
    """Step size of the policy's optimizer."""
    set: tuple[str, ...] = ()
    """Options as `agent.name=value`, e.g. `sea.candidates=8 sea.ensemble.members=10`; also `env.name=value`,
    `policy.name=value` (`policy.lora_rank=8`) and `learner.name=value` (`learner.micro_batch=4`). An agent given by
    path goes by the name of its class."""
    out: Path | None = None
    """Output folder. Default: results/ENV."""
    workers: int | None = None
    """Processes. Default: one for each core."""
    threads: int = 1
    """Torch threads of a process."""
    json: bool = False
    """Print one JSON object with the final metrics as the last line of standard output."""


def play_run(command: RunCommand, line: str) -> int:
    """Play what is missing, write the report, and return the exit status."""
    from duelbench.records.record import load_runs
    from duelbench.runs.execute import execute, fetch_models, say_failures

    specs = run_specs(command)
    fetch_models(specs, console.print)
    out = command.out or Path("results") / command.env
    workers = command.workers or min(len(specs), os.cpu_count() or 1)
    outcomes = execute(specs, out, workers=workers, command=line, console=console)
    failed = say_failures(outcomes, console)
    try:
        runs = load_runs(out)
    except FileNotFoundError:  # every run failed before it had anything to record
        return 1
    write_report(out, runs, as_json=command.json, ids={spec.run_id for spec in specs})
    return 1 if failed else 0


def run_specs(command: RunCommand) -> list[RunSpec]:
    """The runs a command asks for: agents × seeds.

    Raises:
        UsageError: for an unknown environment, preset, agent or option.
    """
    try:
        usual = settings_of(command.env).agents
    except PluginError as error:
        raise UsageError(str(error)) from error
    return Request(
        env=command.env,
        agents=command.agent,
        preset=command.preset,
        optimizer=command.optimizer,
        seeds=command.seeds,
        first_seed=command.first_seed,
        labels=command.labels,
        batch=command.batch,
        model=command.model,
        learning_rate=command.learning_rate,
        options=read_settings(command.set, command.agent or usual),
        threads=command.threads,
    ).specs()
