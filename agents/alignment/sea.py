"""SEA: sample-efficient alignment by Thompson sampling (arXiv 2411.01493, Algorithm 2).

Each round: M candidates a prompt from the current policy; an ensemble of reward models picks the duel by Thompson
sampling, for best-arm identification (``bai``) or to explore and exploit (``ee``); the oracle labels a share γ of the
duels, and the ensemble labels the others itself (mixed preference learning); then the ensemble learns from the real
labels and the policy takes one step on all of them.

That is the default. Any other rule for pairs, posterior and selection of prompts can be named in their place.

Where the paper and the authors' code (oat) differ, a switch is named here and the paper is the default:

| switch         | paper        | code                                                              |
|----------------|--------------|-------------------------------------------------------------------|
| bai_scale      | probability  | logit                                                             |
| member         | prompt       | batch                                                             |
| synthetic_pair | thompson     | max_gap                                                           |
| mixing         | bernoulli    | count                                                             |
| clash          | (never ends) | identical; second_best, the first member's, is an option          |

Other differences, for which there is no switch or the default is of our own ("steps" and the like: ``ensemble.steps``):

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

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from duelbench import acquisition
from duelbench.acquisition.prompts import Proposal, find_prompt_selection
from duelbench.agents.alignment.base import LearningAgent, Setup
from duelbench.posteriors.dropout import DropoutConfig
from duelbench.posteriors.ensemble import EnsembleConfig
from duelbench.posteriors.gibbs import GibbsConfig
from duelbench.posteriors.laplace import LaplaceConfig
from duelbench.posteriors.prior_ensemble import PriorEnsembleConfig
from duelbench.posteriors.registry import find_posterior
from duelbench.types import Metrics, Observation, Pair, Responses


@dataclass(frozen=True)
class SEAConfig:
    """Hyper-parameters of SEA.

    Attributes:
        selection: pair-selection rule, a name in ``duelbench.acquisition.RULES`` (``bai``, ``ee``, ``infomax``, …).
        candidates: M, responses sampled a prompt (paper: 20; time grows with M).
        prompt_selection: which prompts are worth a label, a name in ``duelbench.acquisition.prompts``; ``none``: all.
        oversample: prompts seen for each that is kept, where prompts are selected.
        real_share: γ, share of the duels that the oracle labels after the burn-in (paper: 0.7; 1 turns mixing off).
        burn_in: labels before mixing begins, as a share of the budget (paper: 1k of 50k).
        bai_scale: BAI maximises the variance of the ``probability`` or of the ``logit``.
        member: a posterior sample for each ``prompt`` or one for the ``batch``.
        clash: second response of ``ee`` where all members agree.
        synthetic_pair: duels labelled by the ensemble are the ``thompson`` duel or one member's ``max_gap`` pair.
        mixing: each duel is real with probability γ (``bernoulli``) or an exact ``count`` is.
        best_of: responses from which the ensemble's mean picks the one deployed; 1 deploys the policy itself.
        train_policy: False learns the ensemble only and leaves the policy as it is (with ``best_of``: variant 7 of the
            paper's table 1, after Dwaracherla et al. 2024).
        posterior: the reward model, a name in ``duelbench.posteriors.registry.POSTERIORS``.
        ensemble: options of that posterior, as are the fields below.
        prior_ensemble: likewise.
        dropout: likewise.
        laplace: likewise.
        gibbs: likewise.
    """

    selection: str = "bai"
    candidates: int = 16
    prompt_selection: str = "none"
    oversample: float = 4.0
    real_share: float = 0.7
    burn_in: float = 0.02
    bai_scale: Literal["probability", "logit"] = "probability"
    member: Literal["prompt", "batch"] = "prompt"
    clash: Literal["uniform", "second_best", "identical"] = "uniform"
    synthetic_pair: Literal["thompson", "max_gap"] = "thompson"
    mixing: Literal["bernoulli", "count"] = "bernoulli"
    best_of: int = 1
    train_policy: bool = True
    posterior: str = "ensemble"
    ensemble: EnsembleConfig = field(default_factory=EnsembleConfig)
    prior_ensemble: PriorEnsembleConfig = field(default_factory=PriorEnsembleConfig)
    dropout: DropoutConfig = field(default_factory=DropoutConfig)
    laplace: LaplaceConfig = field(default_factory=LaplaceConfig)
    gibbs: GibbsConfig = field(default_factory=GibbsConfig)


class SEA(LearningAgent):
    """Thompson sampling over an ensemble of reward models, with mixed preference learning.

    Args:
        setup: what the run gives.
        config: hyper-parameters.
        rule: an acquisition function used instead of the named one: ``rule(R, rng) -> (first, second)``.
    """

    Config = SEAConfig

    def __init__(self, setup: Setup, config: Any = None, rule: acquisition.Rule | None = None) -> None:
        super().__init__(setup, config)
        options = getattr(self.config, self.config.posterior, None)
        self.posterior = find_posterior(self.config.posterior)(self.policy.feature_dim, self.rng, options)
        self.rule = rule or self._named_rule()
        self.prompts = find_prompt_selection(self.config.prompt_selection, self.policy.feature_dim)
        self.prompts_per_label = self.config.oversample if self.prompts else 1.0
        self.labels_seen = 0

    def _named_rule(self) -> acquisition.Rule:
        c = self.config
        if c.selection == "bai":
            return partial(acquisition.bai_thompson, scale=c.bai_scale, member=c.member)
        if c.selection == "ee":
            return partial(acquisition.ee_thompson, clash=c.clash, member=c.member)
        return acquisition.find_rule(c.selection)

    def propose(self, observation: Observation) -> Pair:
        """Duels by the rule; those of dropped prompts and those that the ensemble labels are not asked."""
        candidates = self.policy.sample(observation, self.config.candidates, self.rng)
        rewards = self._rewards(candidates)  # (K, B, M)
        first, second = self.rule(rewards, self.rng)
        kept = self._keep(Proposal(candidates, rewards, first, second))
        ask = kept & self._real(len(first))
        first, second, synthetic = self._label_synthetic(rewards, first, second, ask)
        payload = {"kept": kept, "synthetic": synthetic}
        return Pair(candidates.pick(first), candidates.pick(second), ask, payload)

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """The ensemble learns from the oracle's labels, the policy from those and the ensemble's own."""
        decided = np.isin(feedback, (0.0, 1.0))
        self.labels_seen += int(decided.sum())
        metrics: Metrics = {}
        if decided.any():
            chosen, rejected = pair.rows(decided).ranked(feedback[decided] == 1.0)
            metrics |= self.posterior.update(chosen.features, rejected.features, self.labels_seen)
        first_wins = np.where(decided, feedback == 1.0, pair.payload["synthetic"])
        learned = (decided | (pair.payload["kept"] & ~pair.ask)) & ~pair.identical
        if self.config.train_policy and learned.any():
            chosen, rejected = pair.rows(learned).ranked(first_wins[learned])
            metrics |= self.learner.step(chosen, rejected)
        return metrics

    def respond(self, observation: Observation) -> Responses:
        """A sample of the policy, or the best of several by the ensemble's mean reward."""
        if self.config.best_of == 1:
            return super().respond(observation)
        candidates = self.policy.sample(observation, self.config.best_of, self.setup.evaluation_rng())
        return candidates.pick(self.posterior.rewards(candidates.features).mean(0).argmax(-1))

    def predict(
        self, observation: Observation, first: Responses, second: Responses
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """P(first preferred) by each member of the ensemble: their mean and standard deviation, (B,) each."""
        gaps = self.posterior.rewards(first.features) - self.posterior.rewards(second.features)  # (K, B)
        probability = expit(gaps.astype(np.float64))
        return probability.mean(0), probability.std(0)

    def _rewards(self, candidates: Responses) -> NDArray[np.float32]:
        """R[e, b, m]; a duplicated response takes the reward of its first occurrence, so no rule prefers a copy."""
        rewards = self.posterior.rewards(candidates.features)
        return np.take_along_axis(rewards, candidates.canonical[None], axis=-1)

    def _keep(self, proposal: Proposal) -> NDArray[np.bool_]:
        """Which prompts are worth a label."""
        seen = len(proposal.first)
        if self.prompts is None:
            return np.ones(seen, bool)
        return self.prompts.keep(proposal, min(seen, max(1, round(seen / self.config.oversample))))

    def _real(self, n: int) -> NDArray[np.bool_]:
        """Which duels the oracle labels."""
        if self.labels_seen < self.config.burn_in * self.setup.labels or self.config.real_share == 1.0:
            return np.ones(n, bool)
        if self.config.mixing == "bernoulli":
            return self.rng.random(n) < self.config.real_share
        return self.rng.permutation(n) >= int((1.0 - self.config.real_share) * n)

    def _label_synthetic(
        self, rewards: NDArray[np.float32], first: NDArray[np.int64], second: NDArray[np.int64], ask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Pairs, and what one randomly drawn member a prompt says of them: does the first win? (B,)"""
        rows = np.arange(len(first))
        drawn = rewards[self.rng.integers(len(rewards), size=len(first)), rows]  # (B, M)
        if self.config.synthetic_pair == "max_gap":
            first, second = np.where(ask, first, drawn.argmax(-1)), np.where(ask, second, drawn.argmin(-1))
        return first, second, drawn[rows, first] > drawn[rows, second]

    def state_dict(self) -> dict[str, Any]:
        """Policy, optimizer, random state and posterior; and what selects prompts, if anything does."""
        prompts = {"prompts": self.prompts.state_dict()} if self.prompts else {}
        own = {"posterior": self.posterior.state_dict(), "labels_seen": self.labels_seen}
        return super().state_dict() | own | prompts

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        super().load_state_dict(state)
        self.posterior.load_state_dict(state["posterior"])
        self.labels_seen = state["labels_seen"]
        if self.prompts:
            self.prompts.load_state_dict(state["prompts"])
