"""MEX: maximise to explore, in one step (Liu et al. 2023, arXiv 2305.18258).

One reward model is fitted to the duels and to its own value at once; no posterior is kept. MEX takes the hypothesis of
the largest V_f − η L_f, with V its optimal value and L the summed loss on the data; for a reward of responses judged
in duels that is

    argmin_r  Σ_i −log σ(r(y⁺_i) − r(y⁻_i))  −  (1 / η) · E_x [max_y r(x, y) − E_{y ~ π_ref} r(x, y)],

and the duel is between the reward's best response and one of the reference. The objective is the paper's (by a
secondary source and eq. 1.1 of SELM, arXiv 2405.19332); the subtraction of the reference's mean is ours: without it
the value grows without bound, since duels say nothing of a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from duelbench.agents.alignment.base import LearningAgent, Setup
from duelbench.agents.alignment.candidates import candidates, draw, same_as
from duelbench.learning.optimizer_state import load_moments, moments
from duelbench.posteriors.pairs import PairBuffer
from duelbench.ranges import Checked, Count, Natural, NonNegative, Positive
from duelbench.types import Metrics, Observation, Pair, Responses


@dataclass(frozen=True)
class MEXConfig(Checked):
    """Hyper-parameters of MEX.

    Attributes:
        optimism: 1 / η, weight of the value beside the summed loss of all duels. The default was chosen on the pool,
            tuning seeds 1000 to 1002 (of 0, 10 and 100, which differ little).
        candidates: M, reference samples a prompt where responses cannot be listed.
        hidden: width of the reward network's hidden layer.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        steps: gradient steps a round.
        minibatch: duels a step.
    """

    optimism: NonNegative = 10.0
    candidates: Count = 16
    hidden: Count = 128
    learning_rate: Positive = 1e-3
    weight_decay: NonNegative = 0.1
    steps: Natural = 10
    minibatch: Count = 128


def optimistic_loss(chosen: Tensor, rejected: Tensor, rewards: Tensor, weights: Tensor, optimism: float) -> Tensor:
    """MEX's objective divided by the number of duels it is summed over: a scalar.

    Args:
        chosen: rewards of preferred responses, (n,).
        rejected: rewards of their rivals, (n,).
        rewards: of the candidates of some prompts, (B, M).
        weights: the reference's probabilities of these candidates, (B, M).
        optimism: weight of the value beside the mean loss, 1 / (η N) after N duels.
    """
    value = rewards.amax(-1) - (weights * rewards).sum(-1)
    return -logsigmoid(chosen - rejected).mean() - optimism * value.mean()


class MEX(LearningAgent):
    """An explicit reward whose training wants its best response to be good."""

    Config = MEXConfig

    def __init__(self, setup: Setup, config: Any = None) -> None:
        super().__init__(setup, config)
        dim, hidden = self.policy.feature_dim, self.config.hidden
        first, last = nn.Linear(dim, hidden), nn.Linear(hidden, 1, bias=False)
        with torch.no_grad():
            first.weight.copy_(torch.from_numpy(self.rng.standard_normal((hidden, dim)) / np.sqrt(dim)))
            first.bias.zero_()
            last.weight.zero_()
        self._net = nn.Sequential(first, nn.Tanh(), last)
        self._optimizer = torch.optim.AdamW(
            self._net.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay
        )
        self._pairs = PairBuffer(dim, setup.labels)

    def rewards(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """r of features (..., d) -> (...)."""
        with torch.no_grad():
            scores: NDArray[np.float32] = self._net(torch.from_numpy(features)).squeeze(-1).numpy()
        return scores

    def propose(self, observation: Observation) -> Pair:
        """The reward's best response against another one of the reference."""
        seen, log_weights = candidates(self.policy, observation, self.config.candidates, self.rng)
        best = self.rewards(seen.features).argmax(-1)
        rival = draw(log_weights, self.rng, without=same_as(seen, best))
        swap = self.rng.random(len(best)) < 0.5
        first, second = seen.pick(np.where(swap, rival, best)), seen.pick(np.where(swap, best, rival))
        return Pair.of(first, second, features=seen.features, log_weights=log_weights)

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """Fit the reward to all duels so far, and to its value at the prompts of this round."""
        decided = np.isin(feedback, (0.0, 1.0))
        if not decided.any():
            return {}
        chosen, rejected = pair.rows(decided).ranked(feedback[decided] == 1.0)
        self._pairs.add(chosen.features, rejected.features)
        features = torch.from_numpy(pair.payload["features"])
        weights = torch.from_numpy(softmax(pair.payload["log_weights"], axis=-1)).float()
        for _ in range(self.config.steps):
            loss = self._step(features, weights)
        return {"loss": loss}

    def _step(self, features: Tensor, weights: Tensor) -> float:
        n = len(self._pairs)
        drawn = self.rng.integers(n, size=self.config.minibatch)
        both = np.stack([self._pairs.chosen[drawn], self._pairs.rejected[drawn]], 1)
        scores = self._net(torch.from_numpy(both)).squeeze(-1)  # (n, 2)
        rewards = self._net(features).squeeze(-1)  # (B, M)
        loss = optimistic_loss(scores[:, 0], scores[:, 1], rewards, weights, self.config.optimism / n)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return loss.item()

    def respond(self, observation: Observation) -> Responses:
        """The reward's best response."""
        seen, _ = candidates(self.policy, observation, self.config.candidates, self.setup.evaluation_rng())
        return seen.pick(self.rewards(seen.features).argmax(-1))

    def state_dict(self) -> dict[str, Any]:
        """What every learning agent keeps, the reward model with its optimizer, and the duels."""
        own = {
            "net": dict(self._net.state_dict()),
            "moments": moments(self._optimizer),
            "pairs": self._pairs.state_dict(),
        }
        return super().state_dict() | own

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        super().load_state_dict(state)
        self._net.load_state_dict(state["net"])
        load_moments(self._optimizer, state["moments"])
        self._pairs.load_state_dict(state["pairs"])
