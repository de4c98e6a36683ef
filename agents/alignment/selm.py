"""SELM: self-exploring language models (Zhang et al. 2024, arXiv 2405.19332).

Adds an optimistic bonus to the DPO loss: αβ · [log π_θ(y|x) − log π_ref(y|x)] at a response y of the reference,
minimised. Unlike XPO's, y is no part of the duel, the weight carries the loss's β, and the reference moves: every
``iteration_labels`` labels it becomes the policy, in the bonus and in the DPO loss alike.

The paper duels the best and the worst of three responses of the iteration's reference; here, where a label is one
duel, two samples of the current policy meet, so that α = 0 with a reference that stays is passive online learning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.agents.alignment.base import LearningAgent, Setup, first_column, two_samples, weights_of
from duelbench.learning.response_losses import ResponseLoss, selm_bonus
from duelbench.ranges import Checked, Natural, NonNegative
from duelbench.types import Metrics, Observation, Pair, Responses, concatenate


@dataclass(frozen=True)
class SELMConfig(Checked):
    """Hyper-parameters of SELM.

    Attributes:
        alpha: weight of the bonus beside the loss's β (the paper's code: 1e-3 or 1e-4 at β = 0.01; 0 turns it off).
            The default was chosen on the pool, tuning seeds 1000 to 1002: 1 is too much, 0.001 shows no effect.
        iteration_labels: labels after which the policy becomes the reference; 0 keeps the first reference.
    """

    alpha: NonNegative = 0.1
    iteration_labels: Natural = 512


class SELM(LearningAgent):
    """Passive duels, an optimistic bonus, and a reference that moves with the policy."""

    Config = SELMConfig

    def __init__(self, setup: Setup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.labels_seen = 0
        self._moved: dict[str, Any] = {}  # weights of the moved reference; empty while it is the policy's own

    def propose(self, observation: Observation) -> Pair:
        """Two samples of the current policy; one of the reference is put aside for the bonus."""
        pair = two_samples(self.policy, observation, self.rng, reference=False)
        if not self.config.alpha:
            return pair
        return replace(pair, payload={"sampled": self._reference_sample(observation)})

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """One gradient step on the decided duels; between iterations the policy becomes the reference."""
        metrics = super().update(observation, self._against_reference(pair), feedback)
        before, self.labels_seen = self.labels_seen, self.labels_seen + int((~np.isnan(feedback)).sum())
        every = self.config.iteration_labels
        if every and before // every != self.labels_seen // every:
            self._moved = self.policy.state_dict()
        return metrics

    def bonus(self, duels: Pair, rejected: Responses) -> ResponseLoss | None:
        """On the reference's samples for the decided duels."""
        if not self.config.alpha:
            return None
        function = partial(selm_bonus, alpha=self.config.alpha, beta=self.learner.beta)
        return ResponseLoss(duels.payload["sampled"], function)

    def _reference_sample(self, observation: Observation) -> Responses:
        """One response of the reference to each prompt, (B,)."""
        column = first_column(observation)
        if not self._moved:
            return self.policy.sample(observation, 1, self.rng, reference=True).pick(column)
        with weights_of(self.policy, self._moved):
            sampled = self.policy.sample(observation, 1, self.rng).pick(column)
        return replace(sampled, reference_log_probs=sampled.log_probs)

    def _against_reference(self, pair: Pair) -> Pair:
        """The pair with log-probabilities under the reference as it is now."""
        if not self._moved:
            return pair
        with weights_of(self.policy, self._moved):
            scores = self.policy.log_probs(concatenate([pair.first, pair.second])).detach().numpy()
        first, second = np.split(scores, 2)
        return replace(
            pair,
            first=replace(pair.first, reference_log_probs=first),
            second=replace(pair.second, reference_log_probs=second),
        )

    def state_dict(self) -> dict[str, Any]:
        """What every learning agent keeps, and the reference."""
        return super().state_dict() | {"labels_seen": self.labels_seen, "reference": self._moved}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        super().load_state_dict(state)
        self.labels_seen, self._moved = state["labels_seen"], state["reference"]
