"""A duel as people see it, and what can be wrong with an answer to it."""

from __future__ import annotations

from dataclasses import dataclass

from duelbench.errors import UsageError


class UnknownDuelError(UsageError):
    """Nobody, or somebody else, was asked this."""


class AnsweredError(UsageError):
    """The duel already has its answer, or the answer can no longer be taken back."""


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


def checked_name(annotator: str) -> str:
    """The name of an annotator.

    Raises:
        UsageError: it cannot be used as one.
    """
    if not isinstance(annotator, str) or not annotator.strip() or len(annotator) > 100 or not annotator.isprintable():
        raise UsageError(f"annotator must be a name of 1 to 100 printable characters, got {annotator!r:.120}")
    return annotator
