"""Which pair to ask about next.

By ``information``: an order is drawn as Thompson sampling draws it, from the posterior of the strengths. Of the bets
that would settle the goal, if the items stood in that order, the one is taken whose log wealth is expected to grow
most: that growth is the information, in nats, that one vote is expected to give against the claim's opposite.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from duelbench.agents import registry
from duelbench.agents.arms.base import ArmSetup
from duelbench.errors import UsageError
from duelbench.rank.statistics.bradley_terry import Floats, Ids, Strengths
from duelbench.rank.statistics.evidence import Evidence, growth
from duelbench.rank.statistics.goal import Goal

Pair = tuple[int, int]
May = Callable[[int, int], bool]
"""Whether a pair can still be asked."""
_TRIES = 50


class Chooser(Protocol):
    """Chooses pairs, and hears what came of them."""

    def choose(self, strengths: Strengths, evidence: Evidence, waiting: Counter[Pair], may: May) -> Pair | None:
        """A pair that may be asked; None if it finds none."""
        ...

    def hear(self, one: int, other: int, verdict: float) -> None:
        """A vote: 1 where ``one`` was named, 0 the other, ½ neither."""
        ...


def make_chooser(name: str, items: int, goal: Goal, rng: np.random.Generator) -> Chooser:
    """``information``, ``random``, or any agent of ours that plays arms by their wins alone.

    Raises:
        UsageError: no such agent, or one of another kind.
    """
    if name == "information":
        return ByInformation(goal, rng)
    if name == "random":
        return AtRandom(items, rng)
    return ByAgent(name, items, rng)


class ByInformation:
    """The bet whose log wealth is expected to grow most."""

    def __init__(self, goal: Goal, rng: np.random.Generator) -> None:
        self._goal, self._rng = goal, rng

    def choose(self, strengths: Strengths, evidence: Evidence, waiting: Counter[Pair], may: May) -> Pair | None:
        """Of the bets that are needed in a sampled order, the most informative; what is on its way counts as come."""
        for _ in range(_TRIES):
            drawn = strengths.draw(1, self._rng)[0]
            better, worse, lacking = self._goal.needed(evidence, np.argsort(-drawn, kind="stable"))
            if not len(better):
                return None
            gain = growth(expected_chance(strengths, better, worse))
            open_votes = np.array([waiting[_key(b, w)] for b, w in zip(better, worse, strict=True)])
            value = np.where(open_votes * np.maximum(gain, 1e-3) < lacking, gain, -1.0) + 1e-9 * self._rng.random(
                len(gain)
            )
            for at in np.argsort(-value)[:_TRIES]:
                pair = int(better[at]), int(worse[at])
                if may(*pair):
                    return pair
        return None

    def hear(self, one: int, other: int, verdict: float) -> None:
        """The strengths have it already."""


class AtRandom:
    """Every pair with the same chance."""

    def __init__(self, items: int, rng: np.random.Generator) -> None:
        self._items, self._rng = items, rng

    def choose(self, strengths: Strengths, evidence: Evidence, waiting: Counter[Pair], may: May) -> Pair | None:
        """A uniformly random pair."""
        for _ in range(_TRIES):
            one, other = self._rng.choice(self._items, 2, replace=False).tolist()
            if may(one, other):
                return one, other
        return None

    def hear(self, one: int, other: int, verdict: float) -> None:
        """Chance does not learn."""


class ByAgent:
    """An agent of the numeric families as it plays a matrix, asked again where it would have an arm meet itself."""

    def __init__(self, name: str, items: int, rng: np.random.Generator) -> None:
        found = registry.find_agent(name, arms=True)
        cls: Any = found.cls
        if not getattr(cls, "lockstep", False) or cls.needs_features or cls.privileged:
            raise UsageError(
                f"--by expects information, random, or an agent that plays arms by their wins, got {name!r}"
            )
        setup = ArmSetup(rows=1, arms=items, dim=0, labels=10**6, rng=rng)
        self._agent = cls(setup, registry.make_config(found, {}))
        self._observation: dict[str, Any] = {}

    def choose(self, strengths: Strengths, evidence: Evidence, waiting: Counter[Pair], may: May) -> Pair | None:
        """What the agent proposes."""
        for _ in range(_TRIES):
            one, other = (int(arm[0]) for arm in self._agent.propose(self._observation))
            if one != other and may(one, other):
                return one, other
            if one == other:  # it has made up its mind: a tie with itself lets it go on
                self.hear(one, one, 0.5)
        return None

    def hear(self, one: int, other: int, verdict: float) -> None:
        """Let the agent learn."""
        self._agent.update(self._observation, np.array([one]), np.array([other]), np.array([verdict]))


def expected_chance(strengths: Strengths, one: Ids, other: Ids) -> NDArray[np.float64]:
    """P(one beats the other | no tie), the posterior's mean by MacKay's approximation, (n,)."""
    difference: Floats = strengths.mean[one] - strengths.mean[other]
    variance = strengths.variance_of_difference(one, other)
    return np.asarray(expit(difference / np.sqrt(1.0 + np.pi * variance / 8.0)))


def _key(one: int, other: int) -> Pair:
    return (int(one), int(other)) if one < other else (int(other), int(one))
