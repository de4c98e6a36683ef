"""Agents by name, by installed entry point, or by the path of a user's file."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from duelbench.agents.alignment.sea_rules import SELECTION_AGENTS
from duelbench.plugins import did_you_mean

AGENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "uniform": ("duelbench.agents.alignment.uniform:Uniform", {}),
    "offline": ("duelbench.agents.alignment.offline:Offline", {}),
    "online": ("duelbench.agents.alignment.online:Online", {}),
    "apl": ("duelbench.agents.alignment.apl:APL", {}),
    "xpo": ("duelbench.agents.alignment.xpo:XPO", {}),
    "selm": ("duelbench.agents.alignment.selm:SELM", {}),
    "vpo": ("duelbench.agents.alignment.vpo:VPO", {}),
    "vpo-offline": ("duelbench.agents.alignment.vpo:VPO", {"mode": "offline", "alpha": 0.01}),
    "geb": ("duelbench.agents.alignment.geb:GEB", {}),
    "count_bonus": ("duelbench.agents.alignment.count_bonus:CountBonus", {}),
    "nash_md": ("duelbench.agents.alignment.nash_md:NashMD", {}),
    "mex": ("duelbench.agents.alignment.mex:MEX", {}),
    "isara": ("duelbench.agents.alignment.isara:ISARA", {}),
    "linvit": ("duelbench.agents.alignment.linvit:LINVIT", {}),
    "sea": ("duelbench.agents.alignment.sea:SEA", {"selection": "bai"}),
    "sea-ee": ("duelbench.agents.alignment.sea:SEA", {"selection": "ee"}),
    **{name: ("duelbench.agents.alignment.sea:SEA", options) for name, (_, options) in SELECTION_AGENTS.items()},
}
"""Name -> (class, options that make the name), of the agents that align a policy."""

ARM_AGENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "uniform": ("duelbench.agents.arms.baselines:UniformArms", {}),
    "greedy": ("duelbench.agents.arms.baselines:GreedyArms", {}),
    "oracle": ("duelbench.agents.arms.baselines:OracleArms", {}),
    "rucb": ("duelbench.agents.arms.matrix.rucb:RUCB", {}),
    "rcs": ("duelbench.agents.arms.matrix.rcs:RCS", {}),
    "double_ts": ("duelbench.agents.arms.matrix.double_ts:DoubleTS", {}),
    "double_ts_plus": ("duelbench.agents.arms.matrix.double_ts:DoubleTSPlus", {}),
    "rmed1": ("duelbench.agents.arms.matrix.rmed:RMED1", {}),
    "rmed2": ("duelbench.agents.arms.matrix.rmed:RMED2", {}),
    "rmed2fh": ("duelbench.agents.arms.matrix.rmed:RMED2FH", {}),
    "sparring_ucb": ("duelbench.agents.arms.matrix.sparring:SparringUCB", {}),
    "sparring_ts": ("duelbench.agents.arms.matrix.sparring:SparringTS", {}),
    "self_sparring": ("duelbench.agents.arms.matrix.self_sparring:SelfSparring", {}),
    "multisbm": ("duelbench.agents.arms.matrix.multisbm:MultiSBM", {}),
    "doubler": ("duelbench.agents.arms.matrix.doubler:Doubler", {}),
    "interleaved_filter": ("duelbench.agents.arms.matrix.interleaved_filter:InterleavedFilter", {}),
    "beat_the_mean": ("duelbench.agents.arms.matrix.beat_the_mean:BeatTheMean", {}),
    "savage": ("duelbench.agents.arms.matrix.savage:SAVAGE", {}),
    "wsw": ("duelbench.agents.arms.matrix.winner_stays:WSW", {}),
    "wss": ("duelbench.agents.arms.matrix.winner_stays:WSS", {}),
    "ccb": ("duelbench.agents.arms.matrix.ccb:CCB", {}),
    "merge_rucb": ("duelbench.agents.arms.matrix.merge:MergeRUCB", {}),
    "merge_dts": ("duelbench.agents.arms.matrix.merge:MergeDTS", {}),
    "rex3": ("duelbench.agents.arms.matrix.rex3:REX3", {}),
    "versatile_db": ("duelbench.agents.arms.matrix.versatile_db:VersatileDB", {}),
    "stella": ("duelbench.agents.arms.matrix.stella:Stella", {}),
    "balanced_orders": ("duelbench.agents.arms.matrix.stella:Stella", {"calibrate": False, "probes": 0}),
    "swap_orders": ("duelbench.agents.arms.matrix.swap_orders:SwapOrders", {}),
    "lola_ucb": ("duelbench.agents.arms.lola:LolaUCB", {}),
    "lola_ts": ("duelbench.agents.arms.lola:LolaTS", {}),
    "lola_bai": ("duelbench.agents.arms.lola:LolaBAI", {}),
    "in_context": ("duelbench.agents.arms.in_context:InContext", {}),
    "max_inp": ("duelbench.agents.arms.contextual.max_inp:MaxInP", {}),
    "max_pair_ucb": ("duelbench.agents.arms.contextual.max_pair_ucb:MaxPairUCB", {}),
    "colstim": ("duelbench.agents.arms.contextual.colstim:CoLSTIM", {}),
    "stad": ("duelbench.agents.arms.contextual.stad:StaD", {}),
    "vacdb": ("duelbench.agents.arms.contextual.vacdb:VACDB", {}),
    "rcdb": ("duelbench.agents.arms.contextual.rcdb:RCDB", {}),
    "fgts_cdb": ("duelbench.agents.arms.contextual.langevin_ts:FGTSCDB", {}),
    "laplace_ts": ("duelbench.agents.arms.contextual.laplace_ts:LaplaceTS", {}),
    "langevin_ts": ("duelbench.agents.arms.contextual.langevin_ts:LangevinTS", {}),
    "maxminlcb": ("duelbench.agents.arms.contextual.maxminlcb:MaxMinLCB", {}),
    "neural_ts": ("duelbench.agents.arms.contextual.neural_ts:NeuralTS", {}),
}
"""The same for the agents of the numeric families, which play many seeds in lock-step."""


class UnknownAgentError(ValueError):
    """No agent goes by this name."""


def find_agent(name: str, *, arms: bool = False) -> tuple[type, dict[str, Any]]:
    """The class and the preset options of an agent.

    Args:
        name: a registered name, an entry point of the group ``duelbench.agents``, ``package.module:Class``, or
            ``path/to/file.py:Class``.
        arms: whether it is to play arms: a name of ``ARM_AGENTS`` then goes first.

    Raises:
        UnknownAgentError: with the nearest known name.
    """
    known = (ARM_AGENTS | {k: v for k, v in AGENTS.items() if k not in ARM_AGENTS}) if arms else AGENTS
    if name in known:
        target, options = known[name]
        return _resolve(target), dict(options)
    plugins = {entry.name: entry.value for entry in entry_points(group="duelbench.agents")}
    if name in plugins:
        return _resolve(plugins[name]), {}
    if ":" in name:
        return _resolve(name), {}
    names = [*known, *plugins]
    if not arms and name in ARM_AGENTS:
        raise UnknownAgentError(f"agent {name!r} plays arms, not language models: take MatrixDuel-v0 or another")
    raise UnknownAgentError(
        f"unknown agent {name!r}: expected one of {names}, package.module:Class or path/to/file.py:Class"
        + did_you_mean(name, names)
    )


def make_agent(name: str, setup: Any, options: Mapping[str, Any] | None = None, *, arms: bool = False) -> Any:
    """Build an agent from its name and its options (fields of its ``Config``, dotted for nested ones)."""
    cls, preset = find_agent(name, arms=arms)
    config = make_config(name, cls, preset | dict(options or {}))
    return cls(setup) if config is None else cls(setup, config)


def make_config(name: str, cls: Any, options: Mapping[str, Any]) -> Any:
    """The agent's ``Config`` with some fields set; None for a class that has none.

    Raises:
        ValueError: naming an option that does not exist or has a wrong value.
    """
    if hasattr(cls, "Config"):
        return with_options(cls.Config(), options)
    if options:
        raise ValueError(f"agent {name!r} has no Config, so it takes no options; got {sorted(options)}")
    return None


def with_options(config: Any, options: Mapping[str, Any]) -> Any:
    """A copy of a config with some fields changed; ``{"ensemble.members": 10}`` reaches into a nested config."""
    changes: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    names = [f.name for f in dataclasses.fields(config)]
    hints = get_type_hints(type(config))
    for key, value in options.items():
        head, _, rest = key.partition(".")
        if head not in names:
            raise ValueError(
                f"{type(config).__name__} has no option {head!r}: expected one of {names}" + did_you_mean(head, names)
            )
        if rest:
            nested.setdefault(head, {})[rest] = value
        else:
            changes[head] = _like(getattr(config, head), value, key)
            if get_origin(hints[head]) is Literal and value not in get_args(hints[head]):
                raise ValueError(f"option {key!r} expects one of {list(get_args(hints[head]))}, got {value!r}")
    for head, inner in nested.items():
        if not dataclasses.is_dataclass(getattr(config, head)):
            raise ValueError(f"option {head!r} of {type(config).__name__} has no options of its own, got {[*inner]}")
        changes[head] = with_options(getattr(config, head), inner)
    return dataclasses.replace(config, **changes)


def _like(current: Any, value: Any, key: str) -> Any:
    """The value in the type of the field's default; an int may stand for a float, anything for None."""
    if current is None:
        return value
    if isinstance(current, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(current):
        raise ValueError(f"option {key!r} expects {type(current).__name__}, got {value!r}")
    return value


def summary_line(name: str, *, arms: bool = False) -> str:
    """First line of what an agent's module says of it; of a rule that goes by an agent's name, what that rule is."""
    if not arms and name in SELECTION_AGENTS:
        return SELECTION_AGENTS[name][0]
    cls, _ = find_agent(name, arms=arms)
    module = inspect.getmodule(cls)
    return (inspect.getdoc(module) or inspect.getdoc(cls) or "").split("\n")[0]


def _resolve(target: str) -> type:
    where, _, attribute = target.rpartition(":")
    try:
        module = _module_from_file(Path(where)) if where.endswith(".py") else importlib.import_module(where)
    except ModuleNotFoundError as error:
        raise UnknownAgentError(f"agent {target!r} cannot be imported: {error}") from error
    if not hasattr(module, attribute):
        raise UnknownAgentError(f"{where} has no class {attribute!r}")
    cls: type = getattr(module, attribute)
    missing = [method for method in ("propose", "update", "respond") if not callable(getattr(cls, method, None))]
    if missing:
        raise UnknownAgentError(f"{target} is no agent: it lacks {', '.join(missing)}")
    return cls


def _module_from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise UnknownAgentError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
