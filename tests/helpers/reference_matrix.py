"""Classic dueling bandits, one row and one duel at a time, from their pseudo-code: lists, sets and loops.

They draw the same random numbers in the same order as the agents do, and so must make the same decisions.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np


class History:
    """All duels of one row."""

    def __init__(self, arms: int, rng: np.random.Generator) -> None:
        self.arms, self.rng = range(arms), rng
        self.duels: list[tuple[int, int, float]] = []
        self.won: Counter[tuple[int, int]] = Counter()

    def update(self, first: int, second: int, reward: float) -> None:
        self.duels.append((first, second, reward))
        self.won[(first, second) if reward else (second, first)] += 1

    def wins(self, i: int, j: int) -> int:
        return self.won[i, j]

    def played(self, i: int, j: int) -> int:
        return self.wins(i, j) + self.wins(j, i)

    def mean(self, i: int, j: int) -> float:
        n = self.played(i, j)
        return self.wins(i, j) / n if n and i != j else 0.5

    def bound(self, i: int, j: int, side: float, alpha: float = 0.51) -> float:
        """U for side = 1, L for side = −1."""
        if i == j:
            return 0.5
        n = self.played(i, j)
        if not n:
            return 2.0 if side > 0 else 0.0  # 0/0 := 1 in both terms
        return self.wins(i, j) / n + side * math.sqrt(alpha * math.log(len(self.duels) + 1) / n)

    def upper(self, i: int, j: int) -> float:
        return self.bound(i, j, 1.0)

    def lower(self, i: int, j: int) -> float:
        return self.bound(i, j, -1.0)

    def pick(self, values: list[float]) -> int:
        """argmax, ties broken at random."""
        keys = [self.rng.random() for _ in values]
        return max(range(len(values)), key=lambda k: (values[k], keys[k]))

    def choose(self, allowed: set[int], n: int) -> int:
        """A random element; of 0 … n − 1 if there is none."""
        keys = [self.rng.random() for _ in range(n)]
        return max(allowed or range(n), key=lambda k: keys[k])


class RUCB(History):
    hypothesis: int | None = None

    def propose(self) -> tuple[int, int]:
        possible = {i for i in self.arms if all(self.upper(i, j) >= 0.5 for j in self.arms)}
        if self.hypothesis not in possible:
            self.hypothesis = None
        if len(possible) == 1:
            (self.hypothesis,) = possible
        heads = self.rng.random() < 0.5
        other = self.choose(possible - {self.hypothesis}, len(self.arms))
        stay = self.hypothesis is not None and (len(possible) == 1 or heads)
        champion = self.hypothesis if stay else other
        assert champion is not None
        return champion, self.pick([self.upper(j, champion) for j in self.arms])


def chance_above_half(a: float, b: float) -> float:
    """P(θ > ½) for θ ~ Beta(a, b) with whole a and b: at most a − 1 heads in a + b − 1 fair tosses."""
    n = int(a + b - 1)
    return sum(math.comb(n, k) for k in range(int(a))) / 2**n


class Sampler(History):
    def tournament(self) -> list[int]:
        """Copeland scores of a sample of all θ[i, j]."""
        scores = [0 for _ in self.arms]
        for i in self.arms:
            for j in self.arms:
                if i < j:
                    won = self.rng.random() < chance_above_half(self.wins(i, j) + 1, self.wins(j, i) + 1)
                    scores[i if won else j] += 1
        return scores


class RCS(Sampler):
    def propose(self) -> tuple[int, int]:
        scores = self.tournament()
        rare = self.pick([-sum(first == i for first, _, _ in self.duels) for i in self.arms])
        k = len(self.arms)
        champion = scores.index(k - 1) if k - 1 in scores else rare
        return champion, self.pick([self.upper(j, champion) for j in self.arms])


class DoubleTS(Sampler):
    def kept(self) -> list[bool]:
        optimistic = [sum(self.upper(i, j) > 0.5 for j in self.arms) for i in self.arms]
        return [count == max(optimistic) for count in optimistic]

    def first(self) -> int:
        kept, scores = self.kept(), self.tournament()
        return self.pick([scores[i] if kept[i] else -1 for i in self.arms])

    def propose(self) -> tuple[int, int]:
        a = self.first()
        sampled = {a: 0.5}
        for i in self.arms:
            if i != a and self.lower(i, a) <= 0.5:
                sampled[i] = self.rng.beta(self.wins(i, a) + 1, self.wins(a, i) + 1)
        return a, max(sampled, key=lambda i: sampled[i])


class DoubleTSPlus(DoubleTS):
    def first(self) -> int:
        theta = {}
        for i in self.arms:
            for j in self.arms:
                if i < j:
                    theta[i, j] = self.rng.beta(self.wins(i, j) + 1, self.wins(j, i) + 1)
                    theta[j, i] = 1.0 - theta[i, j]
        zeta = [sum(theta[i, j] > 0.5 for j in self.arms if j != i) for i in self.arms]
        kept = [i for i in self.arms if self.kept()[i]]
        best = [i for i in kept if zeta[i] == max(zeta[k] for k in kept)]

        def regret(i: int) -> float:
            others = [j for j in self.arms if j != i]
            return sum((2 * max(zeta) - zeta[i] - zeta[j]) / kl(theta[i, j]) for j in others)

        return min(best, key=regret)


def kl(p: float) -> float:
    """Bernoulli divergence of p from ½."""
    return sum(q * math.log(2.0 * q) for q in (p, 1.0 - p) if q > 0)


class RMED1(History):
    initial = 1

    def __init__(self, arms: int, rng: np.random.Generator) -> None:
        super().__init__(arms, rng)
        pairs = [(i, j) for i in self.arms for j in self.arms if i < j]
        self.to_draw = pairs * self.initial
        self.pass_: list[int] = list(self.arms)  # L_C, what is left of it
        self.remaining: set[int] = set(self.arms)  # L_R
        self.next: set[int] = set()  # L_N
        self.in_pass = False

    def opponents(self, i: int) -> list[int]:
        return [j for j in self.arms if j != i and self.mean(i, j) <= 0.5]

    def against(self, i: int) -> float:
        return sum(self.played(i, j) * kl(self.mean(i, j)) for j in self.opponents(i))

    def propose(self) -> tuple[int, int]:
        if self.to_draw:
            return self.to_draw.pop(0)
        leader = self.pick([-self.against(i) for i in self.arms])
        self.learn()
        return self.main(leader)

    def learn(self) -> None:
        """The end of the loop over L_C: what follows from the last answer."""
        if self.in_pass:
            evidence = [self.against(i) for i in self.arms]
            slack = math.log(len(self.duels)) + 0.3 * len(self.arms) ** 1.01
            self.next |= {j for j in self.arms if j not in self.remaining and evidence[j] - min(evidence) <= slack}
        if not self.pass_:
            self.pass_, self.remaining, self.next = sorted(self.next), set(self.next), set()

    def main(self, leader: int) -> tuple[int, int]:
        arm = self.pass_.pop(0)
        self.remaining.remove(arm)
        self.in_pass = True
        return arm, self.opponent(arm, leader)

    def opponent(self, arm: int, leader: int) -> int:
        opponents = self.opponents(arm)
        if leader in opponents or not opponents:
            return leader
        return self.pick([-self.mean(arm, j) if j in opponents else -1.0 for j in self.arms])


class RMED2(RMED1):
    def __init__(self, arms: int, rng: np.random.Generator) -> None:
        super().__init__(arms, rng)
        self.asked: Counter[tuple[int, ...]] = Counter()

    def propose(self) -> tuple[int, int]:
        pair = super().propose()
        self.asked[tuple(sorted(pair))] += 1
        return pair

    def main(self, leader: int) -> tuple[int, int]:
        enough = 3.0 * math.log(math.log(max(len(self.duels), 3)))
        for i in self.arms:
            for j in self.arms:
                if i < j and self.asked[i, j] < enough:
                    self.opponent(self.pass_[0], leader)  # the agent asks in vain, other rows may need it
                    self.in_pass = False
                    return i, j
        return super().main(leader)

    def opponent(self, arm: int, leader: int) -> int:
        usual, cheap = super().opponent(arm, leader), self.cheap(arm, leader)
        if cheap not in self.opponents(arm):
            return usual
        loglog = math.log(math.log(max(len(self.duels), 3)))
        neglected = self.played(arm, leader) <= self.played(arm, cheap) / loglog
        return leader if leader in self.opponents(arm) and neglected else cheap

    def cheap(self, arm: int, leader: int) -> int:
        """The cheapest opponent; the arm itself stands for none."""
        regret = [max(self.mean(leader, arm) + self.mean(leader, j) - 1.0, 0.01) for j in self.arms]
        beaten_by = [j for j in self.arms if self.mean(arm, j) < 0.5]
        values = [-regret[j] / kl(self.mean(arm, j)) if j in beaten_by else -math.inf for j in self.arms]
        best = self.pick(values)
        return best if beaten_by else arm


class RMED2FH(RMED2):
    initial = math.ceil(3.0 * math.log(math.log(400)))
    fixed: list[int] | None = None

    def main(self, leader: int) -> tuple[int, int]:
        if self.fixed is None:
            found = [super(RMED2FH, self).cheap(i, leader) for i in self.arms]
            self.fixed = [leader if b == i else b for i, b in enumerate(found)]
        return RMED1.main(self, leader)

    def cheap(self, arm: int, leader: int) -> int:
        assert self.fixed is not None
        return self.fixed[arm]


class CCB(History):
    def __init__(self, arms: int, rng: np.random.Generator) -> None:
        super().__init__(arms, rng)
        self.reset()

    def reset(self) -> None:
        self.best = set(self.arms)
        self.threats: list[set[int]] = [set() for _ in self.arms]
        self.losses = len(self.arms)

    def propose(self) -> tuple[int, int]:
        k = len(self.arms)
        u = [[self.upper(i, j) for j in self.arms] for i in self.arms]
        low = [[self.lower(i, j) for j in self.arms] for i in self.arms]
        optimistic = [sum(u[i][j] >= 0.5 for j in self.arms if j != i) for i in self.arms]
        pessimistic = [sum(low[i][j] >= 0.5 for j in self.arms if j != i) for i in self.arms]
        candidates = {i for i in self.arms if optimistic[i] == max(optimistic)}
        if any(low[i][j] > 0.5 for i in self.arms for j in self.threats[i]):
            self.reset()
        for i in sorted(self.best):
            if optimistic[i] < max(pessimistic):
                self.best.remove(i)
                if len(self.threats[i]) != self.losses + 1:
                    self.threats[i] = {j for j in self.arms if u[i][j] < 0.5}
        if not self.best:
            self.reset()
        for i in sorted(candidates):
            if optimistic[i] == pessimistic[i]:
                self.add(i, k - 1 - optimistic[i])
        coin = self.rng.random() < 2.0 / 3.0
        both = candidates & self.best
        c = self.choose(both if both and coin else candidates, k)
        allowed = {j for j in self.arms if low[j][c] <= 0.5}
        threats = allowed & self.threats[c]
        coin = self.rng.random() < 0.5
        pool = threats if threats and coin else allowed
        value = [u[j][c] if j in pool else -1.0 for j in self.arms]
        if c in pool and any(value[j] == 0.5 for j in self.arms if j != c):
            value[c] = -1.0
        d = self.pick(value)
        open_pairs = {i * k + j for i in self.arms for j in self.threats[i] if low[i][j] <= 0.5 <= u[i][j]}
        if self.rng.random() < 0.25 and open_pairs:
            return divmod(self.choose(open_pairs, k * k), k)
        return c, d

    def add(self, i: int, losses: int) -> None:
        self.best.add(i)
        self.threats[i] = set()
        self.losses = losses
        for j in self.arms:
            if len(self.threats[j]) < losses + 1:
                self.threats[j] = set()
            elif len(self.threats[j]) > losses + 1:
                keys = [self.rng.random() for _ in self.arms]
                self.threats[j] = set(sorted(self.threats[j], key=lambda a: keys[a])[-(losses + 1) :])
