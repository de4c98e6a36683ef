"""Oracles in another process: ``ray:NAME`` is the oracle NAME, held by a Ray actor."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.cluster import answer, bundle, connect, ray, start
from duelbench.protocols import UtilityOracle

_RESTARTS = 4  # an oracle that dies more often than this is broken, not unlucky


@dataclass(frozen=True)
class Likeness:
    """What an oracle in another process says of itself.

    Attributes:
        name: for records.
        utilities: whether it knows utilities.
        derived: whether its preference follows from them.
        free: whether asking costs nothing.
        portion: how many questions it wants at once; None for any number.
    """

    name: str
    utilities: bool
    derived: bool
    free: bool
    portion: int | None


class RemoteOracle:
    """An oracle that answers from an actor: one batch, one call, as in one process, so that the answers are the same.

    If the actor dies, it is started again and asked for what it still owes; what has come is never asked for twice.
    """

    def __init__(self, name: str, actor: Any, free: bool, portion: int | None) -> None:
        self.name, self._actor, self.free, self.portion = name, actor, free, portion

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """Probability that the first response is preferred, (n,); NaN where the oracle failed to answer."""
        return np.array(answer(self._actor.preference.remote(list(prompts), list(firsts), list(seconds))))


class RemoteUtilityOracle(RemoteOracle):
    """The same for an oracle with a known utility."""

    def __init__(self, name: str, actor: Any, free: bool, portion: int | None, prefers_by_utility: bool) -> None:
        super().__init__(name, actor, free, portion)
        self.prefers_by_utility = prefers_by_utility

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        """u(x, y) of n (prompt, response) texts, (n,)."""
        return np.array(answer(self._actor.utilities.remote(list(prompts), list(responses))))


def remote_oracle(make: Callable[..., Any], spec: str, **options: Any) -> RemoteOracle:
    """The oracle that ``make(spec, **options)`` makes, in an actor; raises what that raises."""
    connect()
    cluster = ray.get_runtime_context().get_node_id()
    actor = _oracle_actor(make, spec, json.dumps(options, sort_keys=True), cluster)
    like = answer(actor.describe.remote())
    shared = (like.name, actor, like.free, like.portion)
    return RemoteUtilityOracle(*shared, like.derived) if like.utilities else RemoteOracle(*shared)


@functools.cache  # an environment that is made twice must not wait for a second bundle
def _oracle_actor(make: Callable[..., Any], spec: str, options: str, cluster: str) -> Any:
    lives = {"max_restarts": _RESTARTS, "max_task_retries": -1}
    return start(Oracle, bundle("oracle") | lives, make, spec, json.loads(options))


@ray.remote
class Oracle:
    """Holds an oracle that ``make`` makes in a process of its own. Restarted, it makes the same oracle again."""

    def __init__(self, make: Callable[..., Any], spec: str, options: dict[str, Any]) -> None:
        self._oracle: Any = functools.cache(functools.partial(make, spec, **options))

    def describe(self) -> Likeness:
        """What it is like."""
        oracle = self._oracle()
        return Likeness(
            oracle.name,
            isinstance(oracle, UtilityOracle),
            bool(getattr(oracle, "prefers_by_utility", False)),
            bool(getattr(oracle, "free", False)),
            getattr(oracle, "portion", None),
        )

    def preference(self, *texts: Sequence[str]) -> NDArray[np.float64]:
        """See ``duelbench.protocols.Oracle``."""
        return np.asarray(self._oracle().preference(*texts))

    def utilities(self, *texts: Sequence[str]) -> NDArray[np.float64]:
        """See ``duelbench.protocols.UtilityOracle``."""
        return np.asarray(self._oracle().utilities(*texts))
