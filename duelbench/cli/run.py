"""``duelbench run``: agents × seeds on one environment, then the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from duelbench.cli.judging import JudgingOptions
from duelbench.cli.report import write_report
from duelbench.records.spec import RunSpec
from duelbench.study.options import read_settings
from duelbench.study.sweep import EnvSetting

console = Console(stderr=True)


@dataclass
class RunCommand(JudgingOptions):
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
    """Labels per round."""
    model: str | None = None
    """Language model of LLMDuel-v0: `tiny` or `mini` (embedded), `smollm2-135m` (fetched once), a local folder or a hub
    id."""
    learning_rate: float | None = None
    """Step size of the policy's optimizer."""
    set: tuple[str, ...] = ()
    """Options as `agent.name=value`, e.g. `sea.candidates=8 sea.posterior.members=10`; also `env.name=value`,
    `policy.name=value` (`policy.lora_rank=8`) and `learner.name=value` (`learner.micro_batch=4`). An agent given by
    path goes by the name of its class."""
    out: Path | None = None
    """Output folder. Default: results/ENV."""
    workers: int | None = None
    """Processes. Default: one for each core."""
    threads: int = 1
    """Torch threads of a process."""
    fresh: bool = False
    """Remove earlier records of these runs first, and play them anew."""
    json: bool = False
    """Print one JSON object with the final metrics as the last line of standard output."""


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
