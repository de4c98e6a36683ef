"""When a ranking is settled: evidence that may be looked at after every vote.

Nothing here trusts the Bradley–Terry model. A vote is a bet (testing by betting, Shafer 2021; Waudby-Smith and Ramdas
2024). Somebody who doubts that item j is the best stakes a share λ of their wealth, chosen before the answer is known,
that j loses its next duel: the wealth is multiplied by 1 + λ where j loses, by 1 − λ where it wins, and stays where
there is a tie. The best item loses no duel with more than even odds, whoever it meets and however the opponent was
chosen, so while j is the best its wealth is a non-negative supermartingale that begins at 1. By Ville's inequality it
ever reaches 1/α with probability at most α: at any time, for any rule that chooses pairs, and for any rule to stop.

* **top1.** An item whose wealth reached 1/α is out. The best item is ever put out with probability at most α, and only
  that is an error, so the items that are left are a confidence set for the best at all times at once.
* **top-k and order.** The same bet on each ordered pair, with the duels of the two alone; as every claim has to hold,
  the threshold is K(K − 1)/α. Claims are chained: who beats one that beats a third beats the third.

The sides have to be drawn by a fair coin, which makes the even odds hold whatever advantage the first place has. The
stakes are the model's prediction. A bad prediction costs votes, and never the error rate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MOST = 0.9  # share of the wealth that is staked: a surprise must not ruin it


def stake(chance: float | Floats) -> Floats:
    """The share that makes log wealth grow fastest for somebody who wins a bet at even odds with a chance.

    >>> stake(0.75).tolist(), stake(0.3).tolist()
    (0.5, 0.0)
    """
    return np.clip(2.0 * np.asarray(chance) - 1.0, 0.0, _MOST)


def growth(chance: Floats) -> Floats:
    """Expected growth of log wealth in nats, by one decisive vote, where a bet is won with a chance; 0 up to ½."""
    share = stake(chance)
    return np.asarray(chance * np.log1p(share) + (1.0 - chance) * np.log1p(-share))


class Evidence:
    """Wealth of those who doubt an item, and of those who claim that one item is better than another.

    Args:
        items: K.
        error: α, probability with which anything that is ever claimed is wrong.

    Attributes:
        wealth: log wealth of those who say that an item is not the best, (K,).
        doubt: the largest that it ever was, (K,).
        claims: pairs (better, worse) that are settled.
    """

    def __init__(self, items: int, error: float) -> None:
        if not 0.0 < error < 1.0:
            raise ValueError(f"error must lie between 0 and 1, got {error}")
        self.items, self.error = items, error
        self.out = math.log(1.0 / error)
        self.settled = math.log(items * (items - 1) / error)
        self.doubt = np.zeros(items)
        self.wealth = np.zeros(items)
        self._pairs: dict[tuple[int, int], float] = {}
        self.claims: set[tuple[int, int]] = set()

    def add(self, one: int, other: int, verdict: float, chance: float) -> None:
        """Settle the bets on a vote.

        Args:
            one: an item.
            other: another.
            verdict: 1 where ``one`` was named, 0 the other, ½ neither.
            chance: with which ``one`` was expected to win, fixed before the sides were drawn and the answer came.
        """
        outcome = 2.0 * verdict - 1.0
        for better, worse, score, expected in ((one, other, outcome, chance), (other, one, -outcome, 1.0 - chance)):
            gain = math.log1p(float(stake(expected)) * score)
            self.wealth[worse] += gain
            self.doubt[worse] = max(self.doubt[worse], self.wealth[worse])
            wealth = self._pairs[better, worse] = self._pairs.get((better, worse), 0.0) + gain
            if wealth >= self.settled:
                self.claims.add((better, worse))

    @property
    def left(self) -> NDArray[np.bool_]:
        """Items that may be the best, (K,)."""
        return self.doubt < self.out

    def lacking(self, better: int, worse: int) -> float:
        """Nats that a claim lacks."""
        if (better, worse) in self.claims:
            return 0.0
        return max(0.0, self.settled - self._pairs.get((better, worse), 0.0))

    def below(self, item: int) -> set[int]:
        """Items that are settled to be worse, by chains of claims."""
        return _reached(item, {better: [w for b, w in self.claims if b == better] for better, _ in self.claims})

    def is_top(self, chosen: Iterable[int]) -> bool:
        """Whether these items are settled to be better than all others."""
        top = set(chosen)
        if len(top) == 1 and not self.left[[i for i in range(self.items) if i not in top]].any():
            return True
        others = set(range(self.items)) - top
        return all(others <= self.below(item) for item in top)

    def is_order(self, order: Iterable[int]) -> bool:
        """Whether this order, best first, is settled."""
        ranked = list(order)
        return all(pair in self.claims for pair in itertools.pairwise(ranked))


def _reached(start: int, edges: dict[int, list[int]]) -> set[int]:
    found, waiting = set[int](), [start]
    while waiting:
        for item in edges.get(waiting.pop(), ()):
            if item not in found:
                found.add(item)
                waiting.append(item)
    return found
