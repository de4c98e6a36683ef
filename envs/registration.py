"""Environments by name: those of the package, of other packages, and of a user's own files."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from duelbench import plugins
from duelbench.envs.duel.env import DuelEnv, DuelVectorEnv
from duelbench.envs.duel.family import environments
from duelbench.envs.duel.problem import Problem
from duelbench.plugins import PluginError, did_you_mean

_Class = TypeVar("_Class", DuelEnv, DuelVectorEnv)

_UNNAMED = "problem"
"""Namespace of the ids of problems that were never registered under one."""
_registered: dict[tuple[str, str], EnvSpec] = {}
"""What ``register`` was told, by module and id: two files may use one id, and each keeps its own."""


def register(env_id: str, problem: type[Problem] | Callable[..., Problem], **kwargs: Any) -> None:
    """Make a family of duels known to Gymnasium, single and vector, and to the commands, sweeps and reports.

    Registering an id again replaces it.

    Args:
        env_id: ``Mine-v0``, or ``namespace/Mine-v0``.
        problem: a ``Problem`` class, or a function that makes one.
        kwargs: arguments that this id presets.

    >>> import gymnasium as gym
    >>> from duelbench.envs.arms.matrix import MatrixDuel
    >>> register("ThreeArms-v0", MatrixDuel, matrix=[1.0, 0.5, 0.0])
    >>> gym.make("ThreeArms-v0").action_space
    MultiDiscrete([3 3])
    """
    places: list[Any] = list(environments(problem))
    module = problem.__module__
    if module in sys.modules and "<locals>" not in problem.__qualname__:
        for k, made in enumerate(places):
            if getattr(getattr(sys.modules[module], made.__name__, None), "make_problem", None) is not problem:
                setattr(sys.modules[module], made.__name__, made)  # where pickle and Gymnasium's entry points look
            places[k] = f"{module}:{made.__name__}"
    gym.registry.pop(env_id, None)
    gym.register(
        env_id, entry_point=places[0], vector_entry_point=places[1], disable_env_checker=True, kwargs=dict(kwargs)
    )
    _registered[module, env_id] = gym.registry[env_id]


def resolve_env(name: str) -> str:
    """The Gymnasium id that a name stands for, after loading what registers it.

    Args:
        name: a registered id (``LLMDuel-v0``); ``package.module:Mine-v0``, whose import registers the id;
            ``path/to/file.py:Mine-v0``, likewise; ``package.module:Mine`` or ``path/to/file.py:Mine``, a ``Problem``
            class or a function that makes one; or an entry point of the group ``duelbench.envs`` with such a target.

    Raises:
        PluginError: nothing of that name, or it is no duel environment.
    """
    if name not in gym.registry:
        place, colon, env_id = name.rpartition(":")
        announced = plugins.announcements("env")
        if name in announced:
            register(name, plugins.load(announced[name], kind="env"))
        elif (mine := plugins.offered(name)) is not None:
            name = _of_problem(mine, name)
        elif colon:
            name = _load(place, env_id)
        else:
            known = [*duel_ids(), *announced]
            raise PluginError(
                f"unknown environment {name!r}: expected one of {', '.join(sorted(known))}, package.module:Name-v0 or "
                f"path/to/file.py:Name-v0{did_you_mean(name, known)}"
            )
    env_classes(name)
    return name


def _load(place: str, env_id: str) -> str:
    """Import what registers an id; return the id."""
    module = plugins.load_module(place, kind="env").__name__
    if (module, env_id) in _registered:
        gym.registry[env_id] = _registered[module, env_id]
    if env_id not in gym.registry and hasattr(sys.modules[module], env_id):
        return _of_problem(getattr(sys.modules[module], env_id), f"{place}:{env_id}")
    if env_id not in gym.registry:
        own = [known for home, known in _registered if home == module]
        raise PluginError(
            f"env {place}:{env_id}: {place} registers no {env_id!r}, but {', '.join(own) or 'nothing'}: call "
            f"duelbench.envs.register({env_id!r}, MyProblem) in it, or name a Problem class of it"
            f"{did_you_mean(env_id, own)}"
        )
    return env_id


def _of_problem(problem: Any, name: str) -> str:
    """The id of a ``Problem`` class, or of a function that makes one, which is registered under a name of its own.

    Raises:
        PluginError: it is neither.
    """
    if not (inspect.isfunction(problem) or (inspect.isclass(problem) and issubclass(problem, Problem))):
        raise PluginError(
            f"env {name}: expected a duelbench.envs.duel.problem.Problem class or a function that makes a Problem, got "
            f"{problem!r}"
        )
    env_id = f"{_UNNAMED}/{problem.__name__.strip('<>')}-v0"
    register(env_id, problem)
    return env_id


def duel_ids() -> list[str]:
    """Ids of the duel environments that are registered now, those of this package first."""
    ours = [key for key, spec in gym.registry.items() if str(spec.entry_point).startswith("duelbench.envs.")]
    return ours + [env_id for _, env_id in _registered if env_id not in ours]


def env_classes(env_id: str) -> tuple[type[DuelEnv], type[DuelVectorEnv]]:
    """The single and the vector class of a registered id.

    Raises:
        PluginError: it is no duel environment; the message says what is missing.
    """
    spec = gym.spec(env_id)
    return (
        _checked(env_id, "entry point", spec.entry_point, DuelEnv),
        _checked(env_id, "vector entry point", spec.vector_entry_point, DuelVectorEnv),
    )


def _checked(env_id: str, what: str, place: Any, base: type[_Class]) -> type[_Class]:
    made = plugins.load(place, kind="env") if isinstance(place, str) else place
    if isinstance(made, type) and issubclass(made, base):
        return made
    raise PluginError(
        f"{env_id} is no duel environment: its {what} must be a {base.__name__}, got {place!r}. Write its duels as a "
        "duelbench.envs.duel.problem.Problem and register that with duelbench.envs.register"
    )
