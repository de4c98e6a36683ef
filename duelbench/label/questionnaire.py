"""What people are asked about, whatever becomes of their answers: hand out duels, take answers, go on, and end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from contextlib import ExitStack
from statistics import median
from types import TracebackType
from typing import Any, Literal, Self

from duelbench.label.asking.desk import Desk
from duelbench.label.asking.duel import Duel
from duelbench.records.answers.votes import Said

State = Literal["thinking", "asking", "done", "failed"]


class Questionnaire(ABC):
    """Duels that people are asked about, and whatever goes on from their answers.

    Every answer is durable before ``tell`` returns. Once every question has its answer it is ``complete``; until it is
    finished, the last answers can still be taken back.

    Attributes:
        desk: hands out the duels.
        budget: answers that are wanted, at most.
    """

    desk: Desk
    budget: int

    def __init__(self) -> None:
        self._open = ExitStack()
        self._finished = False
        self._failed = ""

    @property
    def finished(self) -> bool:
        """Whether every duel has its answer, and everything that follows from the answers is done."""
        return self._finished

    @property
    @abstractmethod
    def due(self) -> bool:
        """Whether something has to be done before people are needed."""

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether there is nothing left to ask, so that it can be finished."""

    @property
    def ending(self) -> str:
        """One sentence for the people who answered: how it ended, once it is ``complete``."""
        return "All questions are answered."

    @abstractmethod
    def go_on(self) -> None:
        """Do what is due until people are needed, or nothing is left to ask."""

    def finish(self) -> None:
        """End it, if it is complete: no answer can be taken back any more."""
        with self.desk.lock:
            if self.complete:
                self.desk.seal_all()
                self._finished = True

    def ask(self, n: int = 1, annotator: str = "me") -> list[Duel]:
        """Up to n duels for somebody, after whatever is due.

        What they were given before and have not answered comes again, in the same form. There are none when all is
        finished, or when all that are left lie before others.
        """
        self.go_on()
        if self.complete:
            self.finish()
        return self.take(annotator, n)

    def take(self, annotator: str, n: int = 1) -> list[Duel]:
        """Up to n of the duels that are ready."""
        return self.desk.take(annotator, n)

    def tell(self, name: str, said: Said, annotator: str | None = None, seconds: float | None = None) -> None:
        """Answer a duel; durable when this returns.

        Args:
            name: the duel's id.
            said: ``first`` or ``second``, as they were shown; ``tie``, ``both_bad``, or ``skip`` for no answer.
            annotator: who answers; None for whoever was asked.
            seconds: how long it took.

        Raises:
            UnknownDuelError: there is no such duel, or it was shown to somebody else.
            AnsweredError: it has been answered.
        """
        self.desk.tell(name, said, annotator or self.desk.shown(name).annotator, seconds)

    def undo(self, annotator: str = "me") -> Duel:
        """Take back the last thing that somebody said; the duel is before them again.

        Raises:
            AnsweredError: there is nothing to take back, or it is too late.
        """
        return self.desk.undo(annotator)

    @property
    def state(self) -> State:
        """``thinking`` while something is due, ``asking`` while answers are missing, or the end."""
        if self._failed:
            return "failed"
        if self.finished or self.complete:
            return "done"
        return "thinking" if self.due else "asking"

    def status(self) -> dict[str, Any]:
        """Where it stands: answers, budget, and what each person said."""
        said = self.desk.said()
        people: dict[str, Any] = {}
        for name in dict.fromkeys(vote.shown.annotator for vote in said):
            votes = [vote for vote in said if vote.shown.annotator == name]
            seconds = [vote.seconds for vote in votes if vote.seconds is not None and vote.said != "skip"]
            counts = Counter(vote.said for vote in votes)
            people[name] = dict(counts) | {"median_seconds": median(seconds) if seconds else None}
        return {
            "state": self.state,
            "answered": self.desk.answered,
            "budget": self.budget,
            "outstanding": self.desk.outstanding,
            "annotators": people,
            "error": self._failed,
        }

    def close(self) -> None:
        """Close it; it can be opened again."""
        self._open.close()

    def __enter__(self) -> Self:
        """Itself, which is closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
