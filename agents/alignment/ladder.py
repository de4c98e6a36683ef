"""A reward model between the label and the policy: the ladder of Asghari et al. 2026 (arXiv 2603.17378).

A direct loss teaches the policy the asked pair and nothing else. Here the answer teaches a reward model, and that
teaches the policy, on the asked pair and on pairs nobody was asked about. Each round, on B labelled prompts and as many
unlabelled ones, with M responses of the current policy to each:

1. a rule picks a pair of every labelled prompt, the oracle answers, and the reward model learns;
2. the *updated* reward model teaches the policy pairs (y, y′): those that were asked, the best and the worst of each
   prompt's M, and on unlabelled prompts the second best and the second worst too. Each of the two responses counts:

       [ p(y ≻ y′) − ½ + ε − β log π(y) / π̄(y) ] ∇ log π(y)      and the same with y and y′ exchanged.

ε is the affirmative nudge: a little of what was sampled is reinforced whatever it is worth. π̄ is the anchor, a moving
average of the policy: π̄ ← η π̄ + (1 − η) π. With η = 1 it stays at the initial policy.

| agent         | asked pair                  | responses to it are from | rule       |
|---------------|-----------------------------|--------------------------|------------|
| `offline_rm`  | random                      | the reference            | `uniform`  |
| `periodic_rm` | random                      | a policy of a while ago  | `uniform`  |
| `online_rm`   | random                      | the current policy       | `uniform`  |
| `ide`         | most informative (infomax)  | the current policy       | `infomax`  |

Verified against secondary sources only (the paper's abstract and four sets of notes on it; the PDF was not at hand).
What differs: the paper's anchor term is a product of token probabilities, here the policy gradient of the KL divergence
of whole responses; its reward model trains its backbone, here features are an encoder's (``policy.features``) and the
posterior is Bayesian logistic regression unless another is named; p is the mean over the posterior, theirs the point
head's. ε, β, η and step sizes are not published: the defaults are ours, from tuning seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from duelbench.acquisition import choose_rule
from duelbench.acquisition.prompts import Proposal
from duelbench.agents.alignment.base import Setup, weights_of
from duelbench.agents.alignment.reward_model import RewardModelAgent, RewardModelConfig
from duelbench.learning.response_losses import ResponseLoss, nash_md
from duelbench.plugins import Choice
from duelbench.ranges import NonNegative, Share
from duelbench.types import Metrics, Observation, Pair, Responses, concatenate


@dataclass(frozen=True)
class LadderConfig(RewardModelConfig):
    """Hyper-parameters of the ladder, and those of every agent with a reward model.

    Attributes:
        objective: the policy climbs the reward model's preference (``reinforce``), or takes the run's direct loss on
            pairs that the reward model labels (``direct``).
        epsilon: ε, the affirmative nudge; 0 turns it off.
        beta: β, weight of the KL divergence from the anchor, of ``reinforce``.
        anchor_decay: η, how much of the anchor stays a round; 1 fixes it at the initial policy.
        unlabelled: prompts without a label for each with one.
        asked_pairs: whether the asked pairs are taught too.
        offline: whether the asked pairs are the reference's and never refreshed.
    """

    selection: Choice = field(default_factory=partial(choose_rule, "infomax"))
    objective: Literal["reinforce", "direct"] = "reinforce"
    epsilon: NonNegative = 0.05
    beta: NonNegative = 0.05
    anchor_decay: Share = 0.9
    unlabelled: NonNegative = 1.0
    asked_pairs: bool = True
    offline: bool = False


class Ladder(RewardModelAgent):
    """Learns a reward model from the answers and the policy from the reward model."""

    Config = LadderConfig

    def __init__(self, setup: Setup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.prompts_per_label *= 1.0 + self.config.unlabelled
        self.anchor: dict[str, Any] = self.policy.state_dict()

    def propose(self, observation: Observation) -> Pair:
        """A duel for the labelled prompts, and the candidates that the policy will learn from."""
        duel = self.consider(observation)
        ask, taught = self.keep(duel), duel.candidates
        if self.config.offline:
            duel = self.consider(observation, reference=True)
        return self.duel(duel, ask, taught)

    def duel(self, proposal: Proposal, ask: NDArray[np.bool_], taught: Responses) -> Pair:
        """The pairs that a rule picked, with the candidates that the policy will learn from."""
        candidates = proposal.candidates
        return Pair(candidates.pick(proposal.first), candidates.pick(proposal.second), ask, {"candidates": taught})

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """The reward model learns from the answers, the policy from the reward model."""
        metrics = self.learn_rewards(pair, feedback)
        if not self.labels_seen:
            return metrics  # a reward model that knows nothing has nothing to teach
        metrics |= self.teach(*self.lessons(pair))
        self._move_anchor()
        return metrics

    def lessons(self, pair: Pair) -> tuple[Responses, Responses]:
        """Pairs that the policy learns from, (n,) and (n,), the one believed better first where that is known."""
        candidates: Responses = pair.payload["candidates"]
        order = np.argsort(-self.rewards(candidates).mean(0), axis=-1, kind="stable")  # (B, M)
        best, worst = candidates.pick(order[:, 0]), candidates.pick(order[:, -1])
        first, second = [best], [worst]
        if self.config.asked_pairs and pair.ask.any():
            asked = pair.rows(pair.ask)
            first, second = [*first, asked.first], [*second, asked.second]
        if not pair.ask.all() and order.shape[1] > 3:
            free = candidates.rows(~pair.ask)
            first = [*first, free.pick(order[~pair.ask, 1])]
            second = [*second, free.pick(order[~pair.ask, -2])]
        ahead, behind = concatenate(first), concatenate(second)
        different = np.flatnonzero(ahead.actions != behind.actions)
        return ahead.rows(different), behind.rows(different)

    def teach(self, first: Responses, second: Responses) -> Metrics:
        """The policy's steps of a round on n pairs that the reward model judges."""
        if not len(first) or not self.config.train_policy:
            return {}
        wins, _ = self.predict({}, first, second)  # (n,)
        if self.config.objective == "direct":
            better = wins >= 0.5
            first, second = self.policy.referenced(first), self.policy.referenced(second)
            chosen, rejected = Responses.where(better, first, second), Responses.where(better, second, first)
            metrics, *_ = [self.learner.step(chosen, rejected) for _ in range(self.learner.config.steps)]
            return metrics
        both = self._anchored(concatenate([first, second]))
        values = np.concatenate([wins, 1.0 - wins]) + self.config.epsilon
        return self.learner.fit(ResponseLoss(both, partial(nash_md, tau=self.config.beta), values))

    def _anchored(self, responses: Responses) -> Responses:
        """The responses with the anchor's log-probabilities in the place of the reference's."""
        if self.config.anchor_decay == 1.0 or not self.config.beta:
            return self.policy.referenced(responses)
        with weights_of(self.policy, self.anchor), torch.no_grad():
            return replace(responses, reference_log_probs=self.policy.log_probs(responses).numpy())

    def _move_anchor(self) -> None:
        decay = self.config.anchor_decay
        if decay < 1.0:
            weights = self.policy.state_dict()
            self.anchor = {name: decay * old + (1.0 - decay) * weights[name] for name, old in self.anchor.items()}

    def state_dict(self) -> dict[str, Any]:
        """What every agent with a reward model keeps, and the anchor."""
        return super().state_dict() | {"anchor": self.anchor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        super().load_state_dict(state)
        weights = self.policy.state_dict()  # where they are: a checkpoint's tensors come on the CPU
        self.anchor = {name: old.to(weights[name].device) for name, old in state["anchor"].items()}
