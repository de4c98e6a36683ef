"""From what a run was asked to be to what decides its outcome: every default filled in, every file by its content.

Where a file lies, the working directory, the locale, the time of day decide nothing; what is in a file, a changed
default and what the machine computes with do.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym

from duelbench import plugins
from duelbench.agents import registry
from duelbench.assets.model_source import FETCHED, resolve_model
from duelbench.envs.duel.problem import AsksOracle, HasContent, Problem
from duelbench.envs.registration import env_classes, resolve_env
from duelbench.plugins import resolved_config
from duelbench.ranges import check_values
from duelbench.records.content import digest_text, object_digest
from duelbench.records.spec import RUN_SETS, RunSpec
from duelbench.runs.configuration.checks import check_judging_of_arms
from duelbench.runs.configuration.named_content import encoder_content, identified, model_content


class ChangedError(RuntimeError):
    """A run was planned with one configuration or content, and would be played with another."""


def resolve(spec: RunSpec) -> RunSpec:
    """The specification with its whole configuration and the content of all files that it was given.

    Raises:
        ChangedError: it was resolved before, to something else.
        ValueError: an option or a file that does not exist.
    """
    if spec.lockstep:
        check_judging_of_arms(spec)
    made = _made(spec)
    agent, config = _agent(spec)
    resolved: dict[str, Any] = {"agent": config, "env": _env(spec)}
    content = {"agent": object_digest(agent), "env": _code_of_env(spec, made.problem)}
    if isinstance(made.problem, HasContent):
        content |= made.problem.content()
    if isinstance(made.problem, AsksOracle):
        content["oracle"] = _code_of(made.problem.oracle)
    if not spec.lockstep:
        resolved |= {"learner": _learner(spec.learner), "policy": _policy(spec, made.space)}
        if model := spec.policy.get("model", "tiny" if "features" not in made.space else None):
            content["model"] = model_content(str(model))
        if encoder := _policy_encoder(spec, made.space):
            content["encoder"] = encoder_content(encoder)
    resolved["judging"] = {"oracle": spec.judging.oracle, "oracle_kwargs": spec.judging.oracle_kwargs}
    if spec.judging.second is not None:
        second = {"oracle": spec.judging.second, "oracle_kwargs": spec.judging.second_kwargs}
        resolved["judging"] |= {"second": second}
    plain = json.loads(json.dumps(identified(resolved), default=str))
    result = dataclasses.replace(spec, resolved=plain, content=content)
    if spec.resolved and result.run_id != spec.run_id:
        raise ChangedError(f"{_changes(spec, result)} changed since the run was planned: give the command again")
    return result


def _code_of_env(spec: RunSpec, problem: Problem) -> str:
    """Hash of the code of a problem, and of the function that made it if one did."""
    single, _ = env_classes(resolve_env(spec.env))
    if isinstance(single.make_problem, type):
        return object_digest(type(problem))
    return digest_text(f"{object_digest(type(problem))} {object_digest(single.make_problem)}")


def _code_of(oracle: Any) -> str:
    """Hash of the code of an oracle's class, and of the oracle or the function that it wraps."""
    found = []
    while oracle is not None:
        code = inspect.isclass(oracle) or inspect.isroutine(oracle)
        found.append(object_digest(oracle if code else type(oracle)))
        oracle = getattr(oracle, "__wrapped__", None)
    return found[0] if len(found) == 1 else digest_text(" ".join(found))


def _changes(before: RunSpec, after: RunSpec) -> str:
    names = [name for name, value in after.content.items() if before.content.get(name) != value]
    parts = [name for name, value in after.resolved.items() if before.resolved.get(name) != value]
    return ", ".join([*(f"the {name}'s content" for name in names), *(f"the configuration of {n}" for n in parts)])


@dataclasses.dataclass(frozen=True)
class _Made:
    problem: Any
    space: tuple[str, ...]  # names in the observation space


def problem_of(spec: RunSpec) -> Problem:
    """What a run plays, made once as long as its arguments and their files stay what they are; not to be played."""
    problem: Problem = _made(spec).problem
    return problem


def _made(spec: RunSpec) -> _Made:
    content = repr(identified([spec.env, spec.env_kwargs]))
    return _problem(spec.env, json.dumps(spec.env_kwargs, sort_keys=True), content)


@functools.lru_cache(maxsize=16)
def _problem(env: str, kwargs: str, content: str) -> _Made:
    """What an environment plays; files and code that it and its arguments name may change, so ``content`` is theirs."""
    made: Any = gym.make_vec(resolve_env(env), num_envs=1, **json.loads(kwargs)).unwrapped
    return _Made(made.problem, tuple(getattr(made.single_observation_space, "spaces", {})))


def _agent(spec: RunSpec) -> tuple[type, dict[str, Any]]:
    found = registry.find_agent(spec.agent, arms=bool(spec.lockstep))
    return found.cls, resolved_config(registry.make_config(found, spec.agent_options))


def _env(spec: RunSpec) -> dict[str, Any]:
    single, _ = env_classes(resolve_env(spec.env))
    own = {"identical": "ask"} if spec.lockstep else {}  # a bandit exploits by playing its best arm against itself
    preset = gym.spec(resolve_env(spec.env)).kwargs
    return _defaults(single, without=("render_mode", *RUN_SETS)) | preset | own | spec.env_kwargs


def _learner(options: Mapping[str, Any]) -> dict[str, Any]:
    from duelbench.learning.learner import LearnerConfig
    from duelbench.learning.pair_losses import LOSSES

    config = dataclasses.asdict(LearnerConfig(**options))
    own = _defaults(plugins.find(config["loss"], LOSSES, kind="loss"))
    return config | {name: value for name, value in own.items() if config.get(name) is None}


def _policy(spec: RunSpec, space: tuple[str, ...]) -> dict[str, Any]:
    if "features" in space:
        from duelbench.policies.pool import PoolPolicy

        check_values(PoolPolicy, spec.policy)
        return _defaults(PoolPolicy) | spec.policy
    from duelbench.policies.causal_lm import CausalLMPolicy, check_options
    from duelbench.policies.loading import computes_with

    options = _defaults(CausalLMPolicy) | spec.policy
    check_options(options)
    model = options.pop("model", "tiny")
    folder = None if model in FETCHED else resolve_model(str(model))
    return options | computes_with(folder, dtype=options["dtype"], device=options["device"])


def _policy_encoder(spec: RunSpec, space: tuple[str, ...]) -> str | None:
    """The encoder by whose features a language model's responses are seen, if it is not the model itself."""
    name = None if "features" in space else spec.policy.get("features")
    return None if name in (None, "lm", "none") else str(name)


def _defaults(place: Callable[..., Any], without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Arguments that have a default, with it."""
    taken = inspect.signature(place).parameters.items()
    return {name: p.default for name, p in taken if p.default is not p.empty and name not in without}
