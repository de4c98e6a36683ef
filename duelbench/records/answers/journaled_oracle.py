"""An oracle that costs something, with every answer about texts durable, so that no question is ever asked twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.errors import OracleRaisedError
from duelbench.protocols import Oracle, Traits, UtilityOracle
from duelbench.records.answers.entries import Answer, Purpose, Question, Texts
from duelbench.records.answers.journal import Journal, check_same_duel
from duelbench.types import Verdict

Answers = NDArray[np.float64]
Ask = Callable[[list[int]], tuple[NDArray[np.float64], NDArray[np.int8]]]
"""Asks for the duels at some places: probabilities and verdicts."""


class JournaledOracle:
    """Asks an oracle what the journal does not hold, and counts every question under its purpose.

    The answer to a question about texts (a utility, or a comparison while a policy is judged) is kept under the texts:
    it is asked once a run. Comparisons for duels have a place of their own in the journal, under the number of the
    duel, and are passed on here as they come.

    Args:
        oracle: who is asked.
        journal: where its answers are kept.
        role: ``oracle`` answers duels, ``judge`` is another one that judges.

    Attributes:
        calls: questions so far under their purpose; comparisons for duels are left out, for a duel is one.
        purpose: purpose of the next questions.
    """

    def __init__(self, oracle: Oracle, journal: Journal, role: str = "oracle") -> None:
        self.name, self.oracle, self.role, self._journal = oracle.name, oracle, role, journal
        self.prefers_by_utility = bool(getattr(oracle, "prefers_by_utility", False))
        traits = Traits.of(oracle)
        self.gives_verdicts, self.flips = traits.gives_verdicts, traits.flips
        self.purpose: Purpose = "duel"
        self.calls: dict[Purpose, int] = {"duel": 0, "judging": 0}
        self._number = 0  # of the last question at the checkpoint that the run goes on from
        self._bought = journal.last_question(role)  # of the last one that an earlier process asked
        self._counted: set[int] = set()  # between the two, those that were wanted again

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> Answers:
        """As ``duelbench.protocols.Oracle``; a failed answer is NaN and stays failed."""
        if self.purpose == "duel":
            answers = self._call(self.oracle.preference, prompts, firsts, seconds)
            if self.flips is not None:
                duels = list(zip(prompts, firsts, seconds, strict=True))
                self._journal.keep_flips(duels, self.flips(prompts, firsts, seconds).tolist())
            return answers
        return self._recall_or_ask(self.oracle.preference, list(zip(prompts, firsts, seconds, strict=True)))

    @contextmanager
    def judging(self) -> Iterator[None]:
        """Within it questions judge."""
        self.purpose = "judging"
        try:
            yield
        finally:
            self.purpose = "duel"

    def state_dict(self) -> dict[str, Any]:
        """How far the run has come with its questions."""
        return {"number": self._journal.last_question(self.role), "calls": dict(self.calls)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there: questions that were answered later are counted when they are wanted again."""
        self._number, self.calls = state["number"], dict(state["calls"])
        self._bought = self._journal.last_question(self.role)
        self._counted.clear()

    def forget_failures(self) -> None:
        """Drop the latest answers, if they failed, so that an oracle that is back again is asked again."""
        self._journal.forget_failed_questions(self.role)
        self._bought = min(self._bought, self._journal.last_question(self.role))  # their numbers are given again

    def _recall_or_ask(self, ask: Callable[..., Answers], texts: list[Texts]) -> Answers:
        distinct = dict.fromkeys(texts)
        known = self._journal.recall_questions(self.role, distinct)
        for question in known.values():
            self._count_again(question)
        new = [text for text in distinct if text not in known]
        step = portion(self.oracle) or len(new)
        for start in range(0, len(new), step or 1):
            some = new[start : start + step]
            self._journal.check_room()
            try:
                known |= self._ask_and_keep(ask, some)
            except OracleRaisedError as error:  # what came before it stopped was paid for
                self._ask_and_keep(ask, [text for text in some if text in error.answered])
                raise
        found = (known[text].value for text in texts)
        return np.array([np.nan if value is None else value for value in found], np.float64)

    def _ask_and_keep(self, ask: Callable[..., Answers], texts: list[Texts]) -> dict[Texts, Question]:
        if not texts:
            return {}
        columns = [list(column) for column in zip(*texts, strict=True) if column[0] is not None]
        answers = [None if np.isnan(value) else float(value) for value in self._call(ask, *columns)]
        kept = self._journal.keep_questions(self.role, self.purpose, texts, answers)
        self.calls[self.purpose] += len(kept)
        return dict(zip(texts, kept, strict=True))

    def _count_again(self, question: Question) -> None:
        """Count a question that an earlier process asked after the checkpoint, once."""
        if self._number < question.number <= self._bought and question.number not in self._counted:
            self._counted.add(question.number)
            self.calls[question.purpose] += 1

    def _call(self, ask: Callable[..., Answers], *columns: Sequence[str]) -> Answers:
        try:
            return np.asarray(ask(*columns), np.float64)
        except Exception as error:  # it is somebody else's code, and may raise anything
            raise OracleRaisedError(self.name, len(columns[0]), error) from error


class JournaledUtilityOracle(JournaledOracle):
    """The same for an oracle with utilities: a text is scored once a run."""

    oracle: UtilityOracle

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> Answers:
        """As ``duelbench.protocols.UtilityOracle``."""
        texts: list[Texts] = [(prompt, text, None) for prompt, text in zip(prompts, responses, strict=True)]
        return self._recall_or_ask(self.oracle.utilities, texts)


def journaled(oracle: Oracle, journal: Journal, role: str = "oracle") -> JournaledOracle:
    """The oracle with a journal, with utilities if it has them."""
    kind = JournaledUtilityOracle if isinstance(oracle, UtilityOracle) else JournaledOracle
    return kind(oracle, journal, role)


def is_free(oracle: object) -> bool:
    """Whether an oracle says in an attribute ``free`` that asking costs nothing: a simulation, a rule."""
    return bool(getattr(oracle, "free", False))


def portion(oracle: object) -> int | None:
    """How many questions an oracle wants at once, if it says so in an attribute ``portion``.

    What it has answered is durable before the next portion is asked, whatever happens to that.
    """
    wanted = getattr(oracle, "portion", None)
    return None if wanted is None else max(1, int(wanted))


class JournaledDuels:
    """Asks for the answer to a duel only where the journal holds none: the ``AnswerStore`` of an environment.

    Args:
        journal: journal of the run.
        portion: duels to ask at once; None for all that come together. What was answered is durable before the next
            portion is asked.
    """

    def __init__(self, journal: Journal, portion: int | None = None) -> None:
        self.journal, self.portion = journal, portion

    def answers(
        self,
        numbers: Sequence[int],
        duels: Sequence[tuple[str, str, str]],
        ask: Ask,
    ) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        """Probabilities, NaN where the oracle failed, and verdicts, (n,) each; new ones are journaled first.

        Args:
            numbers: numbers of the duels within the run.
            duels: prompt, first and second response of each.
            ask: asks the oracle for the duels at some places.

        Raises:
            JournalMismatchError: a held answer is to another duel.
            OSError: no space is left to keep an answer; the oracle is not asked.
        """
        known = self.journal.recall(numbers)
        for number, texts in zip(numbers, duels, strict=True):
            if number in known:
                check_same_duel(known[number], *texts)
        new = [place for place, number in enumerate(numbers) if number not in known]
        step = self.portion or max(1, len(new))
        for start in range(0, len(new), step):
            some = new[start : start + step]
            self.journal.check_room()
            try:
                known |= self._buy(numbers, duels, some, ask)
            except OracleRaisedError as error:  # what came before it stopped was paid for
                self._buy(numbers, duels, [place for place in some if duels[place] in error.answered], ask)
                raise
        answers = [known[number] for number in numbers]
        probabilities = [np.nan if answer.probability is None else answer.probability for answer in answers]
        return np.array(probabilities), np.array([answer.verdict for answer in answers], np.int8)

    def _buy(
        self, numbers: Sequence[int], duels: Sequence[tuple[str, str, str]], places: list[int], ask: Ask
    ) -> dict[int, Answer]:
        """Ask for the duels at some places and keep the answers."""
        if not places:
            return {}
        bought = [
            Answer(numbers[place], *duels[place], None if np.isnan(p) else float(p), Verdict(int(v)))
            for place, p, v in zip(places, *ask(places), strict=True)
        ]
        self.journal.append(bought)
        return {answer.duel: answer for answer in bought}
