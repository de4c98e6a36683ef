"""MergeRUCB (Zoghi, Whiteson & de Rijke 2015, WSDM) and MergeDTS (Li, Markov, de Rijke & Zoghi 2020; arXiv 1812.04412).

For many arms. They are split at random into batches of at most M; round t plays in batch t mod b of the b batches. An
arm with U[i, j] = P̂[i, j] + √(α ln(t + C) / N[i, j]) < ½ against another of its batch is dropped. A batch of one arm
joins the next. In stage s = 1, 2, … as soon as at most ⌊K/2ˢ⌋ + 1 arms remain, batches are merged, the smallest with
the largest, as long as both together have at most 1.5 M arms (and once more if a batch then has at most M/2), and
stage s + 1 begins. The last arm is played against itself.

MergeRUCB plays a random arm c of the batch against argmax U[j, c] over its other arms, pairs never played first.
MergeDTS plays the arm that beats most of the batch in a Thompson sample against the arm with the least chance to beat
it in a fresh sample: an arm that can be dropped soon, where DTS would take the strongest.

The authors' codes reset t at each merge or not, which hardly matters as C is larger than t in practice; here t goes on.
They start W at 1 to avoid dividing by 0, and drop arms when a batch's turn comes; here the counts are true counts, and
an arm is dropped with the answer that decides it: only the pair answered can have become sure. With W = 1 a pair never
played has U = ½ + √(α ln(t + C) / 2), 1.8 at the defaults and below most bounds; that it goes first here is our choice.
For MergeDTS both are the same: Beta(1, 1). MergeRUCB's code skips batches of one arm; here both agents join them, as
MergeDTS does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from duelbench.agents.arms.base import ArmSetup, Duels, Floats, Ids, argmax, choose
from duelbench.agents.arms.matrix.base import MatrixAgent
from duelbench.agents.arms.matrix.savage import sure_loser
from duelbench.ranges import Checked, NonNegative
from duelbench.types import Observation

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class MergeConfig(Checked):
    """Hyper-parameters of MergeRUCB.

    Attributes:
        alpha: α, confidence width in √(α ln(t + C) / N). The theory needs α > ½ and takes 1.01; 0.8⁶ is what
            MergeDTS's authors found best.
        offset: C. The theory has ((4α − 1)K² / ((2α − 1)ε))^(1/(2α − 1)) for a risk ε; the authors found 4·10⁵ best.
        batch: M, arms in a batch. The theory takes 4; the authors found 8 best for MergeRUCB, with 136 arms.
    """

    alpha: NonNegative = 0.8**6
    offset: NonNegative = 4e5
    batch: Annotated[int, Ge(2)] = 8


@dataclass(frozen=True)
class MergeDTSConfig(MergeConfig):
    """Hyper-parameters of MergeDTS.

    Attributes:
        batch: M, arms in a batch; the authors found 16 best for MergeDTS.
    """

    batch: Annotated[int, Ge(2)] = 16


class MergeAgent(MatrixAgent):
    """Duels within small batches of arms, which are merged as arms are dropped. Subclasses choose within a batch.

    Attributes:
        batch: number of each arm's batch, −1 if the arm was dropped, (S, K).
        batches: b, how many batches there are, (S,).
        stage: s, (S,).
        turn: rounds asked so far.
    """

    Config = MergeConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.batch = self.rng.random((setup.rows, setup.arms)).argsort(-1) // self.config.batch
        self.batches = self.batch.max(-1) + 1
        self.stage = np.ones(setup.rows, dtype=np.int64)
        self.turn = 0

    def propose(self, observation: Observation) -> Duels:
        """A duel in the batch whose turn it is."""
        self.turn += 1
        current = self.turn % self.batches
        members = self.batch == current[:, None]
        lonely = np.flatnonzero((members.sum(-1) == 1) & (self.batches > 1))
        if len(lonely):
            current[lonely] = self._join_next(lonely, current[lonely])
            members = self.batch == current[:, None]
        return self.choose_within(members)

    def choose_within(self, members: Mask) -> Duels:
        """Two arms of the batch, twice the same if it has only one."""
        raise NotImplementedError

    def squared_width(self) -> float:
        """α ln(t + C)."""
        return float(self.config.alpha * np.log(max(self.t, 1) + self.config.offset))

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Count the answers; drop an arm that surely loses the duel, then see whether it is time to merge."""
        super().update(observation, firsts, seconds, feedback)
        loser = sure_loser(self, firsts, seconds, self.squared_width())
        alive = (self.batch[self.every_row, firsts] >= 0) & (self.batch[self.every_row, seconds] >= 0)
        rows = np.flatnonzero((loser >= 0) & alive & ~np.isnan(feedback))
        if len(rows):
            self.batch[rows, loser[rows]] = -1
            self._merge_if_due(rows)

    def _join_next(self, rows: Ids, lone: Ids) -> Ids:
        """Let the batch ``lone`` join the next one, the last the first; what their common number now is."""
        last = self.batches[rows] - 1
        moved = self.batch[rows] - (self.batch[rows] > lone[:, None])
        self.batch[rows] = np.where(moved == last[:, None], 0, moved)
        self.batches[rows] = last
        return np.where(lone == last, 0, lone)

    def _merge_if_due(self, rows: Ids) -> None:
        remaining = (self.batch[rows] >= 0).sum(-1)
        due = (remaining <= self.setup.arms // 2 ** self.stage[rows] + 1) & (self.batches[rows] > 1)
        rows = rows[due]
        if len(rows):
            self._merge(rows)
            sizes = np.where(np.arange(self.setup.arms) < self.batches[rows, None], self._sizes(rows), np.inf)
            again = rows[sizes.min(-1) <= 0.5 * self.config.batch]
            if len(again):
                self._merge(again)
            self.stage[rows] += 1

    def _sizes(self, rows: Ids) -> Ids:
        """Arms in each batch, (rows, K): there are never more batches than arms."""
        return (self.batch[rows, :, None] == np.arange(self.setup.arms)).sum(1)

    def _merge(self, rows: Ids) -> None:
        """Join the smallest batches with the largest, walking towards the middle of their order by size."""
        size, index = self._sizes(rows), np.arange(len(rows))
        order = np.lexsort((self.rng.random(size.shape), size), axis=-1)  # batches that do not exist come first
        small, large = self.setup.arms - self.batches[rows], np.full(len(rows), self.setup.arms - 1)
        number, joined = np.zeros_like(size), np.zeros(len(rows), dtype=np.int64)
        while (small <= large).any():  # one step for each new batch, in all rows at once
            going = small <= large
            one, other = order[index, np.minimum(small, self.setup.arms - 1)], order[index, large]
            fits = size[index, one] + size[index, other] <= 1.5 * self.config.batch
            pair = going & (small < large) & fits
            number[index[going], other[going]] = joined[going]
            number[index[pair], one[pair]] = joined[pair]
            small, large, joined = small + pair, large - going, joined + going
        old = self.batch[rows]
        self.batch[rows] = np.where(old >= 0, np.take_along_axis(number, np.maximum(old, 0), -1), -1)
        self.batches[rows] = joined

    def scores(self, observation: Observation) -> Floats:
        """Empirical Copeland scores of the remaining arms, −1 for the others, (S, K)."""
        return np.where(self.batch >= 0, super().scores(observation), -1.0)


class MergeRUCB(MergeAgent):
    """A random arm of the batch against its most promising challenger."""

    def choose_within(self, members: Mask) -> Duels:
        """c, and argmax U[j, c] over the other arms."""
        firsts = choose(members, self.rng)
        wins, played = self.wins[self.every_row, :, firsts], self.played[self.every_row, :, firsts]
        upper = np.full_like(wins, np.inf)
        np.divide(wins, played, out=upper, where=played > 0.0)
        upper += np.sqrt(self.squared_width() / np.maximum(played, 1.0))
        others = members.copy()
        others[self.every_row, firsts] = False
        seconds = argmax(np.where(others, upper, -np.inf), self.rng)
        return firsts, np.where(others.any(-1), seconds, firsts)


class MergeDTS(MergeAgent):
    """The sampled champion of the batch against its sampled weakest arm."""

    Config = MergeDTSConfig

    def choose_within(self, members: Mask) -> Duels:
        """Both arms by independent Thompson samples of the batch's own pairs."""
        size = int(members.sum(-1).max())
        arms = np.argsort(~members, axis=-1, kind="stable")[:, :size]  # members first, in rows with fewer also others
        real = np.take_along_axis(members, arms, -1)
        wins = self.wins[self.every_row[:, None, None], arms[:, :, None], arms[:, None, :]]
        left, right = np.triu_indices(size, 1)
        drawn = self.rng.beta(wins[:, left, right] + 1.0, wins[:, right, left] + 1.0)
        beats = np.zeros(wins.shape, dtype=bool)
        beats[:, left, right], beats[:, right, left] = drawn > 0.5, drawn < 0.5
        beaten = (beats & real[:, None, :]).sum(-1)
        first = argmax(np.where(real, beaten, -1), self.rng)
        chance = self.rng.beta(wins[self.every_row, :, first] + 1.0, wins[self.every_row, first] + 1.0)
        chance[self.every_row, first] = 1.0  # itself only if it is alone
        second = np.where(real, chance, np.inf).argmin(-1)
        return arms[self.every_row, first], arms[self.every_row, second]
