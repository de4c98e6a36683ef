"""SEA: sample-efficient alignment by Thompson sampling (arXiv 2411.01493, Algorithm 2).

Each round: M candidates a prompt from the current policy; samples of a posterior over reward models pick the duel by
Thompson sampling, for best-arm identification (``bai``) or to explore and exploit (``ee``); the oracle labels a share γ
of the duels, and the posterior labels the others itself (mixed preference learning); then the posterior learns from the
real labels, and the policy from all of them.

That is the default. Any other rule for pairs, posterior and selection of prompts can be named in their place.

The posterior is the one difference by default: Bayesian logistic regression by the evidence, since the paper's ensemble
of 20 networks is surer than it is right on few labels. ``posterior=ensemble`` brings the paper's back; the rows on it
in the second table are of that.

Where the paper and the authors' code (oat) differ, a switch is named here and the paper is the default:

| switch           | paper        | code                                                              |
|------------------|--------------|-------------------------------------------------------------------|
| selection.scale  | probability  | logit                                                             |
| selection.member | prompt       | batch                                                             |
| synthetic_pair   | thompson     | max_gap                                                           |
| mixing           | bernoulli    | count                                                             |
| selection.clash  | (never ends) | identical; second_best, the first member's, is an option          |

Other differences, without a switch or with a default of our own ("steps" and the like: ``posterior.steps``):

| what                           | paper           | code                              | here                      |
|--------------------------------|-----------------|-----------------------------------|---------------------------|
| ensemble: steps                | 5 a 128 labels  | 5 a 128 prompts                   | 5 a round, of 32 labels   |
| ensemble: first learning       | not said        | with 128 pairs                    | with 32: min_pairs        |
| ensemble: features             | as they are     | as they are                       | standardised¹             |
| ensemble: loss is the mean of  | labelled pairs  | all pairs, some with weight 0²    | pairs with a winner       |
| ensemble: pull, N              | λ‖φ − φ⁰‖, none | λ·(128/N)·mean(φ − φ⁰)², prompts² | the code's, N with winner |
| policy: loss is the mean of    | the batch       | the batch, identical at weight 0  | pairs with a winner³      |
| one response twice (all rules) | not said        | up to 3 uniform draws of another⁴ | not asked, no label       |
| two identical texts            | not said        | asked and counted                 | not asked, no label       |
| burn-in                        | 1,000 of 50,000 | 640 prompts                       | 2 % of the budget         |

1: by mean and spread of the first batch that is scored. 2: synthetic pairs and identical texts lie in its buffer with
weight 0, which dilutes the mean, by 28 % at γ = 0.7; its N counts every prompt that was not synthetic. 3: and the
synthetic ones, if the two texts differ; nearly without effect under AdamW. 4: with ``--exp-rnd-sample``, as in its
script for SEA; only ``ee`` has that here, as ``clash="uniform"``.

The code's synthetic pairs were labelled by the oracle and not counted. That is not offered: here a label is a label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Interval
from numpy.typing import NDArray

from duelbench.acquisition.prompts import Proposal
from duelbench.agents.alignment.reward_model import RewardModelAgent, RewardModelConfig
from duelbench.ranges import Share, at_least
from duelbench.types import Metrics, Observation, Pair


@dataclass(frozen=True)
class SEAConfig(RewardModelConfig):
    """Hyper-parameters of SEA, and those of every agent with a reward model.

    Attributes:
        real_share: γ, share of the duels that the oracle labels after the burn-in (paper: 0.7; 1 turns mixing off).
        burn_in: labels before mixing begins, as a share of the budget (paper: 1k of 50k).
        synthetic_pair: duels labelled by the posterior are the ``thompson`` duel or one member's ``max_gap`` pair.
        mixing: each duel is real with probability γ (``bernoulli``) or an exact ``count`` is.
    """

    real_share: Annotated[float, Interval(gt=0, le=1)] = 0.7
    burn_in: Share = 0.02
    synthetic_pair: Literal["thompson", "max_gap"] = "thompson"
    mixing: Literal["bernoulli", "count"] = "bernoulli"


class SEA(RewardModelAgent):
    """Thompson sampling over reward models, with mixed preference learning."""

    Config = SEAConfig

    def propose(self, observation: Observation) -> Pair:
        """Duels by the rule; those of dropped prompts and those that the posterior labels are not asked."""
        duel = self.consider(observation)
        kept = self.keep(duel)
        ask = kept & self._real(len(kept))
        first, second, first_wins = self._label_synthetic(duel, ask)
        return self.pair(duel.candidates, first, second, ask, kept=kept, first_wins=first_wins)

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """The posterior learns from the oracle's labels, the policy from those and the posterior's own."""
        decided = np.isin(feedback, (0.0, 1.0))
        synthetic = pair.payload["kept"] & ~pair.ask
        first_wins = np.where(decided, feedback == 1.0, pair.payload["first_wins"])
        metrics = self.learn_rewards(pair, feedback)
        return metrics | self.train(pair, (decided | synthetic) & ~pair.identical, first_wins)

    def _real(self, n: int) -> NDArray[np.bool_]:
        """Which duels the oracle labels."""
        burnt_in = self.labels_seen >= at_least(self.config.burn_in, self.setup.labels)
        if not burnt_in or self.config.real_share == 1.0:
            return np.ones(n, bool)
        if self.config.mixing == "bernoulli":
            return self.rng.random(n) < self.config.real_share
        return self.rng.permutation(n) >= n - at_least(self.config.real_share, n)

    def _label_synthetic(
        self, duel: Proposal, ask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Pairs, and what one randomly drawn member a prompt says of them: does the first win? (B,)"""
        rewards, first, second = duel.rewards, duel.first, duel.second
        rows = np.arange(len(first))
        drawn = rewards[self.rng.integers(len(rewards), size=len(first)), rows]  # (B, M)
        if self.config.synthetic_pair == "max_gap":
            first, second = np.where(ask, first, drawn.argmax(-1)), np.where(ask, second, drawn.argmin(-1))
        return first, second, drawn[rows, first] > drawn[rows, second]
