"""The desk: hands duels out to people, takes their votes, and makes one answer a duel of them.

It knows no agent. What it says is durable before it is said: a vote is in the journal before ``tell`` returns.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from duelbench.errors import UsageError
from duelbench.label.checking import Checks, drawn
from duelbench.label.counting import decide
from duelbench.records.journal import Answer
from duelbench.records.votes import SAID, Kind, Posed, Said, Shown, Vote, Votes
from duelbench.types import Verdict

_OTHER: dict[Said, Said] = {"first": "second", "second": "first"}


class UnknownDuelError(UsageError):
    """Nobody, or somebody else, was asked this."""


class AnsweredError(UsageError):
    """The duel has its answer already, or can no longer be taken back."""


@dataclass(frozen=True, slots=True)
class Duel:
    """A duel as somebody sees it: nothing tells who wrote what.

    Attributes:
        id: to answer it by.
        prompt: what the responses answer.
        first: the response on the left.
        second: the response on the right.
    """

    id: str
    prompt: str
    first: str
    second: str


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
        self._posed = votes.posed()
        self._answers = {answer.duel: answer.verdict for answer in votes.answers()}
        waiting = [number for number in self._posed if number >= 0 and number not in self._answers]
        self._open: dict[int, None] = dict.fromkeys(waiting)  # duels to be answered, in the order of asking
        self._shown = votes.shown()
        self._said: dict[str, list[Vote]] = {}  # by annotator, in their order, without those taken back
        self._on: dict[int, list[Vote]] = {}  # by duel, for a label, likewise
        self._before: dict[str, dict[str, float]] = {}  # by annotator: ids before their eyes, and since when
        self._final: set[int] = set()  # learned from for good
        for vote in votes.votes():
            if not vote.taken_back:
                self._count(vote)
        told = {vote.shown.id for said in self._said.values() for vote in said}
        for shown in self._shown.values():  # who had something before them when the process died has it still
            if shown.id not in told and not self._closed(shown):
                self._before.setdefault(shown.annotator, {})[shown.id] = clock()

    @property
    def outstanding(self) -> int:
        """Duels without an answer."""
        return len(self._open)

    @property
    def answered(self) -> int:
        """Duels with an answer."""
        return len(self._answers)

    def answers(self) -> list[Answer]:
        """All answers that there are, by duel."""
        with self.lock:
            return self._votes.answers()

    def said(self) -> list[Vote]:
        """All votes that count, by annotator."""
        with self.lock:
            return [vote for votes in self._said.values() for vote in votes]

    def verdict(self, number: int) -> Verdict:
        """What the votes on a duel came to; ``PENDING`` while they are too few."""
        with self.lock:
            return self._answers.get(number, Verdict.PENDING)

    def __contains__(self, number: int) -> bool:
        """Whether people are asked about a duel."""
        return number in self._posed

    def asked(self, name: str) -> str:
        """Who was shown something.

        Raises:
            UnknownDuelError: nobody was.
        """
        if name not in self._shown:
            raise UnknownDuelError(f"no duel {name!r} was shown to anybody")
        return self._shown[name].annotator

    def tie(self, answers: Sequence[Answer]) -> None:
        """Keep the ties of identical responses, about which nobody is asked."""
        with self.lock:
            new = [answer for answer in answers if answer.duel not in self._answers]
            self._votes.append(new)
            self._answers |= {answer.duel: answer.verdict for answer in new}

    def seal(self, numbers: Sequence[int]) -> None:
        """Nobody can take back what they said of these duels any more."""
        with self.lock:
            self._final.update(numbers)

    def seal_all(self, but: Collection[int] = ()) -> None:
        """Nobody can take back what they said of a duel that has its answer, some left out."""
        with self.lock:
            self._final.update(self._answers.keys() - set(but))

    def pose(self, duels: Sequence[Posed]) -> None:
        """Ask people about these duels, after those that wait already.

        Raises:
            UsageError: a duel of this number was another one.
        """
        with self.lock:
            for duel in duels:
                if self._posed.get(duel.number, duel) != duel:
                    raise UsageError(
                        f"duel {duel.number} was {self._posed[duel.number]} before and is {duel} now: the run did not "
                        "repeat itself, since code, versions or the thread count changed. Choose another output folder"
                    )
            self._votes.pose(duels)
            for duel in duels:
                self._posed[duel.number] = duel
                if duel.number not in self._answers:
                    self._open[duel.number] = None

    def take(self, annotator: str, n: int = 1) -> list[Duel]:
        """Up to n duels for somebody: first those that they have before them already."""
        with self.lock:
            mine = self._before.setdefault(_checked(annotator), {})
            for name in [name for name in mine if self._closed(self._shown[name])]:
                del mine[name]  # others answered it
            kept = list(mine)[:n]
            for name in kept:
                mine[name] = self._clock()
            while len(kept) < n and (shown := self._next(annotator)) is not None:
                self._votes.show(shown)
                self._shown[shown.id] = shown
                mine[shown.id] = self._clock()
                kept.append(shown.id)
            return [self._as_seen(self._shown[name]) for name in kept]

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
            shown = self._known(name, annotator)
            if name not in self._before.get(annotator, {}):
                raise AnsweredError(f"duel {name} has been answered already")
            if self._closed(shown):
                del self._before[annotator][name]
                raise AnsweredError(f"duel {name} has been answered by others meanwhile")
            meant: Said = _OTHER.get(said, said) if shown.swapped else said
            decided = self._decided(shown, meant)
            if said != "skip":
                self._votes.check_room()
            vote = self._votes.vote(shown, meant, seconds, decided)
            del self._before[annotator][name]
            self._count(vote)
            if decided is not None:
                self._answers[decided.duel] = decided.verdict
                del self._open[decided.duel]

    def undo(self, annotator: str) -> Duel:
        """Take back the last thing that somebody said, and put the duel before them again.

        Raises:
            AnsweredError: they said nothing, or it has been learned from for good.
        """
        with self.lock:
            said = self._said.get(_checked(annotator), [])
            if not said:
                raise AnsweredError(f"{annotator} has said nothing that could be taken back")
            vote = said[-1]
            shown = vote.shown
            labels = shown.kind == "duel" and vote.said != "skip"
            if labels and shown.number in self._final:
                raise AnsweredError("the last answer can no longer be taken back: the agent has moved on since")
            reopened = shown.number if labels and shown.number in self._answers else None
            self._votes.take_back(shown, reopened)
            said.pop()
            if labels:
                self._on[shown.number].remove(vote)
            if reopened is not None:
                del self._answers[reopened]
                self._open = {reopened: None, **self._open}
            self._before[annotator] = {shown.id: self._clock(), **self._before.get(annotator, {})}
            return self._as_seen(shown)

    def _known(self, name: str, annotator: str) -> Shown:
        shown = self._shown.get(name)
        if shown is None or shown.annotator != _checked(annotator):
            raise UnknownDuelError(f"no duel {name!r} was shown to {annotator!r}")
        return shown

    def _count(self, vote: Vote) -> None:
        self._said.setdefault(vote.shown.annotator, []).append(vote)
        if vote.shown.kind == "duel" and vote.said != "skip":
            self._on.setdefault(vote.shown.number, []).append(vote)

    def _closed(self, shown: Shown) -> bool:
        """Whether a duel that is before somebody's eyes needs no answer any more."""
        return shown.kind == "duel" and shown.number in self._answers

    def _decided(self, shown: Shown, said: Said) -> Answer | None:
        """The answer of a duel, if this vote is the last that it needs."""
        votes = [vote.said for vote in self._on.get(shown.number, [])]
        if shown.kind != "duel" or said == "skip" or len(votes) + 1 < self.annotators:
            return None
        probability, verdict = decide([*votes, said])
        duel = self._posed[shown.number]
        return Answer(duel.number, duel.prompt, duel.first, duel.second, probability, verdict)

    def _next(self, annotator: str) -> Shown | None:
        """Something new for somebody: a check now and then, else the duel that waits longest."""
        said = self._said.get(annotator, [])
        asked = [self._shown[name] for name in self._before.get(annotator, {})]
        number = self._free(annotator, said, asked)
        if number is None:
            return None  # checks fill no pauses: they stand between labels
        check = self.checks.due(self._votes.run, annotator, said, asked)
        if check is not None:
            return Shown(secrets.token_hex(8), check.number, check.kind, annotator, self.shuffle and check.swapped)
        return Shown(secrets.token_hex(8), number, "duel", annotator, self._swapped("duel", number, annotator))

    def _free(self, annotator: str, said: Sequence[Vote], asked: Sequence[Shown]) -> int | None:
        """The duel for somebody: none that they answered or have before them, one that they skipped only at last."""
        mine = {vote.shown.number for vote in said if vote.said != "skip"} | {shown.number for shown in asked}
        skipped = [vote.shown.number for vote in said if vote.said == "skip"]
        held = self._held()
        free = [
            number
            for number in self._open
            if number not in mine and held.get(number, 0) + len(self._on.get(number, [])) < self.annotators
        ]
        return min(free, key=skipped.count, default=None)

    def _held(self) -> dict[int, int]:
        """How many people have each duel before them, those left out who let it lie too long."""
        late, held = self._clock() - self.lease, dict[int, int]()
        for names in self._before.values():
            for name, since in names.items():
                shown = self._shown[name]
                if shown.kind == "duel" and since > late:
                    held[shown.number] = held.get(shown.number, 0) + 1
        return held

    def _swapped(self, kind: Kind, number: int, annotator: str) -> bool:
        return self.shuffle and drawn(self._votes.run, kind, number, annotator) < 0.5

    def _as_seen(self, shown: Shown) -> Duel:
        duel = self._posed[shown.number]
        sides = (duel.second, duel.first) if shown.swapped else (duel.first, duel.second)
        return Duel(shown.id, duel.prompt, *sides)


def _checked(annotator: str) -> str:
    """The name of somebody.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(annotator, str) or not annotator.strip() or len(annotator) > 100 or not annotator.isprintable():
        raise UsageError(f"annotator must be a name of 1 to 100 printable characters, got {annotator!r:.120}")
    return annotator
