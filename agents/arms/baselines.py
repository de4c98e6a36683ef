"""The lines every picture needs: uniform pairs, greedy pairs, and the oracle policy, with or without features."""

from __future__ import annotations

from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids
from duelbench.agents.arms.contextual.base import UtilityAgent
from duelbench.agents.arms.matrix.base import MatrixAgent
from duelbench.types import Observation


class GreedyArms(ArmAgent):
    """Duels between the two arms that seem best: by estimated utility where arms have features, else by wins.

    It never explores on purpose, and is often hard to beat.
    """

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.learner = UtilityAgent(setup) if setup.dim else MatrixAgent(setup)

    def propose(self, observation: Observation) -> Duels:
        """The two best scores, ties broken at random."""
        scores = self.scores(observation)
        order = np.lexsort((self.rng.random(scores.shape), -scores), axis=-1)
        return order[:, 0], order[:, 1]

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Learn from every answer."""
        self.learner.update(observation, firsts, seconds, feedback)

    def scores(self, observation: Observation) -> Floats:
        """As estimated."""
        return self.learner.scores(observation)


class UniformArms(GreedyArms):
    """Two different arms, uniformly at random: linear regret, and a strong pure explorer."""

    floor = True

    def propose(self, observation: Observation) -> Duels:
        """A random pair."""
        n, arms = self.setup.rows, self.setup.arms
        first = self.rng.integers(arms, size=n)
        return first, (first + self.rng.integers(1, arms, size=n)) % arms


class OracleArms(ArmAgent):
    """Plays the best arm against itself: no regret. It is told the truth and is no rival."""

    privileged = True

    def propose(self, observation: Observation) -> Duels:
        """The best arm, twice."""
        best = self.respond(observation)
        return best, best

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Nothing to learn."""

    def respond(self, observation: Observation) -> Ids:
        """The best arm."""
        assert self.setup.best is not None
        return self.setup.best()
