"""Hyper-parameters of agents: dataclasses, set field by field from names and plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from duelbench.plugins import did_you_mean


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


def resolved_config(config: Any) -> dict[str, Any]:
    """Every field of a config with its value, defaults included, as plain data for JSON; nothing of None.

    Tuples become lists; a class or a function is named by ``module:name``.
    """
    if config is None:
        return {}
    return {item.name: _plain(getattr(config, item.name)) for item in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return resolved_config(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if callable(value):
        return f"{value.__module__}:{value.__qualname__}"
    return value
