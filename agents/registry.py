"""Agents of both worlds by name, by installed entry point, by target (``file.py:Class``), or as the class itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from duelbench.agents.alignment.table import POLICY_AGENTS
from duelbench.agents.arms.table import ARM_AGENTS
from duelbench.agents.entry import AgentEntry, Kind
from duelbench.plugins import PluginError, announcements, did_you_mean, load, with_options

AGENTS: dict[Kind, dict[str, AgentEntry]] = {"policy": POLICY_AGENTS, "arms": ARM_AGENTS}
"""The one table, by kind and name: a name such as ``uniform`` may stand for an agent of each kind."""


class UnknownAgentError(PluginError):
    """No agent goes by this name."""


@dataclass(frozen=True, slots=True)
class FoundAgent:
    """What an agent's name stands for.

    Attributes:
        cls: its class.
        kind: what it plays.
        target: where the class is, ``module:Class`` or ``file.py:Class``.
        name: as it was asked for; of a class given as such, the class's own.
        options: fields of its ``Config`` that make the name.
        reads_features: whether it may look at the features of responses; only known of agents of the table.
    """

    cls: type
    kind: Kind
    target: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    reads_features: bool = True


def find_agent(agent: str | type, *, arms: bool = False) -> FoundAgent:
    """What an agent's name stands for.

    Args:
        agent: a name of ``AGENTS``, an entry point of the group ``duelbench.agents``, ``package.module:Class``,
            ``path/to/file.py:Class``, or the class itself.
        arms: whether it is to play arms: the agents of that kind then go first.

    Raises:
        UnknownAgentError: with the nearest known name; or what was found is no agent.

    >>> find_agent("uniform").kind, find_agent("uniform", arms=True).kind
    ('policy', 'arms')
    """
    if isinstance(agent, type):
        return _found(agent, f"{agent.__module__}:{agent.__qualname__}", agent.__name__)
    known = POLICY_AGENTS | ARM_AGENTS if arms else POLICY_AGENTS
    if agent in known:
        entry = known[agent]
        return replace(_loaded(entry.target, agent, entry.options), reads_features=entry.reads_features)
    announced = announcements("agent")
    target = announced.get(agent, agent)
    if ":" in target:
        return _loaded(target, agent)
    if agent in ARM_AGENTS:
        raise UnknownAgentError(f"agent {agent!r} plays arms, not language models: take MatrixDuel-v0 or another")
    names = [*known, *announced]
    raise UnknownAgentError(
        f"unknown agent {agent!r}: expected one of {', '.join(names)}, package.module:Class or path/to/file.py:Class"
        + did_you_mean(agent, names)
    )


def make_agent(
    agent: str | type | FoundAgent, setup: Any, options: Mapping[str, Any] | None = None, *, arms: bool = False
) -> Any:
    """Build an agent with its options, which are fields of its ``Config``, dotted for nested ones."""
    found = agent if isinstance(agent, FoundAgent) else find_agent(agent, arms=arms)
    config = make_config(found, options or {})
    return found.cls(setup) if config is None else found.cls(setup, config)


def make_config(found: FoundAgent, options: Mapping[str, Any]) -> Any:
    """The agent's ``Config`` with the fields set that make its name, and then these; None for a class without one.

    Raises:
        ValueError: naming an option that does not exist or has a wrong value.
    """
    config: Any = getattr(found.cls, "Config", None)
    if config is not None:
        return with_options(config(), {**found.options, **options})
    if options:
        raise ValueError(f"agent {found.name!r} has no Config, so it takes no options; got {sorted(options)}")
    return None


def _loaded(target: str, name: str, options: Mapping[str, Any] | None = None) -> FoundAgent:
    try:
        cls = load(target, kind="agent")
    except PluginError as error:
        raise UnknownAgentError(str(error)) from error
    return _found(cls, target, name, options)


def _found(cls: Any, target: str, name: str, options: Mapping[str, Any] | None = None) -> FoundAgent:
    missing = [method for method in ("propose", "update", "respond") if not callable(getattr(cls, method, None))]
    if missing or not isinstance(cls, type):
        lacks = f"it lacks {', '.join(missing)}" if missing else "a class was expected"
        raise UnknownAgentError(f"{target} is no agent: {lacks}")
    return FoundAgent(cls, "arms" if getattr(cls, "lockstep", False) else "policy", target, name, options or {})
