"""The plain data that travels between environment, agent, policy and learner.

Everything is batch-first: B prompts a round, M candidate responses a prompt. Arrays are NumPy; torch appears
only inside policies, posteriors and learners.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Observation = Mapping[str, Any]
"""A batched observation: ``prompt`` (B strings) and ``prompt_id`` (B,); pools add ``features`` and more."""

Metrics = dict[str, float]

Detail = Literal["all", "features", "texts"]
"""How much of sampled responses is computed: everything; everything but the reference's log-probabilities, which are
NaN until ``Policy.referenced`` fills them; or neither those nor features."""


def is_text(text: str) -> bool:
    """Whether a string is whole characters. Half of one (a lone surrogate) goes into no tokenizer and no file."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


class Verdict(IntEnum):
    """What an oracle answered: ``INVALID`` if it failed, ``SKIPPED`` if not asked, ``PENDING`` if it answers later."""

    SECOND = 0
    FIRST = 1
    TIE = 2
    INVALID = 3
    SKIPPED = 4
    PENDING = 5

    @property
    def reward(self) -> float:
        """1.0, 0.5 or 0.0 as the first response won, tied or lost; NaN where there is no answer."""
        return {Verdict.FIRST: 1.0, Verdict.SECOND: 0.0, Verdict.TIE: 0.5}.get(self, float("nan"))


_ARRAYS = ("actions", "log_probs", "reference_log_probs", "lengths", "features")


@dataclass(frozen=True, slots=True)
class Responses:
    """Responses with everything a learner needs of them, computed once when they were sampled.

    Every array leads with the batch shape ``S``: ``(B,)`` for one response a prompt, ``(B, M)`` for candidates.

    Attributes:
        prompts: the B prompt texts.
        actions: responses in the environment's form, S: strings (object array) or pool indices (int64).
        log_probs: log-probability under the policy that sampled them, S, float32.
        reference_log_probs: the same under the frozen reference policy, S, float32; NaN where not computed.
        lengths: number of response tokens, S, int64 (1 on a pool: the response is one atom).
        features: what the posterior sees of (prompt, response), S + (d,), float32.
        context: policy-private arrays leading with (B,), e.g. prompt tokens or the whole pool's features.
        payload: policy-private arrays leading with S, e.g. response tokens.
    """

    prompts: tuple[str, ...]
    actions: NDArray[Any]
    log_probs: NDArray[np.float32]
    reference_log_probs: NDArray[np.float32]
    lengths: NDArray[np.int64]
    features: NDArray[np.float32]
    context: dict[str, NDArray[Any]] = field(default_factory=dict)
    payload: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of prompts, B."""
        return len(self.actions)

    def pick(self, columns: NDArray[np.int64]) -> Responses:
        """One of the M candidates of each prompt: columns (B,) -> Responses of shape (B,)."""
        rows = np.arange(len(self))
        return self._map(lambda a: a[rows, columns])

    def columns(self, index: NDArray[np.int64]) -> Responses:
        """Some of the M candidates, the same ones for every prompt: (B, M) -> (B, len(index))."""
        return self._map(lambda a: a[:, index])

    def rows(self, index: NDArray[Any] | list[int]) -> Responses:
        """Some of the prompts, by integer or boolean index, in that order."""
        index = np.arange(len(self))[index]
        picked = self._map(lambda a: a[index])
        context = {name: array[index] for name, array in self.context.items()}
        return replace(picked, prompts=tuple(self.prompts[i] for i in index), context=context)

    @staticmethod
    def where(take: NDArray[np.bool_], one: Responses, other: Responses) -> Responses:
        """``one`` in the rows where ``take`` holds, ``other`` elsewhere; both answer the same prompts, shape (B,)."""

        def choose(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
            return np.where(take.reshape(-1, *[1] * (a.ndim - 1)), a, b)

        arrays: dict[str, Any] = {name: choose(getattr(one, name), getattr(other, name)) for name in _ARRAYS}
        payload = {name: choose(array, other.payload[name]) for name, array in one.payload.items()}
        return replace(one, **arrays, payload=payload)

    def _map(self, pick: Any) -> Responses:
        arrays: dict[str, Any] = {name: pick(getattr(self, name)) for name in _ARRAYS}
        return replace(self, **arrays, payload={name: pick(array) for name, array in self.payload.items()})

    @property
    def unfinished(self) -> NDArray[np.bool_]:
        """Which responses were cut off at the length limit before they ended, S; none where a policy does not say."""
        return np.asarray(self.payload.get("unfinished", np.zeros(self.actions.shape)), dtype=bool)

    @property
    def canonical(self) -> NDArray[np.int64]:
        """For candidates (B, M): the column of the first candidate with the same action, (B, M)."""
        return np.stack([_first_occurrence(row) for row in self.actions])


@dataclass(frozen=True, slots=True)
class Pair:
    """One duel for each of B prompts.

    Attributes:
        first: the response shown first, shape (B,).
        second: its rival, shape (B,).
        ask: which duels the oracle shall be asked about, (B,) bool. A row that is not asked uses up no label.
        payload: what the agent that proposed the duels must know when their answers come: arrays or ``Responses``,
            each leading with (B,). The run loop hands it back with the rows that were answered, however late.
    """

    first: Responses
    second: Responses
    ask: NDArray[np.bool_]
    payload: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, first: Responses, second: Responses, **payload: Any) -> Pair:
        """A pair whose every row is asked."""
        return cls(first, second, np.ones(len(first), dtype=bool), payload)

    def __len__(self) -> int:
        """Number of prompts, B."""
        return len(self.first)

    def rows(self, index: NDArray[Any]) -> Pair:
        """Some of the duels, by integer or boolean index, with their part of the payload."""
        payload = {
            name: value.rows(index) if isinstance(value, Responses) else value[index]
            for name, value in self.payload.items()
        }
        return Pair(self.first.rows(index), self.second.rows(index), self.ask[index], payload)

    def ranked(self, first_wins: NDArray[np.bool_]) -> tuple[Responses, Responses]:
        """The duels as (chosen, rejected), given which first responses were preferred, (B,)."""
        return Responses.where(first_wins, self.first, self.second), Responses.where(
            first_wins, self.second, self.first
        )

    @property
    def identical(self) -> NDArray[np.bool_]:
        """Rows whose two responses are the same, (B,)."""
        return np.asarray(self.first.actions == self.second.actions, dtype=bool)


def concatenate(parts: list[Responses]) -> Responses:
    """Responses of shape (B,) one after another; private arrays of different widths are padded with zeros."""
    arrays: dict[str, Any] = {name: _stack([getattr(part, name) for part in parts]) for name in _ARRAYS}
    return replace(
        parts[0],
        prompts=tuple(prompt for part in parts for prompt in part.prompts),
        context={name: _stack([part.context[name] for part in parts]) for name in parts[0].context},
        payload={name: _stack([part.payload[name] for part in parts]) for name in parts[0].payload},
        **arrays,
    )


def _stack(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    full = np.max([a.shape[1:] for a in arrays], axis=0)  # the widest of each trailing axis
    if all(a.shape[1:] == tuple(full) for a in arrays):
        return np.concatenate(arrays)
    gaps = [[(0, 0), *((0, int(size)) for size in full - a.shape[1:])] for a in arrays]
    return np.concatenate([np.pad(a, gap) for a, gap in zip(arrays, gaps, strict=True)])


def _first_occurrence(actions: NDArray[Any]) -> NDArray[np.int64]:
    seen: dict[Any, int] = {}
    return np.array([seen.setdefault(action, i) for i, action in enumerate(actions.tolist())], dtype=np.int64)
