"""Answers that come late: the verdict on a duel is held back for some duels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.types import Verdict

Ids = NDArray[np.int64]


class Delay:
    """Holds a row's answers back for round(N(mean, spread²)) of its duels, never less than 0.

    An answer that falls due while duel t is asked can be learned from before duel t + 1. What is still held back at
    the end of an episode is lost to the learner.

    Args:
        mean: duels an answer waits on average; 0 answers at once.
        spread: standard deviation, in duels; 0 delays all answers alike.

    Attributes:
        window: no answer waits as many duels as this.
        arrived: the answers that fell due in the last step: rows, numbers of the duels, verdicts, by row.
    """

    def __init__(self, mean: float, spread: float = 0.0) -> None:
        if not (0 <= mean < np.inf and 0 <= spread < np.inf):
            raise ValueError(f"a delay needs finite mean and spread of at least 0 duels, got {mean} and {spread}")
        self.mean, self.spread = mean, spread
        self.window = int(np.ceil(mean + 5 * spread)) + 1

    def make_room(self, rows: int) -> None:
        """Make room for B rows."""
        self._rngs: list[np.random.Generator | None] = [None] * rows
        self._due = np.full((rows, self.window), -1, np.int64)
        self._duel = np.full((rows, self.window), -1, np.int64)
        self._verdict = np.zeros((rows, self.window), np.int8)
        self.arrived: tuple[Ids, Ids, NDArray[np.int8]] = _NOTHING

    def begin(self, row: int, rng: np.random.Generator) -> None:
        """An episode of a row begins: nothing is held back; its delays come from a stream of their own."""
        self._rngs[row] = rng.spawn(1)[0]
        self._due[row] = -1
        self.arrived = _NOTHING

    def hold_back(self, duels: Ids, verdicts: NDArray[np.int8], live: NDArray[np.bool_]) -> NDArray[np.int8]:
        """Take this duel's verdicts (B,), hand out those that are due in ``arrived`` (rows, duels, verdicts).

        Returns:
            What is known of this duel at once: ``PENDING``, or its verdict where it need not wait.
        """
        rows = np.flatnonzero(live & (verdicts != Verdict.SKIPPED))
        slots = duels[rows] % self.window
        self._due[rows, slots] = duels[rows] + self._waits(rows, duels[rows])
        self._duel[rows, slots], self._verdict[rows, slots] = duels[rows], verdicts[rows]
        due, places = np.nonzero((self._due == duels[:, None]) & live[:, None])
        self.arrived = due, self._duel[due, places], self._verdict[due, places]
        shown = verdicts.copy()
        shown[rows] = Verdict.PENDING
        now = self.arrived[1] == duels[due]
        shown[due[now]] = self.arrived[2][now]
        self._due[due, places] = -1
        return shown

    def state_dict(self) -> dict[str, Any]:
        """What is held back, and the state of the rows' streams of delays."""
        streams = [None if rng is None else rng.bit_generator.state for rng in self._rngs]
        return {"due": self._due, "duel": self._duel, "verdict": self._verdict, "streams": streams}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` gave, in episodes that have begun."""
        self._due, self._duel, self._verdict = (np.array(state[name]) for name in ("due", "duel", "verdict"))
        for rng, stream in zip(self._rngs, state["streams"], strict=True):
            if rng is not None:
                rng.bit_generator.state = stream
        self.arrived = _NOTHING

    def _waits(self, rows: Ids, duels: Ids) -> Ids:
        """How many duels the answers to these duels wait, (n,)."""
        if self.spread == 0:
            return np.full(len(rows), round(self.mean))
        draws = np.array([self._rngs[row].standard_normal() for row in rows.tolist()])  # type: ignore[union-attr]
        return np.clip(np.rint(self.mean + self.spread * draws), 0, self.window - 1).astype(np.int64)


class AnswerBatches(Delay):
    """Holds a row's answers back until the last duel of their batch: duels n·b … n·b + n − 1 are answered together.

    Args:
        size: n, duels of a batch; 1 answers at once.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"answer_batch is a number of duels and must be at least 1, or 0 for none, got {size}")
        super().__init__(mean=size - 1)
        self.size = size

    def _waits(self, rows: Ids, duels: Ids) -> Ids:
        return self.size - 1 - duels % self.size


_NOTHING = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int8)
