"""What most agents share: a policy trained on the answered duels by a direct optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from duelbench.agents.entry import NoOptions
from duelbench.learning.learner import PreferenceLearner
from duelbench.learning.response_losses import ResponseLoss
from duelbench.protocols import Policy
from duelbench.types import Metrics, Observation, Pair, Responses


@dataclass(frozen=True)
class Setup:
    """What a run hands to its agent. There is no environment, seed or truth in it.

    Attributes:
        policy: what is aligned, beside its frozen reference.
        learner: takes gradient steps on the policy by the run's direct optimizer (DPO, IPO, SLiC, SimPO).
        rng: the agent's own random stream.
        evaluation_rng: gives a fresh copy of the evaluation stream, so that judging never disturbs learning and
            every judgement uses the same random numbers.
        labels: the run's label budget.
        batch: labels a round.
        demonstrate: gives the observation of k duel prompts and a good response to each, in the environment's form,
            for agents that imitate; None where the task has none. Whoever calls it knows more than its labels.
    """

    policy: Policy
    learner: PreferenceLearner
    rng: np.random.Generator
    evaluation_rng: Callable[[], np.random.Generator]
    labels: int
    batch: int
    demonstrate: Callable[[int], tuple[Observation, NDArray[Any]]] | None = None


class LearningAgent:
    """Learns from every answered duel with one gradient step a round; subclasses choose the duels.

    Attributes:
        Config: dataclass of the agent's hyper-parameters; the command line sets them with ``--set name=value``.
        prompts_per_label: prompts the agent wants to see for each label it buys.
        floor: whether it plays uniform pairs and learns nothing, which makes it the line that scores 0.
    """

    Config: ClassVar[type] = NoOptions
    prompts_per_label: float = 1.0
    floor: ClassVar[bool] = False

    def __init__(self, setup: Setup, config: Any = None) -> None:
        self.setup = setup
        self.policy, self.learner, self.rng = setup.policy, setup.learner, setup.rng
        self.config = self.Config() if config is None else config

    def propose(self, observation: Observation) -> Pair:
        """The duels to ask."""
        raise NotImplementedError

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """One gradient step on the duels that were answered with a winner."""
        decided = np.isin(feedback, (0.0, 1.0))
        if not decided.any():
            return {}
        duels = pair.rows(decided)
        chosen, rejected = duels.ranked(feedback[decided] == 1.0)
        return self.learner.step(chosen, rejected, bonus=self.bonus(duels, rejected))

    def bonus(self, duels: Pair, rejected: Responses) -> ResponseLoss | None:
        """What the agent adds to the loss of each decided duel, if anything.

        Args:
            duels: the n decided duels, with what ``propose`` put into their payload.
            rejected: their dispreferred responses, (n,).
        """
        return None

    def respond(self, observation: Observation) -> Responses:
        """One sample of the current policy for each prompt."""
        sample = self.policy.sample(observation, 1, self.setup.evaluation_rng(), detail="texts")
        return sample.pick(first_column(observation))

    def state_dict(self) -> dict[str, Any]:
        """Everything that a run changes: policy, optimizer, random state."""
        return {
            "policy": self.policy.state_dict(),
            "learner": self.learner.state_dict(),
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self.policy.load_state_dict(state["policy"])
        self.learner.load_state_dict(state["learner"])
        self.rng.bit_generator.state = state["rng"]


def two_samples(policy: Policy, observation: Observation, rng: np.random.Generator, *, reference: bool) -> Pair:
    """A duel between two independent samples of a policy or of its reference."""
    candidates = policy.sample(observation, 2, rng, reference=reference)
    first = first_column(observation)
    return Pair.of(candidates.pick(first), candidates.pick(first + 1))


@contextmanager
def weights_of(policy: Policy, state: dict[str, Any]) -> Iterator[None]:
    """The policy with other weights, those of an earlier or averaged self, for as long as the block lasts."""
    current = policy.state_dict()
    policy.load_state_dict(state)
    try:
        yield
    finally:
        policy.load_state_dict(current)


def first_column(observation: Observation) -> NDArray[np.int64]:
    """The first candidate of every row, (B,)."""
    return np.zeros(len(next(iter(observation.values()))), np.int64)
