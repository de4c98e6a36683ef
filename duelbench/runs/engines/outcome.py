"""How one run ends, wherever it is played."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from duelbench.errors import explain
from duelbench.records.spec import RunSpec

MOST_DEATHS = 3
"""A run that has taken so many workers with it is given up."""

Tell = Callable[[str, int], None]
"""Told the name of a run's folder and the labels that it has used so far."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its folder, or what stopped it."""

    spec: RunSpec
    folder: Path | None
    error: str | None = None


def play_one(spec: RunSpec, out: Path, command: str, tell: Tell) -> Outcome:
    """Play a run or go on with it; whatever stops it becomes its outcome."""
    try:
        if spec.lockstep:
            from duelbench.runs.arms_loop import run_lockstep as run
        else:
            from duelbench.runs.policy_loop import run
        folder = run(spec, out, command=command, progress=lambda labels: tell(spec.folder_name, labels))
    except Exception as error:
        return Outcome(spec, None, explain(error))
    return Outcome(spec, folder)
