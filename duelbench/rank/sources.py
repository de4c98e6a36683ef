"""Who answers: a judge, a function, or votes that exist. People answer on a page, through ``ask`` and ``tell``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from duelbench.errors import UnansweredError
from duelbench.oracles.checks import ask_preference
from duelbench.protocols import Oracle
from duelbench.rank.ranking import Question, Ranking
from duelbench.rank.statistics.bradley_terry import Floats
from duelbench.streams import Streams

Tell = Callable[[], None]
_AT_ONCE = 8
_FAILURES = 8  # one after the other: whoever answers is down


class DownError(RuntimeError):
    """Whoever answers only fails."""


def play(ranking: Ranking, oracle: Oracle, *, votes: int, seed: int = 0, tell: Tell = lambda: None) -> None:
    """Ask an oracle until the goal is reached, the votes are spent, or nothing is left to ask.

    A judge's verdicts are taken as they are. A probability becomes a vote by a draw of its own for each question, so
    that a ranking that was killed goes on as if it had not been.

    Args:
        ranking: what is ranked.
        oracle: who is asked.
        votes: at most so many in all, earlier ones included.
        seed: of the draws.
        tell: called after each answer.

    Raises:
        UnansweredError: the judge is down; what it answered is kept.
        DownError: the last answers all failed.
    """
    failing, at_once = 0, int(getattr(oracle, "portion", None) or _AT_ONCE)
    while not ranking.settled and (left := votes - ranking.answered) > 0:
        questions = ranking.ask(min(at_once, left))
        if not questions:
            return
        try:
            answers = _answers(oracle, questions)
        except UnansweredError as error:
            known = [q for q in questions if (q.prompt, q.first, q.second) in error.answered]
            if known:  # what came before it stopped was paid for
                _keep(ranking, oracle, known, _answers(oracle, known), seed, tell)
            raise
        failing = 0 if any(np.isfinite(answers)) else failing + len(answers)
        if failing >= _FAILURES:
            ranking.put_back([question.id for question in questions])
            raise DownError(
                f"oracle {oracle.name!r} failed on the last {failing} questions; no vote was made up. The same command "
                "goes on"
            )
        _keep(ranking, oracle, questions, answers, seed, tell)


def replay(ranking: Ranking) -> None:
    """Count the votes that the file holds, in their order, with the chances that were predicted before each."""
    done = len(ranking.votes)
    for first, second, said in ranking.contest.votes[done:]:
        ranking.tell(ranking.pose(first, second), said, annotator="replayed")


def _answers(oracle: Oracle, questions: list[Question]) -> Floats:
    columns = ([getattr(question, side) for question in questions] for side in ("prompt", "first", "second"))
    return ask_preference(oracle, *columns)


def _keep(ranking: Ranking, oracle: Oracle, questions: list[Question], answers: Floats, seed: int, tell: Tell) -> None:
    verdicts = bool(getattr(oracle, "gives_verdicts", False))
    for question, probability in zip(questions, answers, strict=True):
        if np.isnan(probability):
            said = "failed"
        elif verdicts and probability == 0.5:
            said = "tie"
        else:
            drawn = Streams(seed).generator(f"vote {question.id}").random()
            said = "first" if drawn < probability else "second"
        ranking.tell(question.id, said, annotator=oracle.name)
        tell()
