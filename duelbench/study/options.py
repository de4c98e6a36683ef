"""Options by name, such as ``sea.candidates=8``: whom they belong to, and whether they exist."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from duelbench.envs.registration import env_classes, resolve_env
from duelbench.errors import UsageError
from duelbench.plugins import did_you_mean
from duelbench.records.spec import RUN_SETS, Judging, option_value

OTHERS = ("env", "policy", "learner")
"""What options can be set of, besides the agents."""


def read_settings(settings: Sequence[str]) -> dict[str, list[Any]]:
    """``name.option=value`` settings as axes of one value each, which is JSON where it parses as such.

    Raises:
        UsageError: a setting is not of that form.

    >>> read_settings(["sea.candidates=8", "env.oracle=reader-hard"])
    {'sea.candidates': [8], 'env.oracle': ['reader-hard']}
    """
    found = {}
    for setting in settings:
        axis, equals, value = setting.partition("=")
        if not equals or "." not in axis:
            raise UsageError(
                f"--set expects NAME.OPTION=VALUE with NAME an agent, env, policy or learner, got {setting!r}"
            )
        found[axis] = [option_value(value)]
    return found


def full_name(name: str, names: Sequence[str]) -> str:
    """The full name of an agent or group: an agent given by path may be named by its class alone."""
    found = [full for full in dict.fromkeys(names) if full.rpartition(":")[2] == name]
    if not found:
        raise UsageError(f"no options can be set of {name!r}{hint(name, {n.rpartition(':')[2] for n in names})}")
    if len(found) > 1:
        raise UsageError(f"{name} may mean {' or '.join(found)}: give one of the classes another name")
    return found[0]


def hint(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the expected names, and the most similar one."""
    known = sorted(known)
    return f": expected one of {known}{did_you_mean(name, known)}"


def check_training_options(policy: Collection[str], learner: Collection[str], *, language_model: bool) -> None:
    """Refuse options of the policy or the learner that do not exist."""
    if policy:  # looked up only now: it takes torch
        from duelbench.policies.causal_lm import CausalLMPolicy
        from duelbench.policies.pool import PoolPolicy

        made: Any = CausalLMPolicy if language_model else PoolPolicy
        _check(policy, set(inspect.signature(made).parameters) - {"model", "feature_dim", "rng"}, "the policy")
    if learner:
        from duelbench.learning.learner import LearnerConfig

        _check(learner, {field.name for field in dataclasses.fields(LearnerConfig)} - {"loss"}, "the learner")


def check_env_options(env: str, options: Collection[str]) -> None:
    """Refuse options that the environment does not take, or that a user may not set."""
    for name in set(options) & set(RUN_SETS):
        raise UsageError(f"the run itself sets {name} of the environment")
    single, _ = env_classes(resolve_env(env))
    _check(options, inspect.signature(single).parameters.keys() - {"render_mode", *RUN_SETS}, env)


def check_judging(options: Mapping[str, Any]) -> None:
    """Refuse fields of ``Judging`` that do not exist."""
    _check(options, {field.name for field in dataclasses.fields(Judging)}, "judging")


def _check(options: Collection[str], known: set[str], whose: str) -> None:
    for name in options:
        if name not in known:
            raise UsageError(f"{whose} has no option {name!r}{hint(name, known)}")


def check_features(env: str, kwargs: Mapping[str, Any], agent: str, cls: type) -> None:
    """Refuse agents that learn from features on arms without features."""
    wants = bool(getattr(cls, "needs_features", not getattr(cls, "lockstep", False)))
    if wants and not _features(env, json.dumps(kwargs, sort_keys=True)):
        raise UsageError(
            f"agent {agent!r} needs features, which this {env} has none of: take LinearDuel-v0, or --set "
            "env.one_hot=true"
        )


@functools.cache
def _features(env: str, kwargs: str) -> int:
    """Number of features of an arm; arguments as JSON. Makes the environment, so a bad problem is one clear error."""
    import gymnasium as gym

    made: Any = gym.make(resolve_env(env), **json.loads(kwargs)).unwrapped
    return int(getattr(made.problem, "dim", 0))
