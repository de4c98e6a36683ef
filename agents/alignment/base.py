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
from duelbench.learning.replay import Replay
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
    """Learns from every answered duel by gradient steps on the policy; subclasses choose the duels.

    One step a round, on the duels that were just answered, or ``learner.steps`` of them, which cost compute and no
    labels: each further one is on as many duels drawn from all that were ever answered.

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
        self.replay = Replay()

    def propose(self, observation: Observation) -> Pair:
        """The duels to ask."""
        raise NotImplementedError

    def update(self, observation: Observation, pair: Pair, feedback: NDArray[np.float64]) -> Metrics:
        """Learn from the duels that were answered with a winner."""
        decided = np.isin(feedback, (0.0, 1.0))
        return self.learn(pair.rows(decided), feedback[decided] == 1.0) if decided.any() else {}

    def learn(self, duels: Pair, first_wins: NDArray[np.bool_]) -> Metrics:
        """The learner's steps of a round. Returns the metrics of the first.

        Args:
            duels: n new duels, n > 0.
            first_wins: which first responses are better, (n,).
        """
        steps = self.learner.config.steps
        if steps > 1:
            self.replay.add(duels, first_wins)
        metrics = self._policy_step(duels, first_wins)
        for _ in range(steps - 1):
            self._policy_step(*self.replay.draw(len(duels), self.rng))
        return metrics

    def _policy_step(self, duels: Pair, first_wins: NDArray[np.bool_]) -> Metrics:
        chosen, rejected = duels.ranked(first_wins)
        return self.learner.step(chosen, rejected, bonus=self.bonus(duels, rejected))

    def bonus(self, duels: Pair, rejected: Responses) -> ResponseLoss | None:
        """What the agent adds to the loss of each decided duel, if anything.

        Args:
            duels: n decided duels, new or replayed, with what ``propose`` put into their payload.
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
            "replay": self.replay.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self.policy.load_state_dict(state["policy"])
        self.learner.load_state_dict(state["learner"])
        self.rng.bit_generator.state = state["rng"]
        self.replay.load_state_dict(state["replay"])


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
