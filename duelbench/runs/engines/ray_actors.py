"""One run on several devices or machines: generator, learner and oracle as Ray actors in one placement group.

::

    run_on_ray(spec, out, {"generator": {"GPU": 1, "CPU": 4}, "learner": {"GPU": 1, "CPU": 4}, "oracle": {"CPU": 1}})

The learner plays the run as any process would. The specification decides what it leaves to others: with
``policy={"sampler": "ray"}`` a generator draws the responses, with the oracle ``ray:NAME`` an actor holds the oracle
NAME. Both can be had in any process, without a placement group: then Ray puts them where it likes. Models and ``out``
must be where the actors are: on several machines, in folders that they share.
"""

from __future__ import annotations

from pathlib import Path

from duelbench.cluster import ROLES, answer, bundle, connect, ray, start
from duelbench.records.spec import RunSpec
from duelbench.runs.policy_loop import run

# isort: split
# only after the cluster module, which says what to install where Ray is missing
from ray.util import placement_group, remove_placement_group
from ray.util.placement_group import PlacementGroup

Resources = dict[str, float]
#: Half a core each, so that the three fit on two cores: they mostly wait for each other.
_SMALL: Resources = {"CPU": 0.5}
_SECONDS_TO_PLACE = 60.0


def run_on_ray(spec: RunSpec, out: Path, placement: dict[str, Resources] | None = None, *, command: str = "") -> Path:
    """Play one run, or go on where it stopped, in a placement group of its own; returns the run's folder.

    The cluster is the one this process is in, or that ``RAY_ADDRESS`` names, or a new one on this machine. The actors
    are gone afterwards, however it ended.

    Args:
        spec: what to run.
        out: output folder.
        placement: arguments of ``place``.
        command: for the record.

    Raises:
        RuntimeError: the cluster lacks the resources.
        RayActorError: a process died. The same call goes on from the last checkpoint.
        Exception: whatever stopped the run, as ``duelbench.runs.policy_loop.run`` raises it.
    """
    connect()
    group = place(**(placement or {}))
    try:
        learner = start(Learner, bundle("learner", group))
        return answer(learner.play.remote(spec, out.resolve(), command))
    finally:
        remove_placement_group(group)  # kills what runs in it


def place(generator: Resources = _SMALL, learner: Resources = _SMALL, oracle: Resources = _SMALL) -> PlacementGroup:
    """Reserve resources for the three actors, as near to each other as they fit.

    Args:
        generator: e.g. ``{"GPU": 1, "CPU": 4}``; fractions of a GPU share it.
        learner: the same. On CPUs, it and the generator compute with ``spec.threads`` threads, whatever is reserved.
        oracle: the same. It computes with as many threads as it has whole CPUs.

    Raises:
        RuntimeError: the cluster lacks the resources.
    """
    bundles = [dict(generator), dict(learner), dict(oracle)]
    group = placement_group(bundles, strategy="PACK")
    if not group.wait(timeout_seconds=_SECONDS_TO_PLACE):
        remove_placement_group(group)
        asked = ", ".join(f"{role} {bundle}" for role, bundle in zip(ROLES, bundles, strict=True))
        raise RuntimeError(
            f"the Ray cluster had no room within {_SECONDS_TO_PLACE:g} s for {asked}: free is "
            f"{ray.available_resources()}. Ask for less, or stop what else runs on it"
        )
    return group


@ray.remote
class Learner:
    """Plays a run; the generator and the oracle that its specification asks for are this actor's children."""

    def play(self, spec: RunSpec, out: Path, command: str) -> Path:
        """See ``duelbench.runs.policy_loop.run``."""
        return run(spec, out, command=command)
