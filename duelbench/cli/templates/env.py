"""An environment of your own. Play agents on it, then edit it and give the same command again:

    duelbench run --env mine.py:Mine-v0 --agent rucb --agent double_ts --agent uniform --seeds 20 --labels 500

In Python: ``gym.make(duelbench.envs.resolve_env("mine.py:Mine-v0"))``.
"""

from __future__ import annotations

import numpy as np

import duelbench
from duelbench.envs.arms.family import Family, Instance
from duelbench.envs.arms.matrices import bradley_terry
from duelbench.envs.arms.problem import FixedArms


class Utilities(Family):
    """A new instance for each seed: K arms on a circle, those near a hidden direction are good."""

    def __init__(self, arms: int, scale: float) -> None:
        self.arms, self.scale = arms, scale
        self.dim = 2  # of the features that contextual agents see; 0 for bare arms
        self.name = f"{arms} arms on a circle"

    def draw(self, rng: np.random.Generator) -> Instance:
        """Preferences P[i, j] that arm i beats arm j, and what explains them; regret follows from it exactly."""
        angles = 2 * np.pi * rng.permutation(self.arms) / self.arms
        features = np.stack([np.cos(angles), np.sin(angles)], axis=-1)  # (K, 2)
        hidden = rng.uniform(0, 2 * np.pi)
        utilities = self.scale * features @ np.array([np.cos(hidden), np.sin(hidden)])  # (K,)
        return Instance(bradley_terry(utilities), utilities, features)


class Mine(FixedArms):
    """Arguments are options of the environment: ``--set env.arms=20``.

    Args:
        arms: K.
        scale: scale of the utilities; the smaller, the noisier the answers.
    """

    def __init__(self, arms: int = 10, scale: float = 2.0) -> None:
        super().__init__(Utilities(arms, scale))


duelbench.envs.register("Mine-v0", Mine)
