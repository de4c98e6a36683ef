"""The ranking: hands out pairs, takes votes, and knows what is settled. ``ask`` and ``tell`` are all a page needs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from duelbench.errors import UsageError
from duelbench.rank.ballots import Asked, Ballots, Vote
from duelbench.rank.choose import Chooser, Pair, expected_chance, make_chooser
from duelbench.rank.contest import Contest
from duelbench.rank.statistics.bradley_terry import Strengths, fit
from duelbench.rank.statistics.evidence import Evidence, growth
from duelbench.rank.statistics.goal import Goal
from duelbench.streams import Streams

WORTH = {"first": 1.0, "second": 0.0, "tie": 0.5, "both_bad": 0.5}
"""What a vote counts for the first; others, ``skip`` and ``failed``, count for nothing."""
_BEYOND = 1e6  # votes that nobody will give
_STALE = 0.02  # share of the votes
SAID = (*WORTH, "skip", "failed")


@dataclass(frozen=True, slots=True)
class Question:
    """A pair as somebody sees it.

    Attributes:
        id: to answer it by.
        prompt: what both answer, or what is asked.
        first: text on the first side.
        second: text on the second.
    """

    id: str
    prompt: str
    first: str
    second: str


class Ranking:
    """Items that are ranked. Threads may share it.

    Args:
        contest: what is ranked.
        folder: where votes are kept; what is kept there already is taken up.
        until: ``top1``, ``top3``, ``order``, …
        error: probability with which what is settled is wrong.
        by: who chooses pairs (``duelbench.rank.choose.make_chooser``).
        seed: of pairs and sides.
        repeats: whether a pair may be asked on the same prompt again: people differ, a judge at temperature 0 does not.
    """

    def __init__(
        self,
        contest: Contest,
        folder: Path,
        *,
        until: str = "top1",
        error: float = 0.05,
        by: str = "information",
        seed: int = 0,
        repeats: bool = True,
    ) -> None:
        self.contest, self.until, self.error, self.by, self.repeats = contest, until, error, by, repeats
        self.goal = Goal.of(until, len(contest.names))
        self.lock = threading.RLock()
        self._seed = seed
        self._ballots = Ballots(folder / "votes.sqlite", contest.content)
        try:
            self._restore()
        except UsageError:  # there is no such way to choose pairs
            self._ballots.close()
            raise
        self._unposed = list(self._waiting)  # without an answer, and before nobody

    def _restore(self) -> None:
        """Stand where the ballots say."""
        streams, items = Streams(self._seed), len(self.contest.names)
        self._sides = streams.generator("sides")
        self.chooser: Chooser = make_chooser(self.by, items, self.goal, streams.generator("pairs"))
        self.evidence = Evidence(items, self.error)
        self.votes: list[Vote] = []
        self._counted = 0  # votes that count
        self._waiting: dict[int, Asked] = {asked.number: asked for asked in self._ballots.asked()}
        self._next = len(self._waiting)
        self._sides.random(2 * self._next)  # go on in the stream
        self._spent: set[tuple[int, Pair]] = {(a.prompt, _key(a.first, a.second)) for a in self._waiting.values()}
        self._fitted: tuple[int, Strengths] | None = None
        for vote in self._ballots.votes():
            self._count(vote)

    @property
    def strengths(self) -> Strengths:
        """The estimate from all votes that count."""
        with self.lock:
            counted = [vote for vote in self.votes if vote.said in WORTH]
            if self._fitted is None or self._fitted[0] != len(counted):
                start = self._fitted[1] if self._fitted else None
                first, second = (
                    np.array([getattr(v.asked, s) for v in counted], np.int64) for s in ("first", "second")
                )
                worth = np.array([WORTH[vote.said] for vote in counted])
                self._fitted = len(counted), fit(len(self.contest.names), first, second, worth, start=start)
            return self._fitted[1]

    @property
    def order(self) -> list[int]:
        """Items, best first, by the estimate."""
        return np.argsort(-self.strengths.mean, kind="stable").tolist()

    @property
    def settled(self) -> bool:
        """Whether the goal is reached."""
        with self.lock:
            return self.goal.reached(self.evidence, np.array(self.order))

    @property
    def best(self) -> list[int]:
        """The items that cannot be told apart from the best, best estimate first."""
        return [item for item in self.order if self.evidence.left[item]]

    @property
    def answered(self) -> int:
        """Votes that count."""
        return self._counted

    def ask(self, n: int = 1) -> list[Question]:
        """Up to n pairs, first those that were asked before and have no answer; fewer if none is left."""
        with self.lock:
            numbers = [self._unposed.pop(0) for _ in range(min(n, len(self._unposed)))]
            waiting = Counter(_key(a.first, a.second) for a in self._waiting.values())
            while len(numbers) < n and (asked := self._choose(waiting)) is not None:
                self._ballots.ask(asked)
                self._waiting[asked.number] = asked
                waiting[_key(asked.first, asked.second)] += 1
                numbers.append(asked.number)
            return [self.question(number) for number in numbers]

    def question(self, number: int) -> Question:
        """A pair that waits for its answer, as it is shown."""
        asked = self._waiting[number]
        texts = self.contest.texts
        prompt = self.contest.prompts[asked.prompt] or self.contest.question
        return Question(str(number), prompt, texts[asked.prompt, asked.first], texts[asked.prompt, asked.second])

    def tell(self, id: str, said: str, *, annotator: str = "", seconds: float | None = None) -> None:
        """Take an answer; it is durable when this returns.

        Raises:
            UsageError: no such question waits, or no such answer.
        """
        with self.lock:
            if said not in SAID:
                raise UsageError(f"a verdict is one of {', '.join(SAID)}, got {said!r}")
            asked = self._waiting.get(int(id)) if id.isdecimal() else None
            if asked is None:
                raise UsageError(f"no question {id!r} waits for an answer")
            vote = Vote(asked, said, annotator, seconds)
            self._ballots.keep(vote)
            self._unposed = [number for number in self._unposed if number != asked.number]
            self._count(vote)

    def take_back(self, id: str) -> None:
        """Forget an answer, as if it had not come; its question waits for another one.

        Raises:
            UsageError: the question has no answer.
        """
        with self.lock:
            if not any(str(vote.asked.number) == id for vote in self.votes):
                raise UsageError(f"question {id!r} has no answer to take back")
            self._ballots.remove(int(id))
            self._restore()

    def pose(self, first: int, second: int) -> str:
        """Ask about a pair of somebody else's choosing, on the sides that it was given; returns the question's id."""
        with self.lock:
            chance = self._chance(first, second)
            asked = Asked(self._next, first, second, 0, chance)
            self._next += 1
            self._ballots.ask(asked)
            self._waiting[asked.number] = asked
            return str(asked.number)

    def put_back(self, ids: Sequence[str]) -> None:
        """Questions that got no answer are the next to be asked."""
        with self.lock:
            self._unposed = [int(id) for id in ids if int(id) in self._waiting] + self._unposed

    def remaining(self) -> float:
        """How many more votes it will probably take, if strengths are what they seem; infinite where two seem alike."""
        with self.lock:
            better, worse, lacking = self.goal.needed(self.evidence, np.array(self.order))
            if not len(better):
                return 0.0
            difference = self.strengths.mean[better] - self.strengths.mean[worse]
            gain = growth(1.0 / (1.0 + np.exp(-difference)))
            counted = [vote for vote in self.votes if vote.said in WORTH]
            decisive = (1 + sum(WORTH[v.said] != 0.5 for v in counted)) / (1 + len(counted))
            votes = float((lacking / np.maximum(gain * decisive, 1e-12)).sum())
            return votes if votes < _BEYOND else np.inf

    def close(self) -> None:
        """Close the files."""
        self._ballots.close()

    @property
    def _recent(self) -> Strengths:
        """The estimate, or one that misses few of the latest votes: pairs and stakes need no better."""
        if self._fitted is not None and self._counted - self._fitted[0] <= _STALE * self._counted:
            return self._fitted[1]
        return self.strengths

    def _chance(self, one: int, other: int) -> float:
        return float(expected_chance(self._recent, np.array([one]), np.array([other]))[0])

    def _count(self, vote: Vote) -> None:
        asked = vote.asked
        del self._waiting[asked.number]
        self.votes.append(vote)
        if (worth := WORTH.get(vote.said)) is not None:
            self._counted += 1
            self.evidence.add(asked.first, asked.second, worth, asked.chance)
            self.chooser.hear(asked.first, asked.second, worth)

    def _choose(self, waiting: Counter[Pair]) -> Asked | None:
        pair = self.chooser.choose(self._recent, self.evidence, waiting, lambda a, b: bool(self._prompts(a, b)))
        if pair is None:
            return None
        prompts = self._prompts(*pair)
        chance = self._chance(*pair)
        turn, which = self._sides.random(2)
        prompt = prompts[int(which * len(prompts))]
        self._spent.add((prompt, _key(*pair)))
        number, self._next = self._next, self._next + 1
        one, other = pair
        return (
            Asked(number, other, one, prompt, 1.0 - chance) if turn < 0.5 else Asked(number, one, other, prompt, chance)
        )

    def _prompts(self, one: int, other: int) -> list[int]:
        """Prompts to ask a pair on: those that it was not asked on, or any where asking again tells something new."""
        able = [p for p in range(len(self.contest.prompts)) if self.contest.differ(p, one, other)]
        fresh = [p for p in able if (p, _key(one, other)) not in self._spent]
        return fresh or (able if self.repeats else [])


def _key(one: int, other: int) -> Pair:
    return (one, other) if one < other else (other, one)
