"""What every family of duels can be played under: budget, noise, late answers, identical responses."""

from __future__ import annotations

import operator
from dataclasses import dataclass

from duelbench.duels.preference import Feedback
from duelbench.envs.duel.engine import Engine, Identical
from duelbench.envs.duel.feedback.delay import AnswerBatches, Delay
from duelbench.envs.duel.problem import Problem


def whole_number(name: str, value: object, least: int) -> int:
    """The value as an int.

    Raises:
        ValueError: it is not an integer (a boolean is not one), or it is too small.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    return number


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Conditions of a duel environment, the same for all families.

    Attributes:
        horizon: label budget of an episode, which is truncated there.
        feedback: ``bernoulli`` draws verdicts, ``deterministic`` names the likelier winner.
        flip: probability that a verdict is reversed.
        identical: what a pair of identical responses does: ``skip`` (no label, the oracle is not asked, the next prompt
            comes, the reward is NaN), ``tie`` (0.5, one label, oracle not asked), ``ask`` (the oracle is asked),
            ``error``.
        corrupted: duels at the beginning of an episode in which an adversary names the worse response.
        delay: mean number of duels an answer waits; it then comes in a later step's ``info["answers"]``.
        delay_spread: standard deviation of that number.
        answer_batch: answers come together, with the last of every so many duels; 0 for none. Excludes a delay.
    """

    horizon: int = 1024
    feedback: str = "bernoulli"
    flip: float = 0.0
    identical: Identical = "skip"
    corrupted: int = 0
    delay: float = 0.0
    delay_spread: float = 0.0
    answer_batch: int = 0

    def engine(self, problem: Problem, rows: int) -> Engine:
        """What plays B rows of a problem under these conditions.

        Raises:
            ValueError: a condition is out of range, or two exclude each other.
        """
        feedback = Feedback(self.feedback, self.flip, self.corrupted)  # type: ignore[arg-type]
        horizon = whole_number("horizon, the label budget of an episode,", self.horizon, 2)
        return Engine(problem, rows, horizon, feedback, self.identical, self._late())

    def _late(self) -> Delay | None:
        late = Delay(self.delay, self.delay_spread) if self.delay or self.delay_spread else None
        if not self.answer_batch:
            return late
        if late is not None:
            raise ValueError(
                f"answers come either late or in batches: give delay={self.delay:g} or "
                f"answer_batch={self.answer_batch}, not both"
            )
        return AnswerBatches(self.answer_batch)
