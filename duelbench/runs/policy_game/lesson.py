"""What an agent learns from in one update, in a form that can be kept and given again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.learning.packing import pack, unpack
from duelbench.runs.policy_game.late_answers import Answered, LateAnswers
from duelbench.types import Observation, Pair, Verdict

Place = tuple[int, int]
"""Row and number of the round of a duel."""


@dataclass(frozen=True)
class Proposed:
    """A round that waits for its answers.

    Attributes:
        number: number of the round, from 0.
        ids: the prompts, (B,).
        observation: observation of the prompts.
        pair: the duels; no more of them are asked than labels are left.
    """

    number: int
    ids: NDArray[np.int64]
    observation: Observation
    pair: Pair

    def state_dict(self) -> dict[str, Any]:
        """The round as plain data and arrays."""
        kept = {"number": self.number, "ids": self.ids, "observation": self.observation, "pair": self.pair}
        state: dict[str, Any] = pack(kept)
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Proposed:
        """The round that ``state_dict`` gave."""
        return cls(**unpack(state))


@dataclass(frozen=True)
class Lesson:
    """Answers that come together: those of a round, and late ones of earlier rounds.

    Attributes:
        asked: the round; None where nothing was asked.
        verdicts: names of the verdicts on it, (B,).
        come: late answers.
        before: the states of the agent and of the late answers before it was given, if they are kept.
    """

    asked: Proposed | None
    verdicts: NDArray[Any]
    come: tuple[tuple[int, int, float], ...] = ()
    before: dict[str, Any] | None = None

    def settle(self, late: LateAnswers) -> Answered | None:
        """What can be learned from now; duels without an answer are kept among the late ones."""
        if self.asked is None:
            return late.arrive(self.come)
        rewards = np.array([Verdict[name.upper()].reward for name in self.verdicts])
        a = self.asked
        return late.settle(a.number, a.observation, a.pair, self.verdicts, rewards, self.come)

    @property
    def asks(self) -> bool:
        """Whether there is anything in it that somebody answers: two identical responses are no question."""
        if self.come or self.asked is None:
            return bool(self.come)
        return bool(((self.verdicts != "skipped") & ~self.asked.pair.identical).any())

    def answers(self) -> Iterator[tuple[Place, Verdict]]:
        """Each duel that was asked with its verdict, the late ones included."""
        if self.asked is not None:
            for row, name in enumerate(self.verdicts):
                if name != "skipped":
                    yield (row, self.asked.number), Verdict[name.upper()]
        for row, number, reward in self.come:
            yield (row, number), verdict_of(reward)

    def and_late(self, come: Sequence[tuple[int, int, float]]) -> Lesson:
        """The lesson with more answers: (row, number of the round, reward); those of its own round take their place."""
        here = None if self.asked is None else self.asked.number
        own = {(row, number): verdict_of(reward) for row, number, reward in come if number == here}
        return replace(self.revised(own), come=(*self.come, *(answer for answer in come if answer[1] != here)))

    def revised(self, verdicts: Mapping[Place, Verdict]) -> Lesson:
        """The lesson with other answers to some duels; ``PENDING`` takes an answer out."""
        names = self.verdicts.copy()
        for (row, number), verdict in verdicts.items():
            if self.asked is not None and number == self.asked.number:
                names[row] = verdict.name.lower()
        come = [
            (row, number, verdicts[row, number].reward if (row, number) in verdicts else reward)
            for row, number, reward in self.come
            if verdicts.get((row, number)) != Verdict.PENDING
        ]
        return replace(self, verdicts=names, come=tuple(come))

    def state_dict(self) -> dict[str, Any]:
        """The lesson as plain data and arrays."""
        asked = None if self.asked is None else self.asked.state_dict()
        return {"asked": asked, "verdicts": self.verdicts.tolist(), "come": list(self.come), "before": self.before}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Lesson:
        """The lesson that ``state_dict`` gave."""
        asked = None if state["asked"] is None else Proposed.from_state(state["asked"])
        come = tuple((row, number, reward) for row, number, reward in state["come"])
        return cls(asked, np.array(state["verdicts"], dtype=object), come, state["before"])


def verdict_of(reward: float) -> Verdict:
    """The verdict that pays a reward; ``INVALID`` where none came.

    >>> verdict_of(0.5)
    <Verdict.TIE: 2>
    """
    return {1.0: Verdict.FIRST, 0.0: Verdict.SECOND, 0.5: Verdict.TIE}.get(reward, Verdict.INVALID)
