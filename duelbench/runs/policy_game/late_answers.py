"""Answers that come late, matched to the duels they belong to, so that an agent learns from them as from any other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.learning.packing import end_to_end, pack, unpack
from duelbench.types import Observation, Pair

Arrived = Iterable[tuple[int, int, float]]
"""Answers: (row, number of the round in which the row was asked, reward)."""


@dataclass(frozen=True)
class Answered:
    """Duels an agent can learn from now.

    Attributes:
        observation: the prompts that it was shown.
        pair: what it proposed for them.
        feedback: the answers, (n,), NaN where there is none.
        answers: how many of them are the oracle's.
        failed: how many of those failed.
    """

    observation: Observation
    pair: Pair
    feedback: NDArray[np.float64]
    answers: int = 0
    failed: int = 0


class LateAnswers:
    """The duels whose answers are on their way, with what was observed and proposed. Its length: how many answers."""

    def __init__(self) -> None:
        self._rounds: dict[int, tuple[Observation, Pair]] = {}
        self._waiting: dict[int, NDArray[np.bool_]] = {}  # of the same rounds, (B,)

    def __len__(self) -> int:
        """Answers that have not come yet."""
        return sum(int(rows.sum()) for rows in self._waiting.values())

    def waiting(self) -> list[tuple[int, int]]:
        """The duels whose answers have not come: row, and number of the round."""
        return [(int(row), number) for number, rows in self._waiting.items() for row in np.flatnonzero(rows)]

    @property
    def latest(self) -> Pair:
        """The pair of the latest round of which an answer is missing."""
        return self._rounds[max(self._rounds)][1]

    def settle(
        self, number: int, observation: Observation, pair: Pair, verdicts: NDArray[Any], rewards: Any, come: Arrived
    ) -> Answered | None:
        """Keep the duels of this round that are not answered yet, and give out all that are.

        Args:
            number: number of the round.
            observation: observation of the round.
            pair: pair of the round.
            verdicts: names of the verdicts, (B,).
            rewards: (B,), NaN where there is no answer yet.
            come: the answers that came in the round.

        Returns:
            This round's duels but those that wait, and earlier ones whose answers have come; None where all wait.
        """
        pending, asked = verdicts == "pending", verdicts != "skipped"
        now = asked & ~pending
        feedback = np.where(now, rewards, np.nan)
        parts = []
        if not pending.all():
            oracles = now & ~(pair.identical & (verdicts == "tie"))  # that tie is the environment's own
            counts = int(oracles.sum()), int((verdicts == "invalid").sum())
            parts.append(_rows(observation, pair, np.flatnonzero(~pending), feedback[~pending], *counts))
        if pending.any():
            self._rounds[number], self._waiting[number] = (observation, pair), pending
        parts += self._come([answer for answer in come if answer[1] != number])
        return _joined(parts) if parts else None

    def arrive(self, come: Arrived) -> Answered | None:
        """The duels whose answers came in a round that asked nothing."""
        parts = list(self._come(list(come)))
        return _joined(parts) if parts else None

    def _come(self, answers: list[tuple[int, int, float]]) -> Iterator[Answered]:
        for number in sorted({number for _, number, _ in answers}):
            of_round = {row: reward for row, of, reward in answers if of == number}
            rows, rewards = np.array(sorted(of_round)), np.array([of_round[row] for row in sorted(of_round)])
            ties = self._rounds[number][1].identical[rows] & (rewards == 0.5)
            yield _rows(*self._rounds[number], rows, rewards, int((~ties).sum()), int(np.isnan(rewards).sum()))
            self._waiting[number][rows] = False
            if not self._waiting[number].any():
                del self._rounds[number], self._waiting[number]

    def state_dict(self) -> dict[str, Any]:
        """Everything that waits, as plain data and arrays."""
        return {
            str(number): pack({"observation": seen, "pair": pair, "waiting": self._waiting[number]})
            for number, (seen, pair) in self._rounds.items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self._rounds, self._waiting = {}, {}
        for number, packed in state.items():
            kept = unpack(packed)
            self._rounds[int(number)], self._waiting[int(number)] = (kept["observation"], kept["pair"]), kept["waiting"]


def _rows(
    observation: Observation,
    pair: Pair,
    rows: NDArray[np.int64],
    feedback: NDArray[np.float64],
    answers: int,
    failed: int,
) -> Answered:
    if len(rows) == len(pair):  # as it was proposed
        return Answered(observation, pair, feedback, answers, failed)
    some = {
        name: tuple(values[row] for row in rows) if isinstance(values, tuple) else values[rows]
        for name, values in observation.items()
    }
    return Answered(some, pair.rows(rows), feedback, answers, failed)


def _joined(parts: list[Answered]) -> Answered:
    """Duels of several rounds as one batch: an agent makes one update per round, however its answers come."""
    if len(parts) == 1:
        return parts[0]
    names = parts[0].observation
    return Answered(
        {name: end_to_end([part.observation[name] for part in parts]) for name in names},
        end_to_end([part.pair for part in parts]),
        np.concatenate([part.feedback for part in parts]),
        sum(part.answers for part in parts),
        sum(part.failed for part in parts),
    )
