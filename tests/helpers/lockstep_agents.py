"""Agents by path for the tests of lock-step runs."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids
from duelbench.types import Observation


class Recorder(ArmAgent):
    """Plays numbered pairs and checks that every answer comes with what was asked."""

    log: ClassVar[list[Any]] = []

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        type(self).log = []
        self.asked: dict[tuple[int, int, int], list[bytes]] = {}
        self.t = 0

    def propose(self, observation: Observation) -> Duels:
        n, arms = self.setup.rows, self.setup.arms
        first = (self.t + np.arange(n)) % arms
        second = (self.t // arms + first + 1) % arms
        for row in range(n):
            key = (row, int(first[row]), int(second[row]))
            self.asked.setdefault(key, []).append(self._seen(observation, row))
        self.t += 1
        return first, second

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        for row in np.flatnonzero(~np.isnan(feedback)).tolist():
            key = (row, int(firsts[row]), int(seconds[row]))
            assert self._seen(observation, row) in self.asked[key]
            self.asked[key].remove(self._seen(observation, row))
            self.log.append((self.t, *key, float(feedback[row])))

    def respond(self, observation: Observation) -> Ids:
        return np.zeros(self.setup.rows, np.int64)

    @staticmethod
    def _seen(observation: Observation, row: int) -> bytes:
        return b"".join(np.asarray(values[row]).tobytes() for values in observation.values())


class Broken(ArmAgent):
    """Fails in its first round."""

    def propose(self, observation: Observation) -> Duels:
        raise RuntimeError("no idea")

    def respond(self, observation: Observation) -> Ids:
        return np.zeros(self.setup.rows, np.int64)
