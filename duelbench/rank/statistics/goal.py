"""What is to be settled: the best item, the best k, or the whole order."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from duelbench.errors import UsageError
from duelbench.rank.statistics.evidence import Evidence

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Goal:
    """What is to be settled.

    Attributes:
        k: items of the top; 0 for the whole order.
    """

    k: int = 1

    @classmethod
    def of(cls, name: str, items: int) -> Goal:
        """``top1``, ``top5``, ``order`` …

        >>> Goal.of("top-3", 10), Goal.of("order", 10)
        (Goal(k=3), Goal(k=0))

        Raises:
            UsageError: no such goal.
        """
        if name == "order":
            return cls(0)
        match = re.fullmatch(r"top-?(\d+)", name)
        if match is None or not 1 <= int(match[1]) < items:
            raise UsageError(f"--until expects order or top1 to top{items - 1} for {items} items, got {name!r}")
        return cls(int(match[1]))

    def reached(self, evidence: Evidence, order: Ids) -> bool:
        """Whether it is settled; ``order`` is that of the estimates, best first."""
        if self.k == 1:
            return int(evidence.left.sum()) <= 1
        return evidence.is_top(order[: self.k].tolist()) if self.k else evidence.is_order(order.tolist())

    def needed(self, evidence: Evidence, order: Ids) -> tuple[Ids, Ids, NDArray[np.float64]]:
        """Bets that would settle it, if the items stood in this order: better, worse, and the nats that each lacks."""
        if self.k == 1:
            left = order[evidence.left[order]]
            best = left[0] if len(left) else order[0]
            worse = left[left != best]
            return np.full(len(worse), best), worse, evidence.out - evidence.wealth[worse]
        if self.k == 0:
            better, worse = order[:-1], order[1:]
        else:
            top, rest = order[: self.k], order[self.k :]
            better = np.concatenate([top, np.full(len(rest) - 1, top[-1])])
            worse = np.concatenate([np.full(len(top), rest[0]), rest[1:]])
        lacking = np.array([evidence.lacking(int(b), int(w)) for b, w in zip(better, worse, strict=True)])
        some = lacking > 0
        return better[some], worse[some], lacking[some]
