"""What agents of the numeric families share: S independent learners, one for each row, that move in lock-step.

A row is one seed of one problem. Everything an agent knows is an array that leads with S, so that two hundred seeds
cost hardly more than one: there is no Python loop over rows or arms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from duelbench.agents.entry import NoOptions
from duelbench.types import Observation

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]
Duels = tuple[Ids, Ids]


@dataclass(frozen=True)
class ArmSetup:
    """What a lock-step run hands to its agent. There is no environment, seed or truth in it.

    Attributes:
        rows: S, seeds that run at once.
        arms: K.
        dim: d of the arms' features, 0 if they have none.
        labels: T, duels of each row.
        rng: the agent's random stream, shared by its rows.
        fixed_features: whether the arms keep their features throughout.
        best: the best arm of each row's present context, (S,); only given to agents that say they are ``privileged``.
    """

    rows: int
    arms: int
    dim: int
    labels: int
    rng: np.random.Generator
    fixed_features: bool = True
    best: Callable[[], Ids] | None = None


class ArmAgent:
    """S learners that each choose two of K arms per round. Subclasses write ``propose`` and ``update``.

    An agent may have a method ``measures`` that says something of itself by name, (S,) each; it is recorded with the
    curves.

    Attributes:
        Config: dataclass of the agent's hyper-parameters; the command line sets them with ``--set name=value``.
        needs_features: whether the agent can only play arms that have features.
        privileged: whether it is told the best arm, which makes it a reference line and no rival.
        floor: whether it plays uniform pairs, which makes it the line that scores 0.
        every_row: 0 … S − 1, (S,).
        row_starts: place of each row's first arm in a flattened (S, K) array, (S,).
        alone: whether S = 1: then a Python number is faster than an array of one.
    """

    lockstep: ClassVar[bool] = True
    Config: ClassVar[type] = NoOptions
    needs_features: ClassVar[bool] = False
    privileged: ClassVar[bool] = False
    floor: ClassVar[bool] = False

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        if self.needs_features and not setup.dim:
            raise ValueError(
                f"{type(self).__name__} learns from the features of the arms, and this environment has none: "
                "take LinearDuel-v0, KernelDuel-v0 or NeuralDuel-v0"
            )
        self.setup, self.rng = setup, setup.rng
        self.config = self.Config() if config is None else config
        self.every_row = np.arange(setup.rows)
        self.row_starts = self.every_row * setup.arms
        self.alone = setup.rows == 1

    def propose(self, observation: Observation) -> Duels:
        """The arms of each row's next duel, (S,) and (S,)."""
        raise NotImplementedError

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Learn from one answer per row.

        Args:
            observation: what the row saw when it asked.
            firsts: first arms, (S,).
            seconds: second arms, (S,).
            feedback: 1.0 if the first won, 0.0 if the second, 0.5 for a tie, NaN where a row has no answer, (S,).
        """
        raise NotImplementedError

    def scores(self, observation: Observation) -> Floats:
        """How good each arm seems, on a scale of the agent's own, (S, K)."""
        raise NotImplementedError

    def respond(self, observation: Observation) -> Ids:
        """The arm each row would deploy now, (S,)."""
        return self.scores(observation).argmax(-1)


def argmax(values: Floats, rng: np.random.Generator) -> Ids:
    """Index of the largest value along the last axis, ties broken uniformly at random.

    One uniform is drawn for each value, in C order; of the tied values that with the largest uniform is taken.
    """
    keys = rng.random(values.shape)
    top = values.argmax(-1)
    if top.size == 1:
        tied = values == values.item(top.item())
        return top if np.count_nonzero(tied) == 1 else np.where(tied, keys, -1.0).argmax(-1)
    largest = values.reshape(-1).take(np.arange(0, values.size, values.shape[-1]) + top.reshape(-1))
    tied = values == largest.reshape(*top.shape, 1)
    if np.count_nonzero(tied) == top.size:
        return top
    return np.where(tied, keys, -1.0).argmax(-1)


def choose(mask: NDArray[np.bool_], rng: np.random.Generator) -> Ids:
    """A uniformly random true index along the last axis; where none is true, of all."""
    keys = rng.random(mask.shape)
    return (mask + keys).argmax(-1)


def draw(weights: Floats, rng: np.random.Generator) -> Ids:
    """An index along the last axis, with probability proportional to its weight; one uniform for each."""
    below = weights.cumsum(-1)
    threshold = rng.random(weights.shape[:-1])[..., None] * below[..., -1:]
    return (below[..., :-1] <= threshold).sum(-1)
