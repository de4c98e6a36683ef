"""A round of an agent's duels as questions to people, and their answers as its environment wants them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from duelbench.label.asking.desk import Desk
from duelbench.records.answers.entries import Answer
from duelbench.records.answers.votes import Posed
from duelbench.runs.policy_game.game import Game
from duelbench.runs.policy_game.lesson import Place
from duelbench.types import Verdict


def number_of(place: Place, rows: int) -> int:
    """Number of a duel within a run of so many rows."""
    row, number = place
    return number * rows + row


def questions(game: Game, rows: int) -> Iterator[Posed]:
    """The duels of the proposed round that people are asked about; two identical texts are no question."""
    assert game.proposed is not None
    proposed, problem = game.proposed, game.parts.env.problem
    sides = [problem.texts(proposed.ids, side.actions) for side in (proposed.pair.first, proposed.pair.second)]
    texts = zip(problem.prompt_texts(proposed.ids), *sides, strict=True)
    for row, (prompt, first, second) in enumerate(texts):
        if proposed.pair.ask[row] and first != second:
            yield Posed(number_of((row, proposed.number), rows), prompt, first, second)


class ToldAnswers:
    """Answers that people gave, for the environment's engine: ``duelbench.envs.duel.engine.AnswerStore``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def answers(
        self, numbers: Sequence[int], duels: Sequence[tuple[str, str, str]], ask: object
    ) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        """The verdicts that there are; ``PENDING`` for the others."""
        same = [
            Answer(n, *duel, 0.5, Verdict.TIE) for n, duel in zip(numbers, duels, strict=True) if duel[1] == duel[2]
        ]
        self._desk.tie(same)
        verdicts = [self._desk.verdict(number) for number in numbers]
        return np.full(len(verdicts), np.nan), np.array(verdicts, np.int8)
