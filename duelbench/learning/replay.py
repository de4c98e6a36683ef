"""The answered duels of a run, from which a policy can learn again and again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.learning.packing import end_to_end, pack, unpack
from duelbench.types import Pair


class Replay:
    """Duels with a winner, in the order in which their answers came. Its length: how many."""

    def __init__(self) -> None:
        self._rounds: list[tuple[Pair, NDArray[np.bool_]]] = []
        self._ends = np.zeros(1, np.int64)  # duels up to the end of each round, after a 0

    def __len__(self) -> int:
        """Duels so far."""
        return int(self._ends[-1])

    def add(self, duels: Pair, first_wins: NDArray[np.bool_]) -> None:
        """Keep n duels and which first responses won, (n,)."""
        self._rounds.append((duels, first_wins))
        self._ends = np.append(self._ends, self._ends[-1] + len(duels))

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Pair, NDArray[np.bool_]]:
        """n of all duels so far, none of them twice, and which first responses won, (n,)."""
        drawn = np.sort(rng.choice(len(self), min(n, len(self)), replace=False))
        rounds = np.searchsorted(self._ends, drawn, side="right") - 1
        parts = [(self._rounds[i], drawn[rounds == i] - self._ends[i]) for i in np.unique(rounds)]
        duels = end_to_end([duels.rows(rows) for (duels, _), rows in parts])
        return duels, np.concatenate([wins[rows] for (_, wins), rows in parts])

    def state_dict(self) -> dict[str, Any]:
        """The duels and their winners as plain data and arrays."""
        state: dict[str, Any] = pack({"rounds": self._rounds})
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self._rounds, self._ends = [], np.zeros(1, np.int64)
        for duels, first_wins in unpack(state)["rounds"]:
            self.add(duels, first_wins)
