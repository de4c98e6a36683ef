"""HeadlineDuel-v0: which headline of an article is clicked most, with a language model's predictions to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duelbench.envs.arms.env import ArmEnv, ArmVectorEnv
from duelbench.envs.arms.headlines import HeadlineArms, HeadlineFamily


class HeadlineDuelEnv(ArmEnv):
    """One duel a step between two headlines of a test; most duels tie.

    Args:
        arms: headlines of a test.
        archive: CSV file of headline tests (``duelbench.envs.arms.headlines.COLUMNS``); None for synthetic ones.
        columns: names of the file's columns where they differ; ``predicted`` names one of predicted click rates.
        predictor_noise: standard deviation of the predicted click rate's error, on the logit scale.
        position_bias: share of the duels in which the first headline wins just for being first.
        conditions: as for ``ArmEnv``.

    >>> import gymnasium as gym, duelbench
    >>> env = gym.make("HeadlineDuel-v0", horizon=8)
    >>> observation, info = env.reset(seed=0)
    >>> observation["predicted_rates"].shape
    (5,)
    """

    def __init__(
        self, arms: int = 5, archive: str | None = None, columns: Mapping[str, str] | None = None,
        predictor_noise: float = 1.0, position_bias: float = 0.0, **conditions: Any,
    ) -> None:  # fmt: skip
        family = HeadlineFamily(arms, archive, columns, predictor_noise)
        super().__init__(HeadlineArms(family, position_bias), **conditions)


class HeadlineDuelVectorEnv(ArmVectorEnv):
    """B duels a step. Arguments as for ``HeadlineDuelEnv``."""

    def __init__(
        self, num_envs: int = 1, arms: int = 5, archive: str | None = None, columns: Mapping[str, str] | None = None,
        predictor_noise: float = 1.0, position_bias: float = 0.0, **conditions: Any,
    ) -> None:  # fmt: skip
        family = HeadlineFamily(arms, archive, columns, predictor_noise)
        super().__init__(HeadlineArms(family, position_bias), num_envs, **conditions)
