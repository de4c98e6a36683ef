"""Sweeps by name or by file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from duelbench import plugins
from duelbench.errors import UsageError
from duelbench.study.sweep import Sweep

_NAMED = "duelbench.experiments.sweeps"


def load_sweep(where: str) -> tuple[str, Sweep]:
    """A sweep and its name, which is also that of its output folder.

    Args:
        where: a Python file that holds a ``sweep``, a name that ``sweep_names`` lists, an entry point of the group
            ``duelbench.sweeps``, ``package.module:name`` or ``path/to/file.py:name``.

    Raises:
        UsageError: there is no such file or name, or no sweep in it.
    """
    known = {name: f"{_NAMED}.{name}:sweep" for name in sweep_names()}
    if where.endswith(".py"):
        if not Path(where).is_file():
            raise UsageError(f"there is no file {where}: a sweep is a Python file that holds `sweep = Sweep(...)`")
        found, name = getattr(plugins.load_module(where, kind="sweep"), "sweep", None), Path(where).stem
    else:
        found, name = plugins.find(where, known, kind="sweep"), where.rpartition(":")[2]
    if not isinstance(found, Sweep):
        raise UsageError(f"{where} holds no sweep: it must define `sweep = Sweep(...)`, got {found!r}")
    return name, found


def sweep_names() -> list[str]:
    """Sweeps that come with the package."""
    spec = importlib.util.find_spec(_NAMED)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return sorted(path.stem for place in places for path in Path(place).glob("*.py") if path.stem != "__init__")
