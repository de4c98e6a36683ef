"""Versions of a run: the same in name and asked settings, played with other code, other data or other defaults.

Versions are never averaged, nor compared with each other: the newest one counts, and what it leaves out is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duelbench.records.record import Run
from duelbench.results.report.comparison.naming import canonical, leaves

_AGENT = "agent"  # what is the agent's own, in ``resolved`` and in ``content``; changes of the rest concern everyone
_ENVIRONMENT = "env"
_MOST_SHOWN = 6  # changes in a sentence


@dataclass(frozen=True)
class Older:
    """Runs of an older version, which enter no number and no picture.

    Attributes:
        agent: the name shown.
        runs: those that are left out.
        changed: what is different in the version that is shown.
    """

    agent: str
    runs: tuple[Run, ...]
    changed: str

    def __str__(self) -> str:
        """A sentence about them."""
        n = len(self.runs)
        return (
            f"There are two versions of {self.agent}; the newer is shown. {n:,} run{'s' * (n != 1)} of an older one "
            f"{'are' if n != 1 else 'is'} left out. What changed: {self.changed}."
        )


def newest(runs: Sequence[Run], names: Mapping[str, str]) -> tuple[list[Run], list[Older]]:
    """Of the runs of one task those of the newest version, and the others.

    What is played has to be of one version for all agents. Of each agent then its newest version counts, whole: seeds
    of two versions are not mixed either.

    Args:
        runs: finished or not.
        names: the name shown, by run id.
    """
    kept, older = _split(runs, _environment, names)
    for name in sorted({names[run.run_id] for run in kept}):
        _, left = _split([run for run in kept if names[run.run_id] == name], _own, names)
        gone = {run.run_id for same in left for run in same.runs}
        kept = [run for run in kept if run.run_id not in gone]
        older += left
    return kept, older


def _split(
    runs: Sequence[Run], version: Callable[[Run], dict[str, Any]], names: Mapping[str, str]
) -> tuple[list[Run], list[Older]]:
    """The runs that share the version of the one that was begun last, and the others by agent and version.

    A run that nobody has begun was planned with the present version, and is kept.
    """
    begun = [run for run in runs if not run.missing]
    versions: dict[str, list[Run]] = {}
    for run in begun:
        versions.setdefault(canonical(version(run)), []).append(run)
    if len(versions) < 2:
        return list(runs), []
    last = max(begun, key=lambda run: (str(run.manifest.get("created", "")), run.run_id))
    current = {run.run_id for run in versions.pop(canonical(version(last)))}
    older = []
    for same in versions.values():
        changed = _changes(version(same[0]), version(last))
        for name in sorted({names[run.run_id] for run in same}):
            older.append(Older(name, tuple(run for run in same if names[run.run_id] == name), changed))
    return [run for run in runs if run.missing or run.run_id in current], older


def _environment(run: Run) -> dict[str, Any]:
    """What decides the outcome besides the agent: content of files, and settings of the environment."""
    content = {name: value for name, value in (run.spec.get("content") or {}).items() if name != _AGENT}
    return {"content": content, _ENVIRONMENT: (run.spec.get("resolved") or {}).get(_ENVIRONMENT, {})}


def _own(run: Run) -> dict[str, Any]:
    """What decides the outcome on the agent's side: its code, its settings, those of its policy and learner."""
    settings = {name: value for name, value in (run.spec.get("resolved") or {}).items() if name != _ENVIRONMENT}
    return {"content": {_AGENT: (run.spec.get("content") or {}).get(_AGENT)}, **settings}


def _changes(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What differs, in words: files by what they are for, options with both values."""
    old, new = dict(leaves(before)), dict(leaves(after))
    if not any(value for value in old.values()):
        return "the older one does not record its code and its defaults"
    found = []
    for path in sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path)):
        values = [canonical(one[path]) if path in one else "not set" for one in (old, new)]
        what = path.removeprefix("content.")
        by_content = what != path or any(value.startswith(("content:", "code:")) for value in values)
        found.append(f"the file of {what}" if by_content else f"{what} {values[0]} → {values[1]}")
    more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return ", ".join(found[:_MOST_SHOWN]) + more
