"""The way into a Ray cluster, and how actors are started in a placement group and asked.

Only what needs Ray imports this: without the package it says what to install.
"""

from __future__ import annotations

import os
from typing import Any

from duelbench.errors import install

__all__ = ["ROLES", "answer", "bundle", "connect", "ray", "start"]

try:
    import ray
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(f"Ray is not installed: {install('ray')}") from missing

# isort: split
from ray.exceptions import RayTaskError
from ray.util import get_current_placement_group
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

ROLES = ("generator", "learner", "oracle")
"""Actors of a run, in the order of their bundles in its placement group."""


def connect() -> None:
    """Join the cluster that ``RAY_ADDRESS`` names, or start one here, unless this process is in one."""
    if not ray.is_initialized():
        own: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False}
        ray.init(log_to_driver=False, **own)


def start(actor: Any, options: dict[str, Any], *arguments: Any) -> Any:
    """Start an actor with options of its own."""
    return actor.options(**options).remote(*arguments)


def bundle(role: str, group: PlacementGroup | None = None) -> dict[str, Any]:
    """Actor options that claim a role's bundle of a placement group, by default of the one this process is in."""
    group = group or get_current_placement_group()
    if group is None:
        return {}
    index = ROLES.index(role)
    reserved = group.bundle_specs[index]
    inside = PlacementGroupSchedulingStrategy(group, index, placement_group_capture_child_tasks=True)
    return {"num_cpus": reserved.get("CPU", 0), "num_gpus": reserved.get("GPU", 0), "scheduling_strategy": inside}


def answer(call: Any) -> Any:
    """What an actor's method returned; what it raised is raised as what it was."""
    try:
        return ray.get(call)
    except RayTaskError as error:
        raise error.cause from error
