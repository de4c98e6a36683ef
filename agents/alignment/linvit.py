"""LINVIT for duels: optimistic values, kept near the language model (after Zhang et al. 2024, arXiv 2402.16181).

LINVIT regularises value-based reinforcement learning by the KL divergence from the language model's policy and adds
optimism. Only that principle was read (the paper's abstract); its one-step form is derived here: of all policies,
π(y|x) ∝ π_ref(y|x) · exp(r̂(x, y) / λ) maximises E r̂ − λ KL(π ‖ π_ref). The reward is the mean of a posterior, the
optimistic one adds ``optimism`` standard deviations of the members, each centred over a prompt's candidates because
preferences do not settle a constant.

The policy is exact where responses can be listed. With a language model it is self-normalised importance sampling:
candidates drawn from the reference, weighted by exp(r̂ / λ). No weight of the model is trained.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from duelbench.agents.alignment.candidates import candidates, draw, gibbs, same_as
from duelbench.agents.alignment.reward_model import RewardLearningAgent
from duelbench.plugins import Choice
from duelbench.posteriors.registry import choose_posterior
from duelbench.ranges import Checked, Count, NonNegative, Positive
from duelbench.types import Metrics, Observation, Pair, Responses


@dataclass(frozen=True)
class LINVITConfig(Checked):
    """Hyper-parameters of the one-step LINVIT.

    Attributes:
        temperature: λ, the weight of the KL divergence from the reference, in units of reward.
        optimism: standard deviations added to the mean reward while duelling.
        candidates: M, reference samples a prompt where responses cannot be listed.
        posterior: the reward model: a name of ``duelbench.posteriors.registry.POSTERIORS`` or a class.
    """

    temperature: Positive = 0.2
    optimism: NonNegative = 1.0
    candidates: Count = 16
    posterior: Choice = field(default_factory=choose_posterior)


class LINVIT(RewardLearningAgent):
    """Draws duels from the optimistic KL-regularised policy and deploys the one without optimism."""

    Config = LINVITConfig

    def propose(self, observation: Observation) -> Pair:
        """Two different draws from the optimistic policy."""
        seen, log_probs = self.plan(observation, self.rng, self.config.optimism)
        first = draw(log_probs, self.rng)
        return Pair.of(seen.pick(first), seen.pick(draw(log_probs, self.rng, without=same_as(seen, first))))

    def plan(
        self, observation: Observation, rng: np.random.Generator, optimism: float
    ) -> tuple[Responses, NDArray[np.float64]]:
        """Candidates and the KL-regularised policy's log-probabilities of them, (B, M)."""
        seen, log_weights = candidates(self.policy, observation, self.config.candidates, rng)
        rewards = self.believed(seen)  # (K, B, M)
        rewards = rewards - rewards.mean(-1, keepdims=True)
        optimistic = rewards.mean(0) + optimism * rewards.std(0)
        return seen, gibbs(optimistic, log_weights, self.config.temperature)

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """The reward model learns from the decided duels; the language model is never trained."""
        return self.learn_rewards(pair, feedback)

    def respond(self, observation: Observation) -> Responses:
        """A draw from the KL-regularised policy of the mean reward."""
        rng = self.setup.evaluation_rng()
        seen, log_probs = self.plan(observation, rng, 0.0)
        return seen.pick(draw(log_probs, rng))
