"""Agents that remove arms, one learner at a time, by plain loops over the answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rng = np.random.Generator
LABELS = 1000


class Reference:
    """Remembers all answered duels as (first, second, feedback)."""

    def __init__(self, arms: int, rng: Rng) -> None:
        self.k, self.rng = arms, rng
        self.active = list(range(arms))
        self.history: list[tuple[int, int, float]] = []
        self.results: dict[tuple[int, int], list[float]] = {}

    def propose(self) -> tuple[int, int]:
        raise NotImplementedError

    def learn(self, first: int, second: int, feedback: float) -> None:
        self.history.append((first, second, feedback))
        if first != second:
            self.between(first, second).append(feedback)
            self.between(second, first).append(1.0 - feedback)

    def best(self, values: list[float], allowed: list[int]) -> int:
        keys = [self.rng.random() for _ in values]
        return max((i for i in allowed if values[i] == max(values[j] for j in allowed)), key=lambda i: keys[i])

    def any_of(self, allowed: list[int]) -> int:
        keys = [self.rng.random() for _ in range(self.k)]
        return max(allowed or range(self.k), key=lambda i: keys[i])

    def between(self, i: int, j: int) -> list[float]:
        """What i got in its duels with j."""
        return self.results.setdefault((i, j), [])


class Filter(Reference):
    def __init__(self, arms: int, rng: Rng, width: float = 4.0, prune: bool = True) -> None:
        super().__init__(arms, rng)
        self.width, self.prune = width, prune
        self.start(int(rng.integers(arms)), self.active)

    def start(self, incumbent: int, rivals: list[int]) -> None:
        self.incumbent, self.turns = incumbent, 0
        self.answers: dict[int, list[float]] = {w: [] for w in rivals if w != incumbent}

    def propose(self) -> tuple[int, int]:
        if not self.answers:
            return self.incumbent, self.incumbent
        return self.incumbent, min(sorted(self.answers), key=lambda w: len(self.answers[w]))

    def learn(self, first: int, second: int, feedback: float) -> None:
        if first == self.incumbent and second in self.answers:
            self.answers[second].append(feedback)
        if not self.answers or min(map(len, self.answers.values())) <= self.turns:
            return
        self.turns = min(map(len, self.answers.values()))
        p = {w: sum(got) / len(got) for w, got in self.answers.items()}
        c = {w: math.sqrt(self.width * math.log(LABELS * self.k**2) / len(got)) for w, got in self.answers.items()}
        kept = [w for w in p if not p[w] - c[w] > 0.5]
        better = [w for w in p if p[w] + c[w] < 0.5]
        if better:
            kept = [w for w in kept if not (self.prune and p[w] > 0.5)]
            self.start(self.any_of(better), kept)
        else:
            self.answers = {w: self.answers[w] for w in kept}


class Mean(Reference):
    def __init__(self, arms: int, rng: Rng, gamma: float = 1.2, width: float = 1.0) -> None:
        super().__init__(arms, rng)
        self.factor = width * gamma**2

    def propose(self) -> tuple[int, int]:
        first = self.best([-sum(a == i for a, _, _ in self.history) for i in range(self.k)], self.active)
        other = self.any_of([i for i in self.active if i != first])
        return first, other if len(self.active) > 1 else first

    def learn(self, first: int, second: int, feedback: float) -> None:
        if first == second or first not in self.active or second not in self.active:
            return
        super().learn(first, second, feedback)
        own = {i: [r for a, _, r in self.history if a == i] for i in self.active}
        fewest = min(map(len, own.values()))
        if fewest == 0:
            return
        mean = [sum(own[i]) / len(own[i]) if i in own else math.inf for i in range(self.k)]
        c = self.factor * math.sqrt(math.log(2 * LABELS * self.k) / fewest)
        if min(mean[i] for i in own) + c <= max(mean[i] for i in own) - c:
            worst = self.best([-m for m in mean], self.active)
            self.active.remove(worst)
            self.history = [duel for duel in self.history if worst not in duel[:2]]


class Savage(Reference):
    def __init__(self, arms: int, rng: Rng, width: float = 0.5) -> None:
        super().__init__(arms, rng)
        self.width = width
        self.pairs = [(i, j) for i in range(arms) for j in range(i + 1, arms)]

    def propose(self) -> tuple[int, int]:
        allowed = [n for n, (i, j) in enumerate(self.pairs) if i in self.active and j in self.active]
        fewest = self.best([-len(self.between(*pair)) for pair in self.pairs], allowed or [0])
        return self.pairs[fewest] if allowed else (self.active[0], self.active[0])

    def learn(self, first: int, second: int, feedback: float) -> None:
        super().learn(first, second, feedback)
        for i in list(self.active):
            for j in range(self.k):
                got = self.between(i, j)
                if not got or i == j or len(self.active) == 1:
                    continue
                c = math.sqrt(self.width * math.log(self.k * (self.k - 1) * LABELS * LABELS) / len(got))
                if i in self.active and sum(got) / len(got) + c < 0.5:
                    self.active.remove(i)


class Merge(Reference):
    def __init__(self, arms: int, rng: Rng, batch: int, alpha: float = 0.8**6, offset: float = 4e5) -> None:
        super().__init__(arms, rng)
        self.alpha, self.offset, self.size = alpha, offset, batch
        keys = [rng.random() for _ in range(arms)]
        places = sorted(range(arms), key=lambda i: keys[i])  # place of arm i
        self.batches: list[list[int]] = [[] for _ in range(math.ceil(arms / batch))]
        for arm, place in enumerate(places):
            self.batches[place // batch].append(arm)
        self.t, self.asked, self.stage = 0, 0, 1

    def propose(self) -> tuple[int, int]:
        self.asked += 1
        m = self.asked % len(self.batches)
        if len(self.batches[m]) == 1 and len(self.batches) > 1:
            lone = self.batches.pop(m)
            m %= len(self.batches)
            self.batches[m] = sorted(self.batches[m] + lone)
        return self.within(self.batches[m])

    def within(self, batch: list[int]) -> tuple[int, int]:
        raise NotImplementedError

    def upper(self, i: int, j: int) -> float:
        got = self.between(i, j)
        if not got:
            return math.inf
        return sum(got) / len(got) + math.sqrt(self.alpha * math.log(max(self.t, 1) + self.offset) / len(got))

    def learn(self, first: int, second: int, feedback: float) -> None:
        super().learn(first, second, feedback)
        for batch in self.batches:
            gone = [i for i in batch if any(self.upper(i, j) < 0.5 for j in batch if j != i)]
            assert len(gone) <= 1
            for i in gone:
                batch.remove(i)
            if gone and len(self.batches) > 1 and sum(map(len, self.batches)) <= self.k // 2**self.stage + 1:
                self.merge()
                if min(map(len, self.batches)) <= self.size / 2:
                    self.merge()
                self.stage += 1
                break

    def merge(self) -> None:
        if len(self.batches) == 1:
            for _ in range(self.k):
                self.rng.random()
            return
        keys = [self.rng.random() for _ in range(self.k)]
        order = sorted(range(len(self.batches)), key=lambda m: (len(self.batches[m]), keys[m]))
        waiting, merged = [self.batches[m] for m in order], []
        while waiting:
            largest = waiting.pop()
            if waiting and len(waiting[0]) + len(largest) <= 1.5 * self.size:
                largest = largest + waiting.pop(0)
            merged.append(sorted(largest))
        self.batches = merged


class MergeUpper(Merge):
    def __init__(self, arms: int, rng: Rng, batch: int = 8, **options: Any) -> None:
        super().__init__(arms, rng, batch, **options)

    def within(self, batch: list[int]) -> tuple[int, int]:
        first = self.any_of(batch)
        others = [i for i in batch if i != first]
        second = self.best([self.upper(i, first) for i in range(self.k)], others or batch)
        return first, second if others else first


class MergeThompson(Merge):
    def __init__(self, arms: int, rng: Rng, batch: int = 16, **options: Any) -> None:
        super().__init__(arms, rng, batch, **options)

    def within(self, batch: list[int]) -> tuple[int, int]:
        n = len(batch)
        beaten = [0] * n
        for i in range(n):
            for j in range(i + 1, n):
                beaten[i if self.sample(batch[i], batch[j]) > 0.5 else j] += 1
        first = self.best([float(b) for b in beaten], list(range(n)))
        chances = [self.sample(batch[i], batch[first]) for i in range(n)]
        chances[first] = 1.0
        return batch[first], batch[chances.index(min(chances))]

    def sample(self, i: int, j: int) -> float:
        got = self.between(i, j)
        return float(self.rng.beta(sum(got) + 1.0, len(got) - sum(got) + 1.0))
