"""``duelbench run``: agents × seeds on one environment, then the report."""

from __future__ import annotations

import importlib
import inspect
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console

from duelbench.agents import registry
from duelbench.defaults import ENV_DEFAULTS, EnvDefaults, with_model
from duelbench.model_source import resolve_model
from duelbench.spec import RUN_SETS, RunSpec, option_value, seed_specs
from duelbench.suggest import did_you_mean

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


def run_specs(command: RunCommand) -> list[RunSpec]:
    """The runs a command asks for: agents × seeds.

    Raises:
        UsageError: for an unknown environment, preset, agent or option.
    """
    defaults = _with_model(_defaults(command.env), command)
    env_kwargs = defaults.env | _preset(command, defaults)
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
    policy, learner = defaults.policy | options["policy"], defaults.learner | {"loss": command.optimizer}
    if command.learning_rate is not None:
        learner["learning_rate"] = command.learning_rate
    learner |= options["learner"]
    _check_training_options(options, language_model="model" in policy)
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


def _with_model(defaults: EnvDefaults, command: RunCommand) -> EnvDefaults:
    if command.model is None:
        return defaults
    if "model" not in defaults.policy:
        raise UsageError(f"{command.env} runs no language model, so it takes no --model: LLMDuel-v0 does")
    return with_model(defaults, command.model)


def _check_training_options(options: dict[str, dict[str, Any]], *, language_model: bool) -> None:
    """Name an option of the policy or the learner that does not exist."""
    place = "causal_lm:CausalLMPolicy" if language_model else "pool:PoolPolicy"
    for kind, target in (("policy", f"policies.{place}"), ("learner", "learner:LearnerConfig")):
        if options[kind]:  # looked up only now: it takes torch
            module, _, cls = target.partition(":")
            found = getattr(importlib.import_module(f"duelbench.{module}"), cls)
            known = set(inspect.signature(found).parameters) - {"model", "feature_dim", "rng", "loss"}
            for name in options[kind].keys() - known:
                raise UsageError(f"the {kind} has no option {name!r}{_hint(name, known)}")


def _preset(command: RunCommand, defaults: EnvDefaults) -> dict[str, Any]:
    if command.preset is None:
        return {}
    if command.preset not in defaults.presets:
        raise UsageError(f"{command.env} has no preset {command.preset!r}{_hint(command.preset, defaults.presets)}")
    return dict(defaults.presets[command.preset])


def _options(settings: tuple[str, ...], agents: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """``name.option=value`` settings by agent, or ``env``, ``policy``, ``learner``.

    Values are JSON where they parse as such. An agent given by path goes by the name of its class.
    """
    options: dict[str, dict[str, Any]] = {name: {} for name in ("env", "policy", "learner", *agents)}
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
    return f": expected one of {sorted(known)}{did_you_mean(name, known)}"
