"""One run on several devices or machines: generator, learner and oracle as Ray actors in one placement group.

::

    run_on_ray(spec, out, {"generator": {"GPU": 1, "CPU": 4}, "learner": {"GPU": 1, "CPU": 4}, "oracle": {"CPU": 1}})

The learner plays the run as any process would. The specification decides what it leaves to others: with
``policy={"sampler": "ray"}`` a generator draws the responses, with the oracle ``ray:NAME`` an actor holds the oracle
NAME. Both can be had in any process, without a placement group: then Ray puts them where it likes. Models and ``out``
must be where the actors are: on several machines, in folders that they share.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from duelbench.engines.ray_cluster import connect, ray
from duelbench.oracles import make_oracle
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.policies.sampling import Drawn
from duelbench.protocols import UtilityOracle
from duelbench.runner import run
from duelbench.spec import RunSpec

# isort: split
# only after ray_cluster, which says what to install where Ray is missing
from ray.exceptions import RayTaskError
from ray.util import get_current_placement_group, placement_group, remove_placement_group
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

Resources = dict[str, float]
_ROLES = ("generator", "learner", "oracle")
#: Half a core each, so that the three fit on two cores: they mostly wait for each other.
_SMALL: Resources = {"CPU": 0.5}
_SECONDS_TO_PLACE = 60.0
_RESTARTS = 4  # an oracle that dies more often than this is broken, not unlucky


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
        Exception: whatever stopped the run, as ``duelbench.runner.run`` raises it.
    """
    connect()
    group = place(**(placement or {}))
    try:
        learner = _start(Learner, _bundle("learner", group))
        return _answer(learner.play.remote(spec, out.resolve(), command))
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
        asked = ", ".join(f"{role} {bundle}" for role, bundle in zip(_ROLES, bundles, strict=True))
        raise RuntimeError(
            f"the Ray cluster had no room within {_SECONDS_TO_PLACE:g} s for {asked}: free is "
            f"{ray.available_resources()}. Ask for less, or stop what else runs on it"
        )
    return group


@ray.remote
class Generator:
    """Draws responses from a policy of its own; ``threads`` of torch as many as the learner's draw the same."""

    def __init__(self, threads: int, options: dict[str, Any]) -> None:
        torch.set_num_threads(threads)
        # made by the first call, which can raise what stops it: a constructor could only die
        self._policy = functools.cache(functools.partial(CausalLMPolicy, **options, features=False))

    def load(self, weights: dict[str, NDArray[np.float32]]) -> None:
        """Take over the trained weights."""
        self._policy().load_state_dict({name: torch.tensor(array) for name, array in weights.items()})

    def draw(
        self, prompts: Tensor, lengths: Tensor, n: int, rng: np.random.Generator, reference: bool, greedy: bool
    ) -> tuple[Drawn, dict[str, Any]]:
        """What the sampler draws (``Sampler.draw``), and the state that it left the generator in."""
        drawn = self._policy().sampler.draw(prompts, lengths, n, rng, reference=reference, greedy=greedy)
        return drawn, dict(rng.bit_generator.state)


@ray.remote
class Oracle:
    """Holds an oracle of ``make_oracle`` in a process of its own. Restarted, it makes the same oracle again."""

    def __init__(self, spec: str, options: dict[str, Any]) -> None:
        self._oracle: Any = functools.cache(functools.partial(make_oracle, spec, **options))

    def describe(self) -> tuple[str, bool]:
        """Its name, and whether it knows utilities."""
        return self._oracle().name, isinstance(self._oracle(), UtilityOracle)

    def preference(self, *texts: Sequence[str]) -> NDArray[np.float64]:
        """See ``duelbench.protocols.Oracle``."""
        return np.asarray(self._oracle().preference(*texts))

    def utilities(self, *texts: Sequence[str]) -> NDArray[np.float64]:
        """See ``duelbench.protocols.UtilityOracle``."""
        return np.asarray(self._oracle().utilities(*texts))


@ray.remote
class Learner:
    """Plays a run; the generator and the oracle that its specification asks for are this actor's children."""

    def play(self, spec: RunSpec, out: Path, command: str) -> Path:
        """See ``duelbench.runner.run``."""
        return run(spec, out, command=command)


class RemoteSampler:
    """A ``Sampler`` whose draws are made by a generator actor.

    The random generator travels with each request and comes back advanced, so that on a CPU the draws are those of the
    sampler inside, bit for bit. Weights travel through the object store, once between a change and the next draw
    from the policy. A dead generator is not started again: it would draw from untrained weights.

    Args:
        weights: the trained weights by name.
        policy: arguments of ``CausalLMPolicy`` for the generator's copy, e.g. ``sampler="vllm"``.
    """

    def __init__(self, weights: Callable[[], dict[str, Tensor]], **policy: Any) -> None:
        connect()
        self._weights, self._stale = weights, False
        self._generator = _start(Generator, _bundle("generator"), torch.get_num_threads(), policy)

    def draw(
        self, prompts: Tensor, lengths: Tensor, n: int, rng: np.random.Generator, *, reference: bool, greedy: bool
    ) -> Drawn:
        """See ``Sampler.draw``."""
        if self._stale and not reference:
            stored = ray.put({name: tensor.cpu().numpy() for name, tensor in self._weights().items()})
            _answer(self._generator.load.remote(stored))
            self._stale = False
        drawn, state = _answer(self._generator.draw.remote(prompts, lengths, n, rng, reference, greedy))
        rng.bit_generator.state = state
        return drawn

    def changed(self) -> None:
        """The generator's weights are those of before."""
        self._stale = True


class RemoteOracle:
    """An oracle that answers from an actor: one batch, one call, as in one process, so that the answers are the same.

    If the actor dies, it is started again and asked for what it still owes; what has come is never asked for twice.
    """

    def __init__(self, name: str, actor: Any) -> None:
        self.name, self._actor = name, actor

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """Probability that the first response is preferred, (n,); NaN where the oracle failed to answer."""
        return np.array(_answer(self._actor.preference.remote(list(prompts), list(firsts), list(seconds))))


class RemoteUtilityOracle(RemoteOracle):
    """The same for an oracle with a known utility."""

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        """u(x, y) of n (prompt, response) texts, (n,)."""
        return np.array(_answer(self._actor.utilities.remote(list(prompts), list(responses))))


def remote_oracle(spec: str, **options: Any) -> RemoteOracle:
    """The oracle that ``make_oracle(spec, **options)`` makes, in an actor; raises what that raises."""
    connect()
    cluster = ray.get_runtime_context().get_node_id()
    actor = _oracle_actor(spec, json.dumps(options, sort_keys=True), cluster)
    name, knows_utilities = _answer(actor.describe.remote())
    return RemoteUtilityOracle(name, actor) if knows_utilities else RemoteOracle(name, actor)


@functools.cache  # an environment that is made twice must not wait for a second bundle
def _oracle_actor(spec: str, options: str, cluster: str) -> Any:
    lives = {"max_restarts": _RESTARTS, "max_task_retries": -1}
    return _start(Oracle, _bundle("oracle") | lives, spec, json.loads(options))


def _start(actor: Any, options: dict[str, Any], *arguments: Any) -> Any:
    return actor.options(**options).remote(*arguments)


def _bundle(role: str, group: PlacementGroup | None = None) -> dict[str, Any]:
    """Actor options that claim a role's bundle of a placement group, by default of the one this process is in."""
    group = group or get_current_placement_group()
    if group is None:
        return {}
    index = _ROLES.index(role)
    reserved = group.bundle_specs[index]
    inside = PlacementGroupSchedulingStrategy(group, index, placement_group_capture_child_tasks=True)
    return {"num_cpus": reserved.get("CPU", 0), "num_gpus": reserved.get("GPU", 0), "scheduling_strategy": inside}


def _answer(call: Any) -> Any:
    """What an actor's method returned; what it raised is raised as what it was."""
    try:
        return ray.get(call)
    except RayTaskError as error:
        raise error.cause from error
