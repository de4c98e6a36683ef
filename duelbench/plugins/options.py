"""Hyper-parameters: dataclasses, set field by field from names and plain values, and plugins that have their own."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, get_args, get_origin, get_type_hints

from duelbench.plugins.loader import did_you_mean, find, name_of
from duelbench.ranges import check_values


@dataclass(frozen=True)
class Choice:
    """A plugin and its options: a field of a config that names a posterior, a rule, an encoder ...

    Setting the field names the plugin, and dotted names reach the plugin's own options, whatever they are:
    ``--set sea.posterior=laplace --set sea.posterior.prior_std=2``. The options of a class are the fields of the
    dataclass in its attribute ``Config``; those of a function are its keyword-only arguments with a default.

    Attributes:
        kind: what is chosen, for messages and the group of entry points: ``posterior``, ``rule`` ...
        known: by name what the library has itself: objects, or targets that are loaded only when they are chosen.
        name: a name of ``known``, an entry point, ``package.module:Name`` or ``path/to/file.py:Name``.
        config: options of a class: an instance of its ``Config``, None if it has none.
        options: options of a function, by name.
    """

    kind: str
    known: Mapping[str, Any] = field(repr=False, compare=False)
    name: str
    config: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, kind: str, known: Mapping[str, Any], plugin: Any, /, **options: Any) -> Choice:
        """Choose a plugin, by name or as the object itself.

        Raises:
            PluginError: nothing of this name.
            ValueError: an option that does not exist or has a wrong value.
        """
        name = name_of(plugin)
        found = find(name, known, kind=kind)
        config = found.Config() if isinstance(found, type) and hasattr(found, "Config") else None
        own = {} if isinstance(found, type) else {n: p.default for n, p in _keywords(found).items()}
        return cls(kind, known, name, config, own).having(options)

    @property
    def plugin(self) -> Any:
        """The class or function that was chosen."""
        return find(self.name, self.known, kind=self.kind)

    def having(self, options: Mapping[str, Any]) -> Choice:
        """The same plugin with some of its options changed."""
        if self.config is not None:
            return dataclasses.replace(self, config=with_options(self.config, options))
        if unknown := [name for name in options if name not in self.options]:
            raise ValueError(
                f"{self.kind} {self.name!r} has no option {unknown[0]!r}: expected one of {list(self.options)}"
                + did_you_mean(unknown[0], self.options)
            )
        hints = get_type_hints(self.plugin) if options else {}
        changes = {name: _like(self.options[name], value, name, hints.get(name)) for name, value in options.items()}
        check_values(self.plugin, changes)
        return dataclasses.replace(self, options={**self.options, **changes})

    def make(self, *arguments: Any) -> Any:
        """An object of the chosen class, of these arguments and its config; a function with its options filled in."""
        plugin = self.plugin
        if not isinstance(plugin, type):
            return partial(plugin, *arguments, **self.options)
        return plugin(*arguments) if self.config is None else plugin(*arguments, self.config)


def with_options(config: Any, options: Mapping[str, Any]) -> Any:
    """A copy of a config with some fields changed; ``{"posterior.samples": 10}`` reaches into a nested config."""
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
            changes[head] = _like(getattr(config, head), value, key, hints[head])
    for head, inner in nested.items():
        outer = changes.get(head, getattr(config, head))
        if isinstance(outer, Choice):
            changes[head] = outer.having(inner)
        elif dataclasses.is_dataclass(outer):
            changes[head] = with_options(outer, inner)
        else:
            raise ValueError(f"option {head!r} of {type(config).__name__} has no options of its own, got {[*inner]}")
    return dataclasses.replace(config, **changes)


def _like(current: Any, value: Any, key: str, hint: Any) -> Any:
    """The value in the type of the field's default; an int may stand for a float, anything for None."""
    if isinstance(current, Choice) and not isinstance(value, Choice):
        return Choice.of(current.kind, current.known, value)
    if get_origin(hint) is Literal and value not in get_args(hint):
        raise ValueError(f"option {key!r} expects one of {list(get_args(hint))}, got {value!r}")
    if current is None:
        return value
    if isinstance(current, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(current):
        raise ValueError(f"option {key!r} expects {type(current).__name__}, got {value!r}")
    return value


def _keywords(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword-only arguments of a function that have a default."""
    taken = inspect.signature(function).parameters.items()
    return {name: p for name, p in taken if p.kind is p.KEYWORD_ONLY and p.default is not p.empty}


def resolved_config(config: Any) -> dict[str, Any]:
    """Every field of a config with its value, defaults included, as plain data for JSON; nothing of None.

    Tuples become lists; a class or a function is named by ``module:name``; a chosen plugin is its name and options.
    """
    if config is None:
        return {}
    return {item.name: _plain(getattr(config, item.name)) for item in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if isinstance(value, Choice):
        return {"name": value.name} | resolved_config(value.config) | _plain(value.options)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return resolved_config(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if callable(value):
        return f"{value.__module__}:{value.__qualname__}"
    return value
