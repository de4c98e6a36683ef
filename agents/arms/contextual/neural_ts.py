"""Neural double TS: two members of an ensemble of reward networks are drawn, each names its best arm.

The ensemble is that of SEA (Liu et al. 2024, arXiv 2411.01493; ``duelbench.posteriors.ensemble``): members differ by
their random initial weights, to which they are pulled back. A member drawn uniformly stands for a draw from the
posterior, as in ensemble sampling (Lu & Van Roy 2017, NeurIPS); two independent draws make a duel, as in double
Thompson sampling. The two arms may be one and the same. The first ``min_pairs`` duels of a row are random. What is
deployed is the best arm by the members' mean.

Compared with SEA's, the networks are small: all S · E of them learn in every round.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmAgent, ArmSetup, Duels, Floats, Ids
from duelbench.posteriors.ensemble import EnsembleConfig
from duelbench.posteriors.lockstep import LockstepEnsembles
from duelbench.ranges import Checked, Count
from duelbench.types import Observation


def _small() -> EnsembleConfig:
    return EnsembleConfig(
        members=10, hidden=32, learning_rate=3e-3, steps=1, minibatch=32, min_pairs=8, buffer=5000, init_scale=1.0
    )


@dataclass(frozen=True)
class NeuralTSConfig(Checked):
    """Hyper-parameters of neural double TS.

    Attributes:
        every: answers of a row between two updates.
        ensemble: the reward models of each row.
    """

    every: Count = 1
    ensemble: EnsembleConfig = field(default_factory=_small)


class NeuralTS(ArmAgent):
    """Thompson sampling where utilities are no linear function of the features.

    Attributes:
        posterior: the S ensembles.
        answers: answers of each row, (S,).
    """

    Config = NeuralTSConfig
    needs_features = True

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.answers = np.zeros(setup.rows, np.int64)
        self.posterior = LockstepEnsembles(setup.rows, setup.dim, self.rng, self.config.ensemble)

    def propose(self, observation: Observation) -> Duels:
        """The best arm of each of two random members; random arms in rows that have not begun to learn."""
        shape = (self.setup.rows, 2)
        members = self.rng.integers(self.config.ensemble.members, size=shape)
        pair = self.posterior.rewards(observation["features"], members).argmax(-1)
        unlearned = self.posterior.labels < self.config.ensemble.min_pairs
        if unlearned.any():
            pair = np.where(unlearned[:, None], self.rng.integers(self.setup.arms, size=shape), pair)
        return pair[:, 0], pair[:, 1]

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Remember the duels that were won, and learn; a tie or a self-duel says nothing about rewards.

        Rows learn after those, too: members that agree on an arm would else agree on it for ever.
        """
        won = np.isin(feedback, (0.0, 1.0)) & (firsts != seconds)
        rows = np.flatnonzero(won)
        features, first_won = observation["features"], feedback[rows] == 1.0
        chosen = np.where(first_won, firsts[rows], seconds[rows])
        rejected = np.where(first_won, seconds[rows], firsts[rows])
        self.posterior.add(features[rows, chosen], features[rows, rejected], rows)
        answered = ~np.isnan(feedback)
        self.answers += answered
        self.posterior.learn(answered & (self.answers % self.config.every == 0))

    def scores(self, observation: Observation) -> Floats:
        """Mean reward of the members, (S, K)."""
        return self.posterior.rewards(observation["features"]).mean(1).astype(np.float64)
