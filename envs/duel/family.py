"""From a problem to the two Gymnasium classes of its family, so that arguments and defaults are written once."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from duelbench.envs.duel.env import DuelEnv, DuelVectorEnv
from duelbench.envs.duel.feedback.conditions import Conditions
from duelbench.envs.duel.problem import Problem
from duelbench.plugins import did_you_mean

_KINDS = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL


def environments(problem: Callable[..., Problem], name: str = "") -> tuple[type[DuelEnv], type[DuelVectorEnv]]:
    """The single and the vector Gymnasium class of a family.

    Both take the arguments of ``problem`` and the conditions that all families share (``Conditions`` of
    ``duelbench.envs.duel.feedback.conditions``); the single one takes ``render_mode``, the vector one ``num_envs``.
    ``inspect.signature`` shows them all.

    Args:
        problem: a ``Problem`` class, or a function that makes one.
        name: name of the family; the classes are called ``<name>Env`` and ``<name>VectorEnv``. They can be pickled if
            the module of ``problem`` has them under these names.

    >>> from duelbench.envs.arms.kernel import KernelDuel
    >>> single, vector = environments(KernelDuel)
    >>> single(grid=[4, 5], flip=0.1).action_space
    MultiDiscrete([20 20])
    """
    name = name or problem.__name__
    own = own_parameters(problem)
    shared = list(inspect.signature(Conditions).parameters.values())
    render_mode = inspect.Parameter(
        "render_mode", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="str | None"
    )
    num_envs = inspect.Parameter("num_envs", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=1, annotation="int")
    if clash := {p.name for p in own} & {p.name for p in (*shared, render_mode, num_envs)}:
        raise TypeError(f"{name}: every environment takes {', '.join(sorted(clash))} already: rename the problem's own")
    asked = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    single_signature = inspect.Signature([*asked, *shared, render_mode])
    vector_signature = inspect.Signature([num_envs, *asked, *shared])
    names = {parameter.name for parameter in own}

    class Single(DuelEnv):
        make_problem = staticmethod(problem)

        def __init__(self, *, render_mode: str | None = None, **arguments: Any) -> None:
            _check(f"{name}Env", arguments, single_signature)
            given = {key: value for key, value in arguments.items() if key in names}
            conditions = {key: value for key, value in arguments.items() if key not in names}
            super().__init__(problem(**given), render_mode=render_mode, **conditions)

    class Vector(DuelVectorEnv):
        make_problem = staticmethod(problem)

        def __init__(self, num_envs: int = 1, **arguments: Any) -> None:
            _check(f"{name}VectorEnv", arguments, vector_signature)
            given = {key: value for key, value in arguments.items() if key in names}
            conditions = {key: value for key, value in arguments.items() if key not in names}
            super().__init__(problem(**given), num_envs, **conditions)

    text = _description(problem)
    _dress(Single, f"{name}Env", problem, single_signature, text, _CONDITIONS)
    _dress(Vector, f"{name}VectorEnv", problem, vector_signature, f"B duels per step. {text}", _CONDITIONS)
    return Single, Vector


def own_parameters(problem: Callable[..., Problem]) -> list[inspect.Parameter]:
    """Arguments of a problem, those that it hands on to its bases as ``**kwargs`` included.

    Raises:
        TypeError: it takes positional arguments without names.
    """
    found: dict[str, inspect.Parameter] = {}
    for maker in _makers(problem):
        parameters = list(inspect.signature(maker).parameters.values())
        parameters = [p for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD and p.name != "self"]
        if any(parameter.kind in _KINDS for parameter in parameters):
            raise TypeError(f"{problem.__name__}: arguments of a problem need names, so no *args")
        found = {parameter.name: parameter for parameter in parameters} | found
    return sorted(found.values(), key=lambda parameter: parameter.default is not inspect.Parameter.empty)


def _makers(problem: Callable[..., Problem]) -> list[Any]:
    """What takes the arguments: a function, or the initialisers that a class goes through, its own first."""
    if not inspect.isclass(problem):
        return [problem]
    found = []
    for cls in problem.__mro__[:-1]:
        if (maker := vars(cls).get("__init__")) is not None:
            found.append(maker)
            kinds = {parameter.kind for parameter in inspect.signature(maker).parameters.values()}
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                break
    return found


def _description(problem: Callable[..., Problem]) -> str:
    """The docstring of a problem, and those of the bases that take some of its arguments."""
    bases = problem.__mro__[1:] if inspect.isclass(problem) else ()
    makers = _makers(problem)
    texts = [problem.__doc__, *(cls.__doc__ for cls in bases if vars(cls).get("__init__") in makers[1:])]
    return "\n\n".join(inspect.cleandoc(text or "") for text in texts)


def _check(name: str, arguments: dict[str, Any], signature: inspect.Signature) -> None:
    """Reject an unknown argument, a missing one, or a number that is not finite."""
    for key, value in arguments.items():
        if key not in signature.parameters:
            raise TypeError(
                f"{name} got an unexpected keyword argument {key!r}{did_you_mean(key, signature.parameters)}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{name}: {key} must be a finite number, got {value}")
    for key, parameter in signature.parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in arguments:
            raise TypeError(f"{name} needs the argument {key!r}")


def _dress(
    made: type, name: str, problem: Callable[..., Problem], signature: inspect.Signature, text: str, more: str
) -> None:
    made.__name__ = made.__qualname__ = name
    made.__module__ = problem.__module__
    made.__doc__ = f"{text}\n\n{more}"
    made.__signature__ = signature  # type: ignore[attr-defined]


_CONDITIONS = (
    "Conditions, as for all families:\n" + inspect.cleandoc(Conditions.__doc__ or "").partition("Attributes:\n")[2]
)
