"""From runs to the tasks of a report.

Runs with another label budget, model or ``env_kwargs`` are another task, and runs of one agent with other settings are
another agent: neither is mixed silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from duelbench.records.record import Role, Run
from duelbench.results.report.comparison.naming import canonical, differing
from duelbench.results.report.comparison.section import Section, language_model
from duelbench.results.report.comparison.versions import newest
from duelbench.results.report.pictures.styles import styles

_FREE = {"seed", "lockstep", "task", "env", "labels", "env_kwargs", "resolved", "content", "version", "old_id"}
"""Fields of a run's specification that are no setting of its agent."""


def sections(runs: Sequence[Run]) -> list[Section]:
    """The tasks among the runs, in order of environment id, longest runs first."""
    tasks: dict[str, list[Run]] = {}
    for run in {run.run_id: run for run in runs}.values():
        tasks.setdefault(canonical(_task(run)), []).append(run)
    by_env: dict[str, list[list[Run]]] = {}
    for _, members in sorted(tasks.items()):
        by_env.setdefault(str(members[0].spec["env"]), []).append(members)
    found = []
    for env, groups in sorted(by_env.items()):
        groups.sort(key=lambda members: -float(members[0].spec.get("labels") or 0))
        for members, settings in zip(groups, differing([_task(m[0]) for m in groups]), strict=True):
            found.append(_section(env + settings, env, members))
    return _looking_alike(_named(found))


def _named(found: list[Section]) -> list[Section]:
    """Call each task of a suite by its name there, unless two tasks share it."""
    names = [next((run.task for run in section.everyone if run.task), "") for section in found]
    return [
        replace(section, name=name, of_suite=True)
        if name and names.count(name) == 1
        else replace(section, name=section.title)
        for section, name in zip(found, names, strict=True)
    ]


def _looking_alike(found: list[Section]) -> list[Section]:
    """Give every agent one look in all tasks."""
    roles = {name: role for section in found for name, role in section.roles.items()}
    agents = sorted(roles, key=lambda name: agent_place(roles[name], name))
    floors, ceilings = ([a for a in agents if roles[a] == role] for role in ("floor", "ceiling"))
    looks = styles(agents, floors, ceilings)
    return [replace(section, looks=looks) for section in found]


def agent_place(role: Role, name: str) -> tuple[int, str]:
    """Sorts agents where no score does: uniform pairs, the rivals by name, those who are told the truth."""
    return {"floor": 0, "rival": 1, "ceiling": 2}[role], name


def _task(run: Run) -> dict[str, Any]:
    """What must be equal for runs to be compared: the environment, the label budget and the language model."""
    task = {"env": run.spec["env"], "labels": run.spec.get("labels"), "model": language_model(run)}
    return task | dict(run.spec.get("env_kwargs") or {})


def _section(title: str, env: str, runs: list[Run]) -> Section:
    names = _agent_names(runs)
    runs, older = newest(runs, names)
    roles = {names[run.run_id]: run.role for run in runs}
    order = sorted(roles, key=lambda name: agent_place(roles[name], name))
    by_name: dict[str, list[Run]] = {name: [] for name in order}
    ranked = sorted(runs, key=lambda run: (int(run.spec["seed"]), run.run_id))
    complete = [run for run in ranked if run.finished and run.error is None and run.rows]
    for run in complete:
        by_name[names[run.run_id]].append(run)
    agents = {name: _one_for_each_seed(found) for name, found in by_name.items()}
    ids = {run.run_id for run in complete}
    return Section(
        title=title,
        env=env,
        agents=agents,
        unfinished=tuple((names[run.run_id], run) for run in ranked if run.run_id not in ids),
        older=tuple(older),
    )


def _one_for_each_seed(runs: list[Run]) -> tuple[Run, ...]:
    """Runs of one agent, ascending in seed; of a seed that was played in several lock-steps, that of the largest.

    Seeds in lock-step share the agent's random numbers: a seed's run depends on how many there were.
    """
    by_size = sorted(runs, key=lambda run: int(run.spec.get("lockstep") or 0))
    found = {int(run.spec["seed"]): run for run in by_size}
    return tuple(found[seed] for seed in sorted(found))


def _agent_names(runs: list[Run]) -> dict[str, str]:
    """{run id: agent name}, with the settings in which runs of one agent differ: ``sea [batch=64]``."""
    by_agent: dict[str, list[Run]] = {}
    for run in runs:
        by_agent.setdefault(str(run.spec["agent"]), []).append(run)
    names = {}
    for agent, members in by_agent.items():
        settings = [_settings(run) for run in members]
        for run, suffix in zip(members, differing(settings), strict=True):
            names[run.run_id] = agent + suffix
    return names


def _settings(run: Run) -> dict[str, Any]:
    """What was asked of the agent; two files may hold classes of one name."""
    asked = {name: value for name, value in run.spec.items() if name not in _FREE}
    return asked | {"agent": (run.manifest.get("spec") or {}).get("agent", run.spec["agent"])}
