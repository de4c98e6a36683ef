"""``duelbench list``: everything known by name, in the package and announced by installed packages."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import tyro
from rich.markup import escape
from rich.table import Table

from duelbench.cli.printing import table_printer
from duelbench.plugins import announcements

_GROUPS = {
    "duelbench.agents.alignment.": "agents that align a policy",
    "duelbench.agents.arms.matrix.": "agents that play arms",
    "duelbench.agents.arms.contextual.": "agents that play arms with features",
    "duelbench.agents.": "baselines, and agents for one environment",
}
"""Folder -> heading of its agents, the first that fits."""


@dataclass
class ListCommand:
    """List what duelbench knows by name, including entry points of installed packages (group duelbench.KINDs)."""

    what: tyro.conf.Positional[
        Literal["all", "envs", "agents", "oracles", "posteriors", "rules", "tasks", "models", "sweeps"]
    ] = "all"
    """Which list."""


def show(command: ListCommand, line: str) -> int:
    """Print the lists; returns the exit status."""
    printer = table_printer(stderr=False)
    for title, rows in _lists(command.what).items():
        table = Table(title=title, title_justify="left", box=None)
        table.add_column("name", no_wrap=True, min_width=max(map(len, rows), default=0))
        table.add_column("what", no_wrap=True, overflow="ellipsis")
        for name, what in rows.items():
            table.add_row(escape(name), escape(what))
        printer.print(table)
    return 0


def _lists(what: str) -> dict[str, dict[str, str]]:
    """Names under headings, with one line about each."""
    makers = {
        "envs": lambda: {"envs": _environments()},
        "agents": _agents,
        "oracles": lambda: {"oracles": _oracles()},
        "posteriors": lambda: {"posteriors": _posteriors()},
        "rules": lambda: {"rules": _rules()},
        "tasks": lambda: {"tasks": _tasks()},
        "models": lambda: {"models": _models()},
        "sweeps": lambda: {"sweeps": _sweeps()},
    }
    chosen = makers if what == "all" else {what: makers[what]}
    return {title: rows for make in chosen.values() for title, rows in make().items()}


def _with_announced(kind: str, rows: Mapping[str, str]) -> dict[str, str]:
    """The rows, followed by what installed packages announce."""
    return dict(rows) | {name: f"from {target}" for name, target in sorted(announcements(kind).items())}


def _environments() -> dict[str, str]:
    from duelbench.study.settings import known_settings

    presets = {name: ", ".join(defaults.presets) for name, defaults in known_settings().items()}
    return _with_announced("env", {name: names and f"presets: {names}" for name, names in presets.items()})


def _agents() -> dict[str, dict[str, str]]:
    from duelbench.agents.registry import AGENTS

    groups: dict[str, dict[str, str]] = {title: {} for title in _GROUPS.values()}
    for table in AGENTS.values():
        for name, entry in table.items():
            folder = next(folder for folder in _GROUPS if entry.target.startswith(folder))
            groups[_GROUPS[folder]][name] = entry.summary
    found = {title: rows for title, rows in groups.items() if rows}
    announced = _with_announced("agent", {})
    return found | ({"agents of installed packages": announced} if announced else {})


def _oracles() -> dict[str, str]:
    from duelbench.oracles import ORACLES

    return _with_announced("oracle", ORACLES)


def _posteriors() -> dict[str, str]:
    from duelbench.posteriors.registry import POSTERIORS

    return _with_announced("posterior", {name: _summary(found) for name, found in POSTERIORS.items()})


def _rules() -> dict[str, str]:
    from duelbench.acquisition.registry import RULES

    return _with_announced("rule", {name: _summary(found) for name, found in RULES.items()})


def _tasks() -> dict[str, str]:
    from duelbench.envs.text.tasks.load import task_names
    from duelbench.envs.text.tasks.prompt_sets import PROMPT_SETS

    return _with_announced("task", dict.fromkeys(task_names(), "packaged") | PROMPT_SETS)


def _models() -> dict[str, str]:
    from duelbench.assets.model_source import FETCHED

    folder = resources.files("duelbench.assets") / "models"
    packaged = {entry.name: "packaged" for entry in folder.iterdir() if entry.is_dir()}
    return packaged | {name: f"fetched once from {source.package}" for name, source in FETCHED.items()}


def _sweeps() -> dict[str, str]:
    from duelbench.study.sweep_files import load_sweep, sweep_names

    return _with_announced("sweep", {name: load_sweep(name)[1].title for name in sweep_names()})


def _summary(found: Any) -> str:
    """The first line of the docstring of an object or of a target."""
    said = _docstring(found) if isinstance(found, str) else found.__doc__
    return (said or "").strip().partition("\n")[0]


def _docstring(target: str) -> str | None:
    """The docstring of a target, read from its source: importing it may load torch, which takes seconds."""
    place, _, name = target.partition(":")
    spec = find_spec(place)
    assert spec is not None and spec.origin is not None, target
    body = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
    named = (item for item in body if isinstance(item, ast.ClassDef | ast.FunctionDef) and item.name == name)
    return ast.get_docstring(next(named))
