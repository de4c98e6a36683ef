"""An agent of your own. Play it against another, then edit it and give the same command again:

    duelbench run --env LLMDuelPool-v0 --agent mine.py:Mine --agent online --seeds 2 --labels 128 --out results/mine

The same class plays LLMDuel-v0, where a language model writes the responses: leave out --env.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.types import Pair, Responses


class Mine:
    """Asks about the two candidates that differ most, and trains the policy on the answers."""

    @dataclass(frozen=True)
    class Config:
        """Options, set with ``--set Mine.candidates=8``; they belong to the identity of a run."""

        candidates: int = 4

    def __init__(self, setup: Any, config: Config | None = None) -> None:
        """``setup`` holds the policy, the learner, the random stream and the budget; no environment and no truth."""
        self.config = config or self.Config()
        self.policy, self.learner, self.rng = setup.policy, setup.learner, setup.rng
        self.evaluation_rng = setup.evaluation_rng  # judging draws from a stream of its own

    def propose(self, observation: Any) -> Pair:
        """Choose a pair of responses for each of B prompts."""
        m = self.config.candidates
        candidates = self.policy.sample(observation, m, self.rng)
        features = candidates.features  # (B, M, d)
        gaps = np.linalg.norm(features[:, :, None] - features[:, None], axis=-1)  # (B, M, M)
        first, second = np.divmod(gaps.reshape(len(gaps), -1).argmax(-1), m)
        return Pair.of(candidates.pick(first), candidates.pick(second))

    def update(self, observation: Any, pair: Pair, feedback: NDArray[np.float64]) -> dict[str, float]:
        """Learn from B answers: 1.0 where the first was preferred, 0.0 the second, 0.5 a tie, NaN no answer."""
        won = np.isin(feedback, (0.0, 1.0))
        metrics: dict[str, float] = self.learner.step(*pair.rows(won).ranked(feedback[won] == 1.0))
        return metrics

    def respond(self, observation: Any) -> Responses:
        """What you would deploy now: one response to each prompt."""
        sample = self.policy.sample(observation, 1, self.evaluation_rng())
        return sample.pick(np.zeros(len(sample), int))
