"""Arm problems as the engine plays them: every row has its own instance, and the truth about all of them is known."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Space
from numpy.typing import NDArray

from duelbench.duels import regret
from duelbench.duels.guides import Guide
from duelbench.duels.preference import LINKS, preference_probability
from duelbench.duels.tournament import arm_losses
from duelbench.envs.arms.family import Family, Instance, Stream, StreamFamily, instance_rng
from duelbench.envs.duel.problem import Array, Ids, Problem, Truth, index_pairs
from duelbench.envs.duel.spaces import IndexPair

HEADLINE = ("average", "copeland")
"""Which kind of loss names the best arm: the second where there is no Condorcet winner."""


class ArmProblem(Problem):
    """Duels between two of K arms. A self-duel, where it is asked, is a fair coin.

    Args:
        arms: K.
        features: d and the largest absolute feature, or None for arms without features.
        position_bias: share of the duels in which the first arm wins just for being first.
    """

    reference = "a uniformly random arm"
    fixed_features: bool

    def __init__(self, arms: int, features: tuple[int, float] | None, position_bias: float) -> None:
        if not 0.0 <= position_bias < 1.0:
            raise ValueError(f"position_bias is a share of the duels and must lie in [0, 1), got {position_bias}")
        self.arms, self.dim, self.position_bias = arms, features[0] if features else 0, position_bias
        self.observation_space: Space[Any] = Dict(context=Discrete(1))
        if features:
            dim, bound = features
            self.observation_space = Dict(features=Box(-bound, bound, (arms, dim), np.float32))
        self.action_space = IndexPair(arms)
        self.rows = 0

    @property
    def n_prompts(self) -> int:
        """Contexts there are at a time."""
        return self.rows * self.block

    def as_batch(self, action: Any) -> Any:
        """(2,) -> (1, 2)."""
        return (action,)

    def split(self, actions: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Columns (B,) of the first and the second arms."""
        return index_pairs(actions, self.arms)

    def texts(self, ids: Ids, responses: NDArray[Any]) -> list[str]:
        """``arm 3``."""
        return [f"arm {arm}" for arm in responses.tolist()]

    def prompt_texts(self, ids: Ids) -> list[str]:
        """There is no text: a context is its features."""
        return [f"{self.arms} arms"] * len(ids)

    def preference(self, ids: Ids, firsts: NDArray[Any], seconds: NDArray[Any]) -> Array:
        """P(first preferred), (n,), the position bias included."""
        probability = self.unbiased(ids, firsts, seconds)
        if self.position_bias:
            probability = (1.0 - self.position_bias) * probability + self.position_bias
        return probability

    @abstractmethod
    def unbiased(self, ids: Ids, firsts: NDArray[Any], seconds: NDArray[Any]) -> Array:
        """P(first preferred) whichever is shown first, (n,)."""

    @abstractmethod
    def regrets(self, ids: Ids, firsts: Ids, seconds: Ids) -> dict[str, Array]:
        """Each kind of regret of n duels, (n,) each: ``average``, ``weak``, ``strong``, ``probability``, …"""

    @abstractmethod
    def losses(self, ids: Ids) -> Array:
        """What deploying each arm loses, in the headline's kind, (n, K); 0 for the best."""

    @abstractmethod
    def heldout_of_rows(self) -> NDArray[np.int64]:
        """For each row the contexts that what it deploys is judged on, (B, H)."""

    def beats_reference(self, ids: Ids, responses: NDArray[Any]) -> Array:
        """P(arm ≻ a uniformly random arm), (n,)."""
        arms = np.arange(self.arms)
        return np.mean([self.unbiased(ids, responses.astype(np.int64), np.full(len(ids), a)) for a in arms], axis=0)


class FixedArms(ArmProblem):
    """Every row plays one instance whose arms never change; a context id is the row.

    Args:
        family: where instances come from.
        position_bias: see ``ArmProblem``.
        bound: largest absolute feature.
    """

    fixed_features = True
    settled = True

    def __init__(self, family: Family, position_bias: float = 0.0, bound: float = 1.0) -> None:
        super().__init__(family.arms, (family.dim, bound) if family.dim else None, position_bias)
        self.family = family
        self.comparator = f"the best of the {family.arms} arms of {family.name}"

    def make_room(self, rows: int) -> None:
        """Room for B instances."""
        self.rows = rows
        self._all = np.arange(rows)
        self._preferences = np.full((rows, self.arms, self.arms), 0.5)
        self._features = np.zeros((rows, self.arms, self.dim), np.float32)
        self._losses: dict[str, Array] = {}
        self.instances: list[Instance | None] = [None] * rows

    def begin(self, row: int, rng: np.random.Generator, instance: int | None) -> None:
        """Draw the row's instance."""
        number = int(rng.integers(2**31)) if instance is None else instance
        drawn = self.family.draw(instance_rng(number))
        self.instances[row] = drawn
        self._preferences[row] = drawn.preferences
        if drawn.features is not None:
            self._features[row] = drawn.features
        losses = arm_losses(drawn.preferences)
        if drawn.utilities is not None:
            losses["average"] = drawn.utilities.max() - drawn.utilities
        for kind, values in losses.items():
            self._losses.setdefault(kind, np.full((self.rows, self.arms), np.nan))[row] = values
        for kind in self._losses.keys() - losses.keys():
            self._losses[kind][row] = np.nan

    def draw(self, row: int, rng: np.random.Generator) -> Ids:
        """The row itself, every time."""
        return np.full(self.block, row)

    def observe(self, ids: Ids) -> dict[str, Any]:
        """The arms' features, or the one context there is."""
        return {"features": self._features[ids]} if self.dim else {"context": np.zeros(len(ids), np.int64)}

    def unbiased(self, ids: Ids, firsts: NDArray[Any], seconds: NDArray[Any]) -> Array:
        """P[i, j] of the row's matrix."""
        return self._preferences[ids, firsts, seconds]

    def regrets(self, ids: Ids, firsts: Ids, seconds: Ids) -> dict[str, Array]:
        """Average, weak, strong and probability regret where there is a best arm; Copeland, Borda, von Neumann."""
        found: dict[str, Array] = {}
        for kind, losses in self._losses.items():
            first, second = losses[ids, firsts], losses[ids, seconds]
            found[kind] = 0.5 * (first + second)
            if kind == "average":
                found |= {"weak": np.minimum(first, second), "strong": np.maximum(first, second)}
        if "average" in found:
            best = self._losses["average"].argmin(-1)[ids]
            known = ~np.isnan(found["average"])  # the lowest of a row of NaN is no best arm
            found["probability"] = np.where(
                known,
                regret.probability_regret(self._preferences[ids, best, firsts], self._preferences[ids, best, seconds]),
                np.nan,
            )
        return found

    def losses(self, ids: Ids) -> Array:
        """In utility, in the gap to the Condorcet winner, or in Copeland score where there is none."""
        kind = next(kind for kind in HEADLINE if not np.isnan(self._losses.get(kind, np.array(np.nan))).any())
        return self._losses[kind][ids]

    def truth(self, ids: Ids, responses: NDArray[Any]) -> Truth | None:
        """Utilities, where there are any."""
        instances = [self.instances[row] for row in ids.tolist()]
        utilities = [instance.utilities for instance in instances if instance is not None]
        if any(u is None for u in utilities):
            return None
        (link,) = {instance.link for instance in instances if instance is not None}  # of one family
        return Truth.among(np.stack(utilities), responses, link)  # type: ignore[arg-type]

    def heldout_ids(self) -> Ids:
        """The first row's arms: there is nothing else to deploy on."""
        return np.zeros(1, np.int64)

    def heldout_of_rows(self) -> NDArray[np.int64]:
        """The row itself, (B, 1)."""
        return self._all[:, None]

    def parameter(self, row: int) -> Array | None:
        """As drawn."""
        drawn = self.instances[row]
        return None if drawn is None else drawn.parameter

    def guides(self, row: int) -> list[Guide]:
        """As the family says."""
        return self.family.guides(self.instances[row])  # type: ignore[arg-type]


class FreshArms(ArmProblem):
    """Every duel of a row meets arms, or utilities, of its own; a context id is a place in a ring of two blocks.

    Args:
        family: where instances come from.
        position_bias: see ``ArmProblem``.
    """

    block = 64

    def __init__(self, family: StreamFamily, position_bias: float = 0.0) -> None:
        if family.heldout < 1:
            raise ValueError(f"heldout is a number of contexts and must be at least 1, got {family.heldout}")
        super().__init__(family.arms, (family.dim, family.bound), position_bias)
        self.family = family
        self.fixed_features = family.fixed_features
        self.comparator = f"the best of the {family.arms} arms of each context of {family.name}"

    def make_room(self, rows: int) -> None:
        """Room for two blocks per row and its held-out contexts."""
        self.rows = rows
        self._per_row = 2 * self.block + self.family.heldout
        n = rows * self._per_row
        self._features = np.zeros((n, self.arms, self.dim), np.float32)
        self._utilities = np.zeros((n, self.arms))
        self._half = np.zeros(rows, np.int64)
        self.streams: list[Stream | None] = [None] * rows

    def begin(self, row: int, rng: np.random.Generator, instance: int | None) -> None:
        """Draw the row's instance."""
        number = int(rng.integers(2**31)) if instance is None else instance
        stream = self.family.draw(instance_rng(number))
        self.streams[row] = stream
        self._fill(self._held_out(row), stream.heldout())

    def draw(self, row: int, rng: np.random.Generator) -> Ids:
        """The next block of contexts, over the older of the two in the ring."""
        stream = self.streams[row]
        assert stream is not None
        ids = row * self._per_row + self._half[row] * self.block + np.arange(self.block)
        self._fill(ids, stream.contexts(rng, self.block))
        if stream.moves:
            self._fill(self._held_out(row), stream.heldout())
        self._half[row] = 1 - self._half[row]
        return ids

    def _fill(self, ids: Ids, contexts: tuple[Array, Array]) -> None:
        self._features[ids], self._utilities[ids] = contexts

    def _held_out(self, row: int) -> Ids:
        return row * self._per_row + 2 * self.block + np.arange(self.family.heldout)

    def observe(self, ids: Ids) -> dict[str, Any]:
        """The features of the arms on offer."""
        return {"features": self._features[ids]}

    def unbiased(self, ids: Ids, firsts: NDArray[Any], seconds: NDArray[Any]) -> Array:
        """F(u_i − u_j)."""
        return LINKS[self.family.link](self._utilities[ids, firsts] - self._utilities[ids, seconds])

    def regrets(self, ids: Ids, firsts: Ids, seconds: Ids) -> dict[str, Array]:
        """Average, weak, strong (in utility) and probability regret."""
        best, first, second = self._utilities[ids].max(-1), self._utilities[ids, firsts], self._utilities[ids, seconds]
        link = self.family.link
        return {
            "average": regret.average_regret(best, first, second),
            "weak": regret.weak_regret(best, first, second),
            "strong": best - np.minimum(first, second),
            "probability": regret.probability_regret(
                preference_probability(best, first, link=link), preference_probability(best, second, link=link)
            ),
        }

    def losses(self, ids: Ids) -> Array:
        """u* − u."""
        utilities = self._utilities[ids]
        return utilities.max(-1, keepdims=True) - utilities

    def truth(self, ids: Ids, responses: NDArray[Any]) -> Truth | None:
        """Utilities; the reference policy picks an arm uniformly."""
        return Truth.among(self._utilities[ids], responses, self.family.link)

    def heldout_ids(self) -> Ids:
        """Those of the first row, for runs whose rows all play one instance."""
        return self._held_out(0)

    def heldout_of_rows(self) -> NDArray[np.int64]:
        """Its own held-out contexts, (B, H)."""
        return np.stack([self._held_out(row) for row in range(self.rows)])

    def parameter(self, row: int) -> Array | None:
        """As drawn."""
        stream = self.streams[row]
        return None if stream is None else stream.parameter

    def guides(self, row: int) -> list[Guide]:
        """As the family says."""
        stream = self.streams[row]
        assert stream is not None
        return self.family.guides(stream)
