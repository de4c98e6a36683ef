"""Which duels are open, who said what of them, and who has which before them: the desk's memory of its journal."""

from __future__ import annotations

from collections.abc import Iterable

from duelbench.records.answers.votes import Posed, Shown, Vote
from duelbench.types import Verdict


class Ledger:
    """What is in the journal, as the desk needs it, and what nobody keeps: who looks at what, and since when.

    Attributes:
        posed: the texts of all duels, by number.
        answers: verdicts of the duels that have one.
        open: duels without an answer, in the order in which they were asked.
        shown: everything that was put before somebody, by id.
        said: votes that count, by annotator, each in their order.
        on: votes that count towards a label, by duel.
        before: by annotator, the ids that they have before them, and since when.
    """

    def __init__(self, posed: dict[int, Posed], answers: dict[int, Verdict], shown: dict[str, Shown]) -> None:
        self.posed, self.answers, self.shown = posed, answers, shown
        waiting = [number for number in posed if number >= 0 and number not in answers]
        self.open: dict[int, None] = dict.fromkeys(waiting)
        self.said: dict[str, list[Vote]] = {}
        self.on: dict[int, list[Vote]] = {}
        self.before: dict[str, dict[str, float]] = {}

    def restore(self, votes: Iterable[Vote], now: float) -> None:
        """Take up all votes; who had something before them when the process died still has it."""
        for vote in votes:
            if not vote.taken_back:
                self.count(vote)
        told = {vote.shown.id for said in self.said.values() for vote in said}
        for shown in self.shown.values():
            if shown.id not in told and not self.closed(shown):
                self.before.setdefault(shown.annotator, {})[shown.id] = now

    def count(self, vote: Vote) -> None:
        """Add a vote."""
        self.said.setdefault(vote.shown.annotator, []).append(vote)
        if is_label(vote):
            self.on.setdefault(vote.shown.number, []).append(vote)

    def uncount(self, vote: Vote) -> None:
        """Remove the last vote of somebody."""
        self.said[vote.shown.annotator].pop()
        if is_label(vote):
            self.on[vote.shown.number].remove(vote)

    def close(self, number: int, verdict: Verdict) -> None:
        """A duel has its answer."""
        self.answers[number] = verdict
        self.open.pop(number, None)

    def reopen(self, number: int) -> None:
        """A duel lost its answer, and is the first to be asked again."""
        del self.answers[number]
        self.open = {number: None, **self.open}

    def closed(self, shown: Shown) -> bool:
        """Whether something that somebody has before them needs no answer any more."""
        return shown.kind == "duel" and shown.number in self.answers

    def skipped(self) -> set[int]:
        """Open duels that somebody skipped."""
        return {v.shown.number for votes in self.said.values() for v in votes if v.said == "skip"} & self.open.keys()

    def free(self, annotator: str, annotators: int, since: float) -> int | None:
        """The duel for somebody: none that they answered or have before them, one that they skipped only at last.

        Args:
            annotator: who asks.
            annotators: how many people judge each duel.
            since: who has had a duel before them from before this moment on does not count for it.
        """
        said = self.said.get(annotator, [])
        mine = {vote.shown.number for vote in said if vote.said != "skip"}
        mine |= {self.shown[name].number for name in self.before.get(annotator, {})}
        skipped = [vote.shown.number for vote in said if vote.said == "skip"]
        held = self._held(since)
        free = [n for n in self.open if n not in mine and held.get(n, 0) + len(self.on.get(n, [])) < annotators]
        return min(free, key=skipped.count, default=None)

    def _held(self, since: float) -> dict[int, int]:
        """How many people have each duel before them, and not for too long."""
        held: dict[int, int] = {}
        for names in self.before.values():
            for name, taken in names.items():
                shown = self.shown[name]
                if shown.kind == "duel" and taken > since:
                    held[shown.number] = held.get(shown.number, 0) + 1
        return held


def is_label(vote: Vote) -> bool:
    """Whether a vote counts towards a label: checks and skips do not."""
    return vote.shown.kind == "duel" and vote.said != "skip"
