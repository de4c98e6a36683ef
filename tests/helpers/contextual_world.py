"""Linear utilities that remember every duel, for contextual agents."""

from __future__ import annotations

import numpy as np

import duelbench  # noqa: F401 - registers the environments
from duelbench.agents.arms.base import ArmSetup


def setup_of(rows, arms, dim, seed=0, fixed=True, labels=300):
    return ArmSetup(rows, arms, dim, labels, np.random.default_rng(seed), fixed)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class World:
    """S rows of linear utilities; remembers every duel."""

    def __init__(self, rows, arms, dim, fixed, seed=0):
        self.rng = np.random.default_rng(seed + 1000)
        self.rows, self.shape, self.fixed = np.arange(rows), (rows, arms, dim), fixed
        self.theta = self.rng.standard_normal((rows, dim)) * 1.5
        self.features = self.draw()
        self.history = []

    def draw(self):
        return self.rng.uniform(-1, 1, self.shape).astype(np.float32)

    def observe(self):
        if not self.fixed:
            self.features = self.draw()
        return {"features": self.features}

    def answer(self, firsts, seconds):
        x, y = self.features[self.rows, firsts], self.features[self.rows, seconds]
        wins = (self.rng.random(len(x)) < sigmoid(((x - y) * self.theta).sum(-1))).astype(float)
        self.history.append((self.features.astype(float), firsts, seconds, wins))
        return wins

    def duels(self, row=0):
        """(context, first, second, won) of a row."""
        return [(f[row], int(i[row]), int(j[row]), float(w[row])) for f, i, j, w in self.history]
