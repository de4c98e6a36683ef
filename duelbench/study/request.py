"""What a user asks for, an environment and who plays it, and the run specifications that follow."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from duelbench.envs.registration import env_classes, resolve_env
from duelbench.plugins import PluginError, did_you_mean
from duelbench.records.spec import RUN_SETS, Judging, RunSpec, option_value, seed_specs
from duelbench.runs.resolve import resolve
from duelbench.study.settings import RunSettings, settings_of, with_model

OTHERS = ("env", "policy", "learner")
"""What options can be set of, beside the agents."""


class UsageError(ValueError):
    """What is asked for does not exist or does not fit together."""


@dataclass(frozen=True)
class Request:
    """Agents × seeds on one environment. What is left open follows from ``duelbench.study.settings``.

    Attributes:
        env: environment id.
        agents: names as ``duelbench.agents.registry.find_agent`` takes them; none: the environment's usual ones.
        preset: a named setting of the environment.
        optimizer: direct optimizer of the policy, a name in ``duelbench.learning.pair_losses.LOSSES``.
        seeds: how many.
        first_seed: the first; the others follow.
        labels: budget of a run.
        batch: labels a round.
        model: language model.
        learning_rate: step size of the policy's optimizer.
        options: by agent, or of ``env``, ``policy``, ``learner``.
        threads: torch threads of a run.
    """

    env: str = "LLMDuel-v0"
    agents: tuple[str, ...] = ()
    preset: str | None = None
    optimizer: str = "dpo"
    seeds: int | None = None
    first_seed: int = 0
    labels: int | None = None
    batch: int | None = None
    model: str | None = None
    learning_rate: float | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    threads: int = 1

    def specs(self) -> list[RunSpec]:
        """The runs, ordered by seed.

        Raises:
            UsageError: for an unknown environment, preset, agent or option.
        """
        defaults = self._defaults()
        registry = importlib.import_module("duelbench.agents.registry")  # a layer above the core: looked up by name
        found = {name: registry.find_agent(name, arms=defaults.arms) for name in self._agents(defaults)}
        options = {name: dict(self.options.get(name, {})) for name in (*OTHERS, *found)}
        env_kwargs = defaults.env | self._preset(defaults) | options["env"]
        _check_env_options(self.env, options["env"])
        featureless = defaults.arms and not _features(self.env, json.dumps(env_kwargs))
        for name, agent in found.items():
            registry.make_config(agent, options[name])
            if featureless and _wants_features(agent.cls):
                raise UsageError(
                    f"agent {name!r} needs features, which this {self.env} has none of: take LinearDuel-v0, or "
                    "--set env.one_hot=true"
                )
        policy, learner = self._training(defaults, options)
        shared: dict[str, Any] = {
            "env": self.env,
            "labels": self._labels(defaults),
            "judging": Judging(every=defaults.evaluate_every, repeats=defaults.evaluation_repeats),
            "env_kwargs": env_kwargs,
            "threads": self.threads,
        }
        in_batches = {"batch": _given(self.batch, defaults.batch), "learner": learner, "policy": policy}
        specs = []
        for name, agent in found.items():
            own = {"agent": name, "agent_options": options[name]}
            specs += seed_specs(agent.cls, shared | own, self._seeds(defaults), in_batches)
        return sorted(map(resolve, specs), key=lambda spec: spec.seed)

    def _defaults(self) -> RunSettings:
        try:
            defaults = settings_of(self.env)
        except PluginError as error:
            raise UsageError(str(error)) from error
        if self.model is None:
            return defaults
        if "model" not in defaults.policy:
            raise UsageError(f"{self.env} runs no language model, so it takes no --model: LLMDuel-v0 does")
        return with_model(defaults, self.model)

    def _agents(self, defaults: RunSettings) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.agents or defaults.agents))

    def _preset(self, defaults: RunSettings) -> dict[str, Any]:
        if self.preset is None:
            return {}
        if self.preset not in defaults.presets:
            raise UsageError(f"{self.env} has no preset {self.preset!r}{_hint(self.preset, defaults.presets)}")
        return dict(defaults.presets[self.preset])

    def _training(
        self, defaults: RunSettings, options: dict[str, dict[str, Any]]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arguments of the policy and of the learner."""
        policy = defaults.policy | options["policy"]
        learner = defaults.learner | {"loss": self.optimizer} | defaults.losses.get(self.optimizer, {})
        if self.learning_rate is not None:
            learner["learning_rate"] = self.learning_rate
        _check_training_options(options, language_model="model" in policy)
        return policy, learner | options["learner"]

    def _labels(self, defaults: RunSettings) -> int:
        return _given(self.labels, defaults.preset_labels.get(self.preset or "", defaults.labels))

    def _seeds(self, defaults: RunSettings) -> range:
        n_seeds = _given(self.seeds, defaults.seeds)
        if n_seeds < 1:
            raise UsageError(f"seeds must be at least 1, got {n_seeds}")
        return range(self.first_seed, self.first_seed + n_seeds)


def read_settings(settings: Sequence[str], agents: Iterable[str]) -> dict[str, dict[str, Any]]:
    """``name.option=value`` settings by agent, or ``env``, ``policy``, ``learner``.

    Values are JSON where they parse as such. An agent given by path goes by the name of its class.
    """
    options: dict[str, dict[str, Any]] = {}
    names = (*OTHERS, *agents)
    for setting in settings:
        left, equals, value = setting.partition("=")
        name, dot, option = left.partition(".")
        if not equals or not dot:
            raise UsageError(f"--set expects NAME.OPTION=VALUE with NAME one of {_known(names)}, got {setting!r}")
        options.setdefault(meant(name, names), {})[option] = option_value(value)
    return options


def meant(name: str, names: Sequence[str]) -> str:
    """Which of the names is meant by one, which may be the class name alone of an agent given by path."""
    found = [full for full in dict.fromkeys(names) if full.rpartition(":")[2] == name]
    if not found:
        raise UsageError(f"no options can be set of {name!r}{_hint(name, _known(names))}")
    if len(found) > 1:
        raise UsageError(f"{name} may mean {' or '.join(found)}: give one of the classes another name")
    return found[0]


def _known(names: Sequence[str]) -> list[str]:
    return sorted({name.rpartition(":")[2] for name in names})


def _check_training_options(options: Mapping[str, Mapping[str, Any]], *, language_model: bool) -> None:
    """Name an option of the policy or the learner that does not exist."""
    place = "causal_lm:CausalLMPolicy" if language_model else "pool:PoolPolicy"
    for kind, target in (("policy", f"policies.{place}"), ("learner", "learning.learner:LearnerConfig")):
        if options[kind]:  # looked up only now: it takes torch
            module, _, cls = target.partition(":")
            found = getattr(importlib.import_module(f"duelbench.{module}"), cls)
            known = set(inspect.signature(found).parameters) - {"model", "feature_dim", "rng", "loss"}
            for name in options[kind].keys() - known:
                raise UsageError(f"the {kind} has no option {name!r}{_hint(name, known)}")


def _given(value: int | None, default: int) -> int:
    """The number that was asked for, zero included."""
    return default if value is None else value


def _check_env_options(env: str, options: Mapping[str, Any]) -> None:
    """Name an option that the environment does not take, or that is not the user's to set."""
    single, _ = env_classes(resolve_env(env))
    known = inspect.signature(single).parameters.keys() - {"render_mode", *RUN_SETS}
    for name in options:
        if name in RUN_SETS:
            raise UsageError(f"the run itself sets {name} of the environment")
        if name not in known:
            raise UsageError(f"{env} has no option {name!r}{_hint(name, known)}")


def _wants_features(agent: type) -> bool:
    return bool(getattr(agent, "needs_features", not getattr(agent, "lockstep", False)))


@functools.cache
def _features(env: str, kwargs: str) -> int:
    """Number of features of an arm; arguments as JSON. Makes the environment, so a bad problem is one clear error."""
    import gymnasium as gym

    made: Any = gym.make(resolve_env(env), **json.loads(kwargs)).unwrapped
    return int(made.problem.dim)


def _hint(name: str, known: Any) -> str:
    return f": expected one of {sorted(known)}{did_you_mean(name, known)}"
