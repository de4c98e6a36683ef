"""From what several people said of a duel to its one answer."""

from __future__ import annotations

from collections.abc import Sequence

from duelbench.records.answers.votes import Said
from duelbench.types import Verdict

WORTH: dict[Said, float] = {"first": 1.0, "second": 0.0, "tie": 0.5, "both_bad": 0.5}
"""What a vote counts for the first response. That both are bad says no more of which is better than a tie does; the
votes keep the two apart."""


def decide(said: Sequence[Said]) -> tuple[float, Verdict]:
    """The share of the votes that the first response got, ties half, and the verdict of the majority.

    >>> decide(["first", "first", "second"])
    (0.6666666666666666, <Verdict.FIRST: 1>)
    >>> decide(["first", "both_bad", "second"])
    (0.5, <Verdict.TIE: 2>)
    """
    total = sum(WORTH[one] for one in said)
    verdict = Verdict.TIE if 2 * total == len(said) else Verdict(int(2 * total > len(said)))
    return total / len(said), verdict
