"""The contextual agents as plain scalar versions that remember every duel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pair = tuple[int, int]
ARMS, DIM, ROUNDS = 5, 3, 250
ROOT = np.sqrt(DIM * np.log(ROUNDS))


class Memory:
    """Every duel of one learner: difference, answer, weight."""

    def __init__(self, ridge: float, start: float | None = None) -> None:
        self.ridge, self.v = ridge, (ridge if start is None else start) * np.eye(DIM)
        self.z: list[Floats] = []
        self.y: list[float] = []
        self.w: list[float] = []

    def add(self, z: Floats, y: float, w: float = 1.0) -> None:
        self.v = self.v + w * np.outer(z, z)
        self.z.append(z)
        self.y.append(y)
        self.w.append(w)

    def theta(self) -> Floats:
        """Newton's method from 0, steps halved until the loss decreases."""
        theta = np.zeros(DIM)
        if not self.z:
            return theta
        z, y, w = np.array(self.z), np.array(self.y), np.array(self.w)

        def loss(theta: Floats) -> float:
            return float(self.ridge / 2 * theta @ theta + (w * (np.logaddexp(0, z @ theta) - y * (z @ theta))).sum())

        for _ in range(60):
            p = 1 / (1 + np.exp(-(z @ theta)))
            hessian = self.ridge * np.eye(DIM) + z.T @ (z * (w * p * (1 - p))[:, None])
            step = np.linalg.solve(hessian, self.ridge * theta + z.T @ (w * (p - y)))
            while loss(theta - step) > loss(theta) + 1e-9:
                step = step / 2
            theta = theta - step
            if np.abs(step).max() < 1e-11:
                break
        return theta

    def width(self, z: Floats) -> float:
        return float(np.sqrt(max(0.0, float(z @ np.linalg.inv(self.v) @ z))))


def widths_of(x: Floats, memory: Memory) -> dict[Pair, float]:
    inverse = np.linalg.inv(memory.v)
    pairs = [(i, j, x[i] - x[j]) for i in range(ARMS) for j in range(ARMS)]
    return {(i, j): float(np.sqrt(max(0.0, float(z @ inverse @ z)))) for i, j, z in pairs}


def best(pairs: list[Pair], value: Callable[[Pair], float]) -> Pair:
    return max(pairs, key=value)


def sided(pair: Pair, drawn: float) -> Pair:
    return (max(pair), min(pair)) if drawn < 0.5 else (min(pair), max(pair))


ALL_PAIRS = [(i, j) for i in range(ARMS) for j in range(i, ARMS)]


class ScalarMaxInP:
    def __init__(self, rng: np.random.Generator, width: float = 2.0) -> None:
        self.rng, self.eta, self.memory = rng, width * ROOT, Memory(1.0)

    def ask(self, x: Floats) -> Pair:
        u, w = x @ self.memory.theta(), widths_of(x, self.memory)
        able = [i for i in range(ARMS) if all(u[i] - u[j] + self.eta * w[i, j] >= 0 for j in range(ARMS) if j != i)]
        pair = best([p for p in ALL_PAIRS if p[0] in able and p[1] in able], lambda p: w[p])
        return sided(pair, self.rng.random())

    def learn(self, x: Floats, pair: Pair, won: float) -> None:
        self.memory.add(x[pair[0]] - x[pair[1]], won)


class ScalarMaxPairUCB(ScalarMaxInP):
    def ask(self, x: Floats) -> Pair:
        u, w = x @ self.memory.theta(), widths_of(x, self.memory)
        return sided(best(ALL_PAIRS, lambda p: u[p[0]] + u[p[1]] + self.eta * w[p]), self.rng.random())


class ScalarRCDB(ScalarMaxPairUCB):
    def learn(self, x: Floats, pair: Pair, won: float) -> None:
        z = x[pair[0]] - x[pair[1]]
        if pair[0] != pair[1]:
            self.memory.add(z, won, min(1.0, 0.3 / self.memory.width(z)))


class ScalarCoLSTIM(ScalarMaxInP):
    asked = 0

    def ask(self, x: Floats) -> Pair:
        theta, inverse = self.memory.theta(), np.linalg.inv(self.memory.v)
        self.asked += 1
        independent = self.rng.random() < min(1.0, DIM * np.log(DIM * ROUNDS) / np.sqrt(self.asked))
        gumbel = [self.rng.gumbel() for _ in range(ARMS)]
        values = []
        for i in range(ARMS):
            noise = min(ROOT, max(-ROOT, gumbel[i] if independent else gumbel[0]))
            values.append(x[i] @ theta + noise * np.sqrt(x[i] @ inverse @ x[i]))
        first = int(np.argmax(values))
        rival = [(x[j] - x[first]) @ theta + self.eta * self.memory.width(x[j] - x[first]) for j in range(ARMS)]
        return first, int(np.argmax(rival))


class ScalarVACDB:
    layers, layer_ridge, used = 3, 0.02, 0

    def __init__(self, rng: np.random.Generator, width: float) -> None:
        self.rng, self.beta = rng, width * ROOT
        self.memories = {k: Memory(self.layer_ridge * 4.0**-k, 4.0**-k) for k in range(1, self.layers + 1)}
        self.asking: int | None = None
        self.exploited = 0

    def ask(self, x: Floats) -> Pair:
        drawn, left, layer = self.rng.random(), list(range(ARMS)), 1
        while True:
            memory = self.memories[layer]
            w, u = widths_of(x, memory), x @ memory.theta()
            pairs = [(i, j) for i in left for j in left]
            if all(w[p] <= 2.0**-self.layers for p in pairs):
                self.asking, self.exploited = None, self.exploited + 1
                unordered = [p for p in pairs if p[0] <= p[1]]
                value = {p: u[p[0]] + u[p[1]] + self.beta * w[p] for p in unordered}
                return sided(best(unordered, value.__getitem__), drawn)
            if all(w[p] <= 2.0**-layer for p in pairs):
                top = max(u[i] for i in left)
                left = [i for i in left if u[i] >= top - 2.0**-layer * self.beta]
                layer += 1
            else:
                wide = [p for p in pairs if w[p] > 2.0**-layer]
                self.asking = layer
                return wide[int(drawn * len(wide))]

    def learn(self, x: Floats, pair: Pair, won: float) -> None:
        z = x[pair[0]] - x[pair[1]]
        layer = self.asking
        if layer is None:  # an exploiting duel teaches the first layer that does not know its width yet
            layer = next((k for k, memory in self.memories.items() if memory.width(z) > 2.0**-k), None)
        if layer is not None:
            self.memories[layer].add(z, won, (2.0**-layer / self.memories[layer].width(z)) ** 2)


class ScalarStaD:
    def __init__(self, rng: np.random.Generator, width: float) -> None:
        self.rng, self.eta = rng, width * ROOT
        self.memories: dict[int, Memory] = {}
        self.asking: int | None = None
        self.exploited = 0

    def ask(self, x: Floats) -> Pair:
        drawn, left, stage = self.rng.random(), list(range(ARMS)), 1
        while True:
            memory = self.memories.setdefault(stage, Memory(1.0))
            w, u = widths_of(x, memory), x @ memory.theta()
            pairs = [(i, j) for i in left for j in left]
            if all(self.eta * w[p] <= 1 / np.sqrt(ROUNDS) for p in pairs):
                self.asking, self.exploited = None, self.exploited + 1
                first = max(left, key=lambda i: float(u[i]))
                return first, max(left, key=lambda j: float(u[j] - u[first] + self.eta * w[first, j]))
            if all(self.eta * w[p] <= 2.0**-stage for p in pairs):
                top = max(u[i] for i in left)
                left = [i for i in left if u[i] + 2.0**-stage >= top]
                stage += 1
            else:
                wide = [p for p in pairs if self.eta * w[p] > 2.0**-stage]
                self.asking = stage
                return wide[int(drawn * len(wide))]

    def learn(self, x: Floats, pair: Pair, won: float) -> None:
        z, stage = x[pair[0]] - x[pair[1]], self.asking
        if stage is None:
            wide = (s for s in range(1, 9) if self.eta * self.memories.setdefault(s, Memory(1.0)).width(z) > 2.0**-s)
            stage = next(wide, None)
        if stage is not None:
            self.memories[stage].add(z, won)
