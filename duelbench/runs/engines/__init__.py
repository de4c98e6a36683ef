"""Where runs are played: in this process, in several, or on a Ray cluster. The records are the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from duelbench import plugins
from duelbench.records.spec import RunSpec
from duelbench.runs.engines.outcome import Outcome, Tell


class Engine(Protocol):
    """Plays runs in any order and yields how each ended, as they end; a failed run stops no other."""

    def play(
        self, specs: Sequence[RunSpec], out: Path, *, workers: int | None, command: str, tell: Tell
    ) -> Iterator[Outcome]:
        """Play every run.

        Args:
            specs: distinct runs.
            out: output folder, on every machine that plays.
            workers: runs at once; None for what suits the engine.
            command: for the record.
            tell: called with a run's folder name and the labels that it has used so far.
        """
        ...


ENGINES = {
    "inline": "duelbench.runs.engines.inline:Inline",
    "process": "duelbench.runs.engines.process:Process",
    "ray": "duelbench.runs.engines.ray_tasks:RayTasks",
}
"""Name -> class."""


def make_engine(name: str, **options: Any) -> Engine:
    """The engine of a name, with options of its own.

    Raises:
        PluginError: there is none, or it needs a package that is not installed.
    """
    engine: Engine = plugins.find(name, ENGINES, kind="engine")(**options)
    return engine
