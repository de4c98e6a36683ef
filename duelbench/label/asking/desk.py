"""The desk: hands duels out to people, takes their votes, and makes one answer a duel of them.

It knows no agent. What it says is durable before it is said: a vote is in the journal before ``tell`` returns.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Sequence

from duelbench.errors import UsageError
from duelbench.label.asking.checking import Checks, drawn
from duelbench.label.asking.counting import decide
from duelbench.label.asking.duel import AnsweredError, Duel, UnknownDuelError, checked_name
from duelbench.label.asking.ledger import Ledger, is_label
from duelbench.records.answers.entries import Answer
from duelbench.records.answers.votes import SAID, Kind, Posed, Said, Shown, Vote, Votes
from duelbench.types import Verdict

_OTHER: dict[Said, Said] = {"first": "second", "second": "first"}


class Desk:
    """Duels that wait for people, and what people say of them. Threads may share it.

    Args:
        votes: where everything is kept; what is kept there already is taken up.
        annotators: how many people judge each duel.
        lease: seconds after which a duel that somebody has before them, and does not answer, goes to another.
        shuffle: whether the sides change at random; answers are recorded for the agent's order all the same.
        checks: questions to see how well people answer.
        clock: seconds, from anywhere.
    """

    def __init__(
        self,
        votes: Votes,
        *,
        annotators: int = 1,
        lease: float = 600.0,
        shuffle: bool = True,
        checks: Checks | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if annotators < 1:
            raise UsageError(f"a duel needs at least one annotator, got {annotators}")
        self.lock = threading.RLock()
        self.annotators, self.lease, self.shuffle = annotators, lease, shuffle
        self.checks = checks or Checks()
        self._votes, self._clock = votes, clock
        votes.pose(self.checks.gold)
        answers = {answer.duel: answer.verdict for answer in votes.answers()}
        self._ledger = Ledger(votes.posed(), answers, votes.shown())
        self._ledger.restore(votes.votes(), clock())
        self._final: set[int] = set()  # learned from for good

    @property
    def outstanding(self) -> int:
        """Duels without an answer."""
        return len(self._ledger.open)

    @property
    def skipped(self) -> int:
        """Duels without an answer that somebody skipped."""
        with self.lock:
            return len(self._ledger.skipped())

    @property
    def answered(self) -> int:
        """Duels with an answer."""
        return len(self._ledger.answers)

    @property
    def people(self) -> int:
        """How many people have come so far."""
        return len(self._ledger.before.keys() | self._ledger.said.keys())

    def decided(self) -> dict[int, Verdict]:
        """The duels that have an answer, with what it is."""
        with self.lock:
            return dict(self._ledger.answers)

    def answers(self) -> list[Answer]:
        """All answers that there are, by duel."""
        with self.lock:
            return self._votes.answers()

    def said(self) -> list[Vote]:
        """All votes that count, by annotator."""
        with self.lock:
            return [vote for votes in self._ledger.said.values() for vote in votes]

    def votes_on(self, number: int) -> list[Vote]:
        """The votes that count towards the label of a duel."""
        with self.lock:
            return list(self._ledger.on.get(number, []))

    def verdict(self, number: int) -> Verdict:
        """What the votes on a duel came to; ``PENDING`` while they are too few."""
        with self.lock:
            return self._ledger.answers.get(number, Verdict.PENDING)

    def __contains__(self, number: int) -> bool:
        """Whether people are asked about a duel."""
        return number in self._ledger.posed

    def shown(self, name: str) -> Shown:
        """What was shown under an id, and to whom.

        Raises:
            UnknownDuelError: nothing was.
        """
        if name not in self._ledger.shown:
            raise UnknownDuelError(f"no duel {name!r} was shown to anybody")
        return self._ledger.shown[name]

    def tie(self, answers: Sequence[Answer]) -> None:
        """Keep the ties of identical responses, about which nobody is asked."""
        with self.lock:
            new = [answer for answer in answers if answer.duel not in self._ledger.answers]
            self._votes.append(new)
            for answer in new:
                self._ledger.close(answer.duel, answer.verdict)

    def seal(self, numbers: Sequence[int]) -> None:
        """Nobody can take back what they said of these duels any more."""
        with self.lock:
            self._final.update(numbers)

    def seal_all(self, but: Collection[int] = ()) -> None:
        """Nobody can take back what they said of a duel that has its answer, with some exceptions."""
        with self.lock:
            self._final.update(self._ledger.answers.keys() - set(but))

    def pose(self, duels: Sequence[Posed]) -> None:
        """Ask people about these duels, after those that wait already.

        Raises:
            UsageError: a duel of this number was another one.
        """
        with self.lock:
            posed = self._ledger.posed
            for duel in duels:
                if posed.get(duel.number, duel) != duel:
                    raise UsageError(
                        f"duel {duel.number} was {posed[duel.number]} before and is {duel} now: the run did not "
                        "repeat itself, since code, versions or the thread count changed. Choose another output folder"
                    )
            self._votes.pose(duels)
            for duel in duels:
                posed[duel.number] = duel
                if duel.number not in self._ledger.answers:
                    self._ledger.open[duel.number] = None

    def take(self, annotator: str, n: int = 1) -> list[Duel]:
        """Up to n duels for somebody: first those that they have before them already."""
        with self.lock:
            mine = self._ledger.before.setdefault(checked_name(annotator), {})
            for name in [name for name in mine if self._ledger.closed(self._ledger.shown[name])]:
                del mine[name]  # others answered it
            kept = list(mine)[:n]
            for name in kept:
                mine[name] = self._clock()
            while len(kept) < n and (shown := self._next(annotator)) is not None:
                self._votes.show(shown)
                self._ledger.shown[shown.id] = shown
                mine[shown.id] = self._clock()
                kept.append(shown.id)
            return [self._as_seen(self._ledger.shown[name]) for name in kept]

    def tell(self, name: str, said: Said, annotator: str, seconds: float | None = None) -> None:
        """Take a vote: ``first`` and ``second`` are the sides as that person saw them.

        Raises:
            UnknownDuelError: it was not shown to this person.
            AnsweredError: it has been answered, by them or by enough others.
            UsageError: no such verdict, or no such time.
        """
        if said not in SAID:
            raise UsageError(f"verdict must be one of {', '.join(SAID)}, got {said!r}")
        if seconds is not None and not 0 <= seconds < 1e7:
            raise UsageError(f"seconds must be a number from 0 to 10,000,000, got {seconds!r}")
        with self.lock:
            shown = self._ledger.shown.get(name)
            if shown is None or shown.annotator != checked_name(annotator):
                raise UnknownDuelError(f"no duel {name!r} was shown to {annotator!r}")
            before = self._ledger.before.get(annotator, {})
            if name not in before:
                raise AnsweredError(f"duel {name} has been answered already")
            if self._ledger.closed(shown):
                del before[name]
                raise AnsweredError(f"duel {name} has been answered by others meanwhile")
            meant: Said = _OTHER.get(said, said) if shown.swapped else said
            decided = self._decided(shown, meant)
            if said != "skip":
                self._votes.check_room()
            vote = self._votes.vote(shown, meant, seconds, decided)
            del before[name]
            self._ledger.count(vote)
            if decided is not None:
                self._ledger.close(decided.duel, decided.verdict)

    def undo(self, annotator: str) -> Duel:
        """Take back the last thing that somebody said, and put the duel before them again.

        Raises:
            AnsweredError: they said nothing, or it has been learned from for good.
        """
        with self.lock:
            said = self._ledger.said.get(checked_name(annotator), [])
            if not said:
                raise AnsweredError(f"{annotator} has said nothing that could be taken back")
            vote = said[-1]
            shown = vote.shown
            if is_label(vote) and shown.number in self._final:
                raise AnsweredError("the last answer can no longer be taken back: the agent has moved on since")
            reopened = shown.number if is_label(vote) and shown.number in self._ledger.answers else None
            self._votes.take_back(shown, reopened)
            self._ledger.uncount(vote)
            if reopened is not None:
                self._ledger.reopen(reopened)
            before = self._ledger.before
            before[annotator] = {shown.id: self._clock(), **before.get(annotator, {})}
            return self._as_seen(shown)

    def _decided(self, shown: Shown, said: Said) -> Answer | None:
        """The answer of a duel, if this vote is the last that it needs."""
        votes = [vote.said for vote in self._ledger.on.get(shown.number, [])]
        if shown.kind != "duel" or said == "skip" or len(votes) + 1 < self.annotators:
            return None
        probability, verdict = decide([*votes, said])
        duel = self._ledger.posed[shown.number]
        return Answer(duel.number, duel.prompt, duel.first, duel.second, probability, verdict)

    def _next(self, annotator: str) -> Shown | None:
        """Something new for somebody: a check now and then, else the duel that waits longest."""
        number = self._ledger.free(annotator, self.annotators, self._clock() - self.lease)
        if number is None:
            return None  # checks fill no pauses: they stand between labels
        said = self._ledger.said.get(annotator, [])
        asked = [self._ledger.shown[name] for name in self._ledger.before.get(annotator, {})]
        check = self.checks.due(self._votes.run, annotator, said, asked)
        if check is not None:
            return Shown(secrets.token_hex(8), check.number, check.kind, annotator, self.shuffle and check.swapped)
        return Shown(secrets.token_hex(8), number, "duel", annotator, self._swapped("duel", number, annotator))

    def _swapped(self, kind: Kind, number: int, annotator: str) -> bool:
        return self.shuffle and drawn(self._votes.run, kind, number, annotator) < 0.5

    def _as_seen(self, shown: Shown) -> Duel:
        duel = self._ledger.posed[shown.number]
        sides = (duel.second, duel.first) if shown.swapped else (duel.first, duel.second)
        return Duel(shown.id, duel.prompt, *sides)
