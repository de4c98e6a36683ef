"""A ranking that people answer: its questions on the page, their answers into it, one by one."""

from __future__ import annotations

from pathlib import Path

from duelbench.label.asking.checking import Checks
from duelbench.label.asking.desk import Desk
from duelbench.label.asking.duel import Duel
from duelbench.label.questionnaire import Questionnaire
from duelbench.rank.ranking import Ranking
from duelbench.records.answers.votes import Posed, Said, Votes
from duelbench.types import Verdict

_SAID: dict[Verdict, Said] = {Verdict.FIRST: "first", Verdict.SECOND: "second", Verdict.TIE: "tie"}


class RankByPeople(Questionnaire):
    """Pairs of a ranking, until what it is for is settled or the votes are spent.

    Each answer moves the ranking before the next pair is chosen; a few pairs ahead of it are ready, so that nobody
    waits. The ranking draws the sides, and everybody sees them as it drew them.

    Args:
        ranking: what is ranked; whoever made it closes it.
        out: output folder; the answers in it are taken up.
        votes: at most so many in all, earlier ones included.
        annotators: how many people judge each pair.
        lease: seconds after which a pair that is not answered goes to somebody else.
        checks: hidden repeats.
    """

    def __init__(
        self,
        ranking: Ranking,
        out: Path,
        *,
        votes: int,
        annotators: int = 1,
        lease: float = 600.0,
        checks: Checks | None = None,
    ) -> None:
        super().__init__()
        self.ranking, self.budget = ranking, votes
        kept = Votes(out / "people.sqlite", ranking.contest.content)
        self._open.callback(kept.close)
        self.desk = Desk(kept, annotators=annotators, lease=lease, shuffle=False, checks=checks)
        self._heard = {vote.asked.number for vote in ranking.votes}
        self._none_left = False

    @property
    def due(self) -> bool:
        """Whether the ranking has an answer to hear, or a pair to choose."""
        return not self._finished and (bool(self._unheard()) or (not self._none_left and self._wanted > 0))

    @property
    def complete(self) -> bool:
        """Whether it is settled, or there is nothing left to ask."""
        if self._unheard():
            return False
        return self.ranking.settled or (not self.desk.outstanding and (self._none_left or self._left <= 0))

    @property
    def ending(self) -> str:
        """How it ended: settled, with all votes spent, or with no pair left that would tell anything new."""
        if self.ranking.settled:
            return f"The ranking is settled after {self.desk.answered:,} of at most {self.budget:,} answers."
        if self.desk.answered >= self.budget:
            return super().ending
        return (
            f"The ranking ended early, with {self.desk.answered:,} of at most {self.budget:,} answers: no pair is left "
            "to ask about."
        )

    def go_on(self) -> None:
        """Let the ranking hear what was answered, and choose the next pairs."""
        while self.due:
            for number, said in self._unheard().items():
                people = self.desk.votes_on(number)
                seconds = [vote.seconds for vote in people if vote.seconds is not None]
                names = ", ".join(vote.shown.annotator for vote in people)
                self.ranking.tell(str(number), said, annotator=names, seconds=sum(seconds) if seconds else None)
                self._heard.add(number)
            if (wanted := self._wanted) > 0:
                questions = self.ranking.ask(wanted)
                self._none_left = len(questions) < wanted
                self.desk.pose([Posed(int(q.id), q.prompt, q.first, q.second) for q in questions])

    def take(self, annotator: str, n: int = 1) -> list[Duel]:
        """Up to n pairs for somebody; none once it is settled."""
        return [] if self.complete else super().take(annotator, n)

    def undo(self, annotator: str = "me") -> Duel:
        """Take back the last thing that somebody said; the ranking forgets it.

        Raises:
            AnsweredError: there is nothing to take back, or it is too late.
        """
        with self.desk.lock:
            duel = self.desk.undo(annotator)
            number = self.desk.shown(duel.id).number
            if number in self._heard and self.desk.verdict(number) == Verdict.PENDING:
                self.ranking.take_back(str(number))
                self._heard.discard(number)
                self._none_left = False
            return duel

    @property
    def _left(self) -> int:
        """Votes that can still be asked for."""
        return self.budget - self.desk.answered - self.desk.outstanding

    @property
    def _wanted(self) -> int:
        """Pairs to choose now, so that everybody finds one that nobody skipped, and one more."""
        if self.ranking.settled:
            return 0
        ready = self.desk.outstanding - self.desk.skipped
        return max(0, min(1 + max(1, self.desk.people) - ready, self._left))

    def _unheard(self) -> dict[int, Said]:
        """Answers that the ranking has not heard, by the number of the question."""
        new = {number: verdict for number, verdict in self.desk.decided().items() if number not in self._heard}
        return {number: self._said(number, verdict) for number, verdict in new.items()}

    def _said(self, number: int, verdict: Verdict) -> Said:
        """What the people who judged a pair came to; that both are bad only if all say so."""
        all_bad = all(vote.said == "both_bad" for vote in self.desk.votes_on(number))
        return "both_bad" if all_bad else _SAID[verdict]
