"""Questions that buy no label: repeats show whether people agree with themselves, gold pairs whether they are right."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from duelbench.errors import UsageError
from duelbench.records.answers.votes import Kind, Posed, Shown, Vote

_APART = 5  # answers between a duel and its repetition, at least


@dataclass(frozen=True)
class Check:
    """A question that buys no label."""

    number: int
    kind: Kind
    swapped: bool


@dataclass(frozen=True)
class Checks:
    """How often people are checked.

    Attributes:
        repeats: share of a person's questions that they answered before; the sides stand the other way round.
        gold: pairs whose first response is known to be better, with negative numbers.
        gold_share: share of a person's questions that are gold pairs, as long as there are any that they did not see.
    """

    repeats: float = 0.0
    gold: tuple[Posed, ...] = ()
    gold_share: float = 0.05

    def __post_init__(self) -> None:
        for name in ("repeats", "gold_share"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise UsageError(f"{name} must be a share from 0 to 0.5, got {getattr(self, name)}")

    def due(self, run: str, annotator: str, said: Sequence[Vote], asked: Sequence[Shown]) -> Check | None:
        """The check that is due before the next label of somebody, drawn from the run's name and theirs alone.

        Args:
            run: id.
            annotator: who.
            said: what they said so far.
            asked: what is before them.
        """
        turn = len(said) + len(asked)
        if said and said[-1].shown.kind != "duel":  # never two in a row
            return None
        chance = drawn(run, "check", turn, annotator)
        seen = {(vote.shown.kind, vote.shown.number) for vote in said} | {(s.kind, s.number) for s in asked}
        if chance < self.repeats:
            before = [vote for vote in said[: max(0, len(said) - _APART)] if vote.shown.kind == "duel"]
            able = [v for v in before if v.said != "skip" and ("repeat", v.shown.number) not in seen]
            if able:
                old = able[int(drawn(run, "repeat", turn, annotator) * len(able))].shown
                return Check(old.number, "repeat", not old.swapped)
        if chance >= 1 - self.gold_share:
            unseen = [duel.number for duel in self.gold if ("gold", duel.number) not in seen]
            if unseen:
                number = unseen[int(drawn(run, "gold", turn, annotator) * len(unseen))]
                return Check(number, "gold", drawn(run, "side", number, annotator) < 0.5)
        return None


def drawn(*about: object) -> float:
    """A number in [0, 1) that looks drawn and is always the same for the same things.

    >>> drawn("run", 3) == drawn("run", 3) != drawn("run", 4)
    True
    """
    text = "\0".join(map(str, about))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7]) / 2**56
