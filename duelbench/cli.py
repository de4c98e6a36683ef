"""The command line: ``duelbench run``, ``duelbench suite``, ``duelbench report``, ``duelbench list``."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from duelbench.cli_suite import SuiteCommand, play_suite
from duelbench.defaults import ENV_DEFAULTS, EnvDefaults
from duelbench.model_source import FETCHED, resolve_model
from duelbench.spec import RUN_SETS, option_value

console = Console(stderr=True)


class UsageError(ValueError):
    """The command line asks for something that does not exist or does not fit together."""


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
    """Language model of LLMDuel-v0: `tiny` (embedded), `smollm2-135m` (fetched once), a local folder or a hub id."""
    learning_rate: float | None = None
    """Step size of the policy's optimizer."""
    set: tuple[str, ...] = ()
    """Options as `agent.name=value`, e.g. `sea.candidates=8 sea.ensemble.members=10`; also `env.name=value`. An agent
    given by path goes by the name of its class."""
    out: Path | None = None
    """Output folder. Default: results/ENV."""
    workers: int | None = None
    """Processes. Default: one for each core."""
    threads: int = 1
    """Torch threads of a process."""
    json: bool = False
    """Print one JSON object with the final metrics as the last line of standard output."""


@dataclass
class ReportCommand:
    """Write the report of an output folder again: report.html, pictures and tables."""

    folder: tyro.conf.Positional[Path]
    """Folder that `duelbench run` wrote."""
    json: bool = False
    """Print the summary as one JSON object."""


@dataclass
class ListCommand:
    """Name what there is."""

    what: tyro.conf.Positional[Literal["all", "envs", "agents", "oracles", "models"]] = "all"
    """Which list."""


Command = (
    Annotated[RunCommand, tyro.conf.subcommand("run")]
    | Annotated[SuiteCommand, tyro.conf.subcommand("suite")]
    | Annotated[ReportCommand, tyro.conf.subcommand("report")]
    | Annotated[ListCommand, tyro.conf.subcommand("list")]
)


def main(argv: list[str] | None = None) -> None:
    """Entry point; exits with 0, 1 if a run failed, 2 for bad usage, 130 when interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    command: Any = tyro.cli(
        Command,  # type: ignore[arg-type]
        args=argv, prog="duelbench", description="LLM alignment as a contextual dueling bandit.",
        config=(tyro.conf.UseAppendAction, tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
    )  # fmt: skip
    actions: dict[type, Callable[[Any, str], int]] = {
        RunCommand: _run, SuiteCommand: play_suite, ReportCommand: _report, ListCommand: _list,
    }  # fmt: skip
    try:
        raise SystemExit(actions[type(command)](command, shlex.join(["duelbench", *argv])))
    except (ValueError, FileNotFoundError) as error:
        console.print(f"[red]duelbench:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        console.print("Interrupted. Nothing is lost: the same command continues.")
        raise SystemExit(130) from None


def _run(command: RunCommand, line: str) -> int:
    from duelbench.execute import execute, say_failures
    from duelbench.record import load_runs
    from duelbench.report import summary, write_report

    specs = run_specs(command)
    if "model" in specs[0].policy:
        resolve_model(specs[0].policy["model"], console.print)  # fetched once, before several workers ask for it
    out = command.out or Path("results") / command.env
    workers = command.workers or min(len(specs), os.cpu_count() or 1)
    outcomes = execute(specs, out, workers=workers, command=line, console=console)
    ids = {spec.run_id for spec in specs}
    failed = say_failures(outcomes, console)
    try:
        runs = load_runs(out)
    except FileNotFoundError:  # every run failed before it had anything to record
        return 1
    console.print(f"Report: {write_report(out, runs)}", markup=False, highlight=False, soft_wrap=True)
    if command.json:
        mine = [run for run in runs if run.folder_id in ids]
        print(json.dumps({"out": str(out), **summary(mine)}))  # the one thing that goes to standard output
    return 1 if failed else 0


def _report(command: ReportCommand, line: str) -> int:
    from duelbench.record import load_runs
    from duelbench.report import summary, write_report

    runs = load_runs(command.folder)
    console.print(f"Report: {write_report(command.folder, runs)}", highlight=False)
    if command.json:
        print(json.dumps({"out": str(command.folder), **summary(runs)}))
    return 0


def run_specs(command: RunCommand) -> list[Any]:
    """The runs a command asks for: agents × seeds.

    Raises:
        UsageError: for an unknown environment, preset, agent or option.
    """
    import importlib

    from duelbench.spec import seed_specs

    registry = importlib.import_module("duelbench.agents.registry")
    defaults = _defaults(command.env)
    env_kwargs = _preset(command, defaults)
    agents = tuple(dict.fromkeys(command.agent or defaults.agents))
    found = {name: registry.find_agent(name, arms=defaults.arms) for name in agents}
    options = _options(command.set, agents)
    _check_env_options(command.env, options["env"])
    featureless = defaults.arms and not _features(command.env, env_kwargs | options["env"])
    for name, (cls, preset) in found.items():
        registry.make_config(name, cls, preset | options[name])
        if featureless and getattr(cls, "needs_features", not getattr(cls, "lockstep", False)):
            raise UsageError(
                f"agent {name!r} needs features, which this {command.env} has none of: take LinearDuel-v0, or "
                "--set env.one_hot=true"
            )
    policy = defaults.policy | ({"model": command.model} if command.model else {})
    learner = defaults.learner | {"loss": command.optimizer}
    if command.learning_rate is not None:
        learner["learning_rate"] = command.learning_rate
    n_seeds = _given(command.seeds, defaults.seeds)
    if n_seeds < 1:
        raise UsageError(f"seeds must be at least 1, got {n_seeds}")
    labels = _given(command.labels, defaults.preset_labels.get(command.preset or "", defaults.labels))
    shared: dict[str, Any] = {
        "env": command.env, "labels": labels, "evaluate_every": defaults.evaluate_every,
        "evaluation_repeats": defaults.evaluation_repeats, "env_kwargs": env_kwargs | options["env"],
        "threads": command.threads,
    }  # fmt: skip
    seeds = range(command.first_seed, command.first_seed + n_seeds)
    in_batches = {"batch": _given(command.batch, defaults.batch), "learner": learner, "policy": policy}
    specs = []
    for name, (cls, _) in found.items():
        specs += seed_specs(cls, shared | {"agent": name, "agent_options": options[name]}, seeds, in_batches)
    return sorted(specs, key=lambda spec: spec.seed)


def _defaults(env: str) -> EnvDefaults:
    if env in ENV_DEFAULTS:
        return ENV_DEFAULTS[env]
    raise UsageError(f"unknown environment {env!r}{_hint(env, ENV_DEFAULTS)}")


def _preset(command: RunCommand, defaults: EnvDefaults) -> dict[str, Any]:
    if command.preset is None:
        return {}
    if command.preset not in defaults.presets:
        raise UsageError(f"{command.env} has no preset {command.preset!r}{_hint(command.preset, defaults.presets)}")
    return dict(defaults.presets[command.preset])


def _options(settings: tuple[str, ...], agents: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """``name.option=value`` settings by agent (or ``env``); values are JSON where they parse as such.

    An agent given by path goes by the name of its class.
    """
    options: dict[str, dict[str, Any]] = {name: {} for name in ("env", *agents)}
    called = {name: name.rpartition(":")[2] for name in options}
    for setting in settings:
        left, equals, value = setting.partition("=")
        name, dot, option = left.partition(".")
        meant = [full for full, short in called.items() if short == name]
        if not equals or not dot or not meant:
            known = sorted(called.values())
            raise UsageError(f"--set expects NAME.OPTION=VALUE with NAME one of {known}, got {setting!r}")
        if len(meant) > 1:
            raise UsageError(f"--set {name} may mean {' or '.join(meant)}: give one of the classes another name")
        options[meant[0]][option] = option_value(value)
    return options


def _given(value: int | None, default: int) -> int:
    """The number that was asked for, zero included."""
    return default if value is None else value


def _check_env_options(env: str, options: dict[str, Any]) -> None:
    """Name an option that the environment does not take, or that is not the user's to set."""
    import inspect

    import gymnasium as gym
    from gymnasium.envs.registration import load_env_creator

    creator: Any = load_env_creator(str(gym.spec(env).entry_point))
    known = set().union(*(inspect.signature(cls).parameters for cls in creator.__mro__[:2]))
    known -= {"render_mode", "problem", "conditions", *RUN_SETS}
    for name in options:
        if name in RUN_SETS:
            raise UsageError(f"the run itself sets {name} of the environment")
        if name not in known:
            raise UsageError(f"{env} has no option {name!r}{_hint(name, known)}")


def _features(env: str, kwargs: dict[str, Any]) -> int:
    """Number of features of an arm. Makes the environment once, so that a bad problem is one clear error."""
    import gymnasium as gym

    made: Any = gym.make(env, **kwargs).unwrapped
    return int(made.problem.dim)


def _hint(name: str, known: Any) -> str:
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1)
    return f": expected one of {sorted(known)}" + (f"; did you mean {near[0]!r}?" if near else "")


def _list(command: ListCommand, line: str) -> int:
    import importlib
    from importlib import resources

    from duelbench.oracles import ORACLES

    registry = importlib.import_module("duelbench.agents.registry")
    models = resources.files("duelbench") / "models"
    contents = {
        "envs": {name: ", ".join(d.presets) and f"presets: {', '.join(d.presets)}" for name, d in ENV_DEFAULTS.items()},
        "agents": {name: registry.summary_line(name) for name in registry.AGENTS},
        "agents that play arms": {name: registry.summary_line(name, arms=True) for name in registry.ARM_AGENTS},
        "oracles": dict(ORACLES),
        "models": {entry.name: "packaged" for entry in models.iterdir() if entry.is_dir()}
        | {name: f"fetched once from {source.package}" for name, source in FETCHED.items()},
    }
    printer = Console()
    for title, rows in contents.items():
        if command.what in ("all", title):
            table = Table("name", "what", title=title, title_justify="left", box=None)
            for name, what in rows.items():
                table.add_row(name, what)
            printer.print(table)
    return 0
