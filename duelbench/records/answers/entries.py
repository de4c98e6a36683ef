"""What a journal holds: answered duels, and questions about texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from duelbench.types import Verdict

Purpose = Literal["duel", "judging"]
"""What a question to an oracle is for."""
Texts = tuple[str, str, str | None]
"""What a question is about: prompt and response, and the rival where two are compared."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question about texts with its answer, None where it failed; ``second`` is None for a utility."""

    number: int
    purpose: Purpose
    prompt: str
    first: str
    second: str | None
    value: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answered duel. ``probability`` is the oracle's P(first preferred), None where it failed."""

    duel: int
    prompt: str
    first: str
    second: str
    probability: float | None
    verdict: Verdict
