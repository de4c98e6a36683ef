"""What every agent with a reward model shares: candidates, beliefs about their rewards, a rule that picks the duel.

Each round: M candidates a prompt from the current policy; a posterior of reward models scores them; a rule picks two of
them; a selection says which prompts are worth a label; the reward model and the policy learn from the answers. Rule,
posterior and selection are plugins, named in the config with their options. With no more than this class, each rule is
an agent of its own (``duelbench.agents.alignment.table``), so that their runs differ by the rule alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from scipy.special import expit

from duelbench.acquisition import Rewards, choose_rule
from duelbench.acquisition.prompts import Proposal, choose_prompts, make_prompt_selection
from duelbench.agents.alignment.base import LearningAgent, Setup
from duelbench.plugins import Choice
from duelbench.posteriors.registry import choose_posterior
from duelbench.posteriors.responses import learn_from, rewards_of
from duelbench.protocols import ReadsPrompts, TextPosterior
from duelbench.ranges import Checked, Count
from duelbench.types import Detail, Metrics, Observation, Pair, Responses, concatenate


@dataclass(frozen=True)
class RewardModelConfig(Checked):
    """Hyper-parameters of every agent with a reward model.

    Attributes:
        selection: rule that picks the pair: a name of ``duelbench.acquisition.RULES`` (``bai``, ``infomax`` ...)
            or a function ``rule(R, rng) -> (first, second)``; ``selection.NAME`` sets an option of the rule.
        candidates: M, responses sampled a prompt (SEA's paper: 20; time grows with M).
        prompt_selection: which prompts are worth a label: a name of ``duelbench.acquisition.prompts``; ``none``: all.
        oversample: prompts seen for each that is kept, where prompts are selected.
        posterior: the reward model: a name of ``duelbench.posteriors.registry.POSTERIORS`` or a class;
            ``posterior.NAME`` sets an option of the posterior.
        best_of: responses from which the posterior's mean picks the one deployed; 1 deploys the policy itself.
        train_policy: False learns the reward model only and leaves the policy as it is (with ``best_of``: variant 7 of
            the SEA paper's table 1, after Dwaracherla et al. 2024).
    """

    selection: Choice = field(default_factory=choose_rule)
    candidates: Annotated[int, Ge(2)] = 16
    prompt_selection: Choice = field(default_factory=choose_prompts)
    oversample: Annotated[float, Ge(1)] = 4.0
    posterior: Choice = field(default_factory=choose_posterior)
    best_of: Count = 1
    train_policy: bool = True


class RewardLearningAgent(LearningAgent):
    """Learns a reward model from the answers; its config names the ``posterior``.

    Attributes:
        posterior: the reward model.
        labels_seen: answers with a winner so far.
    """

    def __init__(self, setup: Setup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.posterior = self.config.posterior.make(self.policy.feature_dim, self.rng)
        if isinstance(self.posterior, TextPosterior) and not isinstance(self.policy, ReadsPrompts):
            raise ValueError(
                f"the posterior {self.config.posterior.name!r} reads texts, and the candidates here are known by their "
                "features alone: play it where a language model writes (LLMDuel-v0), or take another posterior"
            )
        self.labels_seen = 0

    def learn_rewards(self, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """The posterior learns from the duels that have a winner."""
        decided = np.isin(feedback, (0.0, 1.0))
        self.labels_seen += int(decided.sum())
        if not decided.any():
            return {}
        chosen, rejected = pair.rows(decided).ranked(feedback[decided] == 1.0)
        return learn_from(self.posterior, chosen, rejected, self.labels_seen)

    def believed(self, responses: Responses) -> Rewards:
        """R[e, ...]: rewards of responses of shape S by each posterior sample, (E, S)."""
        return rewards_of(self.posterior, responses)

    def state_dict(self) -> dict[str, Any]:
        """What every learning agent keeps, and the reward model."""
        return super().state_dict() | {"posterior": self.posterior.state_dict(), "labels_seen": self.labels_seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        super().load_state_dict(state)
        self.posterior.load_state_dict(state["posterior"])
        self.labels_seen = state["labels_seen"]


class RewardModelAgent(RewardLearningAgent):
    """Picks duels by a posterior over rewards, and learns both from the answers."""

    Config: ClassVar[type] = RewardModelConfig

    def __init__(self, setup: Setup, config: Any = None) -> None:
        super().__init__(setup, config)
        self.rule = self.config.selection.make()
        self.prompts = make_prompt_selection(self.config.prompt_selection, self.policy.feature_dim)
        self.prompts_per_label = 1.0 if self.config.prompt_selection.name == "none" else self.config.oversample

    def propose(self, observation: Observation) -> Pair:
        """Duels by the rule; those of prompts that are not worth a label are not asked."""
        duel = self.consider(observation)
        return self.pair(duel.candidates, duel.first, duel.second, self.keep(duel))

    def pair(
        self,
        candidates: Responses,
        first: NDArray[np.int64],
        second: NDArray[np.int64],
        ask: NDArray[np.bool_],
        **payload: Any,
    ) -> Pair:
        """Duels of these columns (B,) of the candidates, with all that the policy's loss needs of them."""
        both = self.policy.referenced(concatenate([candidates.pick(first), candidates.pick(second)]))
        n = len(candidates)
        return Pair(both.rows(np.arange(n)), both.rows(np.arange(n, 2 * n)), ask, payload)

    def consider(self, observation: Observation, *, reference: bool = False) -> Proposal:
        """Candidates of the current policy or of its reference, their rewards, and the pairs that the rule picks."""
        # only a selection of prompts may look at the reference's log-probabilities of all candidates
        detail: Detail = "features" if self.config.prompt_selection.name == "none" else "all"
        n = self.config.candidates
        candidates = self.policy.sample(observation, n, self.rng, reference=reference, detail=detail)
        rewards = self.rewards(candidates)  # (E, B, M)
        return Proposal(candidates, rewards, *self.rule(rewards, self.rng))

    def keep(self, duel: Proposal) -> NDArray[np.bool_]:
        """Which prompts are worth a label, (B,)."""
        return self.prompts.keep(duel, self.labelled(len(duel.first)))

    def labelled(self, seen: int) -> int:
        """How many of the prompts seen get a label: at least one."""
        return min(seen, max(1, round(seen / self.prompts_per_label)))

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """Reward model and policy learn from the answers."""
        metrics = self.learn_rewards(pair, feedback)
        return metrics | self.train(pair, np.isin(feedback, (0.0, 1.0)), feedback == 1.0)

    def train(self, pair: Pair, rows: NDArray[np.bool_], first_wins: NDArray[np.bool_]) -> Metrics:
        """The policy learns from these rows (B,) of the pairs, given which first responses are better, (B,)."""
        if not self.config.train_policy or not rows.any():
            return {}
        return self.learn(pair.rows(rows), first_wins[rows])

    def respond(self, observation: Observation) -> Responses:
        """A sample of the policy, or the best of several by the posterior's mean reward."""
        if self.config.best_of == 1:
            return super().respond(observation)
        n, rng = self.config.best_of, self.setup.evaluation_rng()
        candidates = self.policy.sample(observation, n, rng, detail="features")
        return candidates.pick(self.believed(candidates).mean(0).argmax(-1))

    def predict(
        self, observation: Observation, first: Responses, second: Responses
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """P(first preferred) by each posterior sample: their mean and standard deviation, (B,) each."""
        gaps = self.believed(first) - self.believed(second)  # (E, B)
        probability = expit(gaps.astype(np.float64))
        return probability.mean(0), probability.std(0)

    def rewards(self, candidates: Responses) -> Rewards:
        """R[e, b, m]; a duplicated response takes the reward of its first occurrence, so no rule prefers a copy."""
        copied: Rewards = np.take_along_axis(self.believed(candidates), candidates.canonical[None], axis=-1)
        return copied

    def state_dict(self) -> dict[str, Any]:
        """What every agent that learns rewards keeps, and the selection of prompts."""
        return super().state_dict() | {"prompts": self.prompts.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        super().load_state_dict(state)
        self.prompts.load_state_dict(state["prompts"])
