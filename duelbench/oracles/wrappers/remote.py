"""Oracles in another process: ``ray:NAME`` is the oracle NAME, held by a Ray actor."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.cluster import answer, bundle, connect, ray, start
from duelbench.protocols import Traits, UtilityOracle

_RESTARTS = 4  # an oracle that dies more often than this is broken, not unlucky


@dataclass(frozen=True)
class Likeness:
    """What an oracle in another process says of itself.

    Attributes:
        name: for records.
        utilities: whether it knows utilities.
        derived: whether its preference follows from them.
        traits: what else it says, without what cannot travel.
        flips: whether it is asked about each duel in both orders.
    """

    name: str
    utilities: bool
    derived: bool
    traits: Traits
    flips: bool


class RemoteOracle:
    """An oracle that answers from an actor: one batch, one call, as in one process, so that the answers are the same.

    If the actor dies, it is started again and asked for what it still owes; what has come is never asked for twice.
    """

    def __init__(self, like: Likeness, actor: Any) -> None:
        self.name, self._actor = like.name, actor
        self._flipped: set[tuple[str, str, str]] = set()
        replace(like.traits, flips=self._flips if like.flips else None).put_on(self)

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """Probability that the first response is preferred, (n,); NaN where the oracle failed to answer."""
        columns = list(prompts), list(firsts), list(seconds)
        answers, flips = answer(self._actor.preference.remote(*columns))
        duels = list(zip(*columns, strict=True))
        self._flipped = {duel for duel, flipped in zip(duels, flips, strict=False) if flipped}
        return np.array(answers)

    def _flips(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.bool_]:
        return np.array([duel in self._flipped for duel in zip(prompts, firsts, seconds, strict=True)], bool)


class RemoteUtilityOracle(RemoteOracle):
    """The same for an oracle with a known utility."""

    def __init__(self, like: Likeness, actor: Any) -> None:
        super().__init__(like, actor)
        self.prefers_by_utility = like.derived

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        """u(x, y) of n (prompt, response) texts, (n,)."""
        return np.array(answer(self._actor.utilities.remote(list(prompts), list(responses))))


def remote_oracle(make: Callable[..., Any], spec: str, **options: Any) -> RemoteOracle:
    """The oracle that ``make(spec, **options)`` makes, in an actor; raises what that raises."""
    connect()
    cluster = ray.get_runtime_context().get_node_id()
    actor = _oracle_actor(make, spec, json.dumps(options, sort_keys=True), cluster)
    like = answer(actor.describe.remote())
    return RemoteUtilityOracle(like, actor) if like.utilities else RemoteOracle(like, actor)


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
            replace(Traits.of(oracle), flips=None),
            Traits.of(oracle).flips is not None,
        )

    def preference(self, *texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """See ``duelbench.protocols.Oracle``; and which verdicts turned round with the order, if it says so."""
        oracle = self._oracle()
        answers, flips = np.asarray(oracle.preference(*texts)), Traits.of(oracle).flips
        return answers, np.zeros(0, bool) if flips is None else flips(*texts)

    def utilities(self, *texts: Sequence[str]) -> NDArray[np.float64]:
        """See ``duelbench.protocols.UtilityOracle``."""
        return np.asarray(self._oracle().utilities(*texts))
