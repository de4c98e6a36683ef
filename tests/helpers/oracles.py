"""Small oracles that tests name by path, ``FILE:Class``. They read a response's worth from its text."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit


def worth(text: str) -> float:
    """The number that a response ends in: ``"... worth 0.25"`` -> 0.25; other texts are worth their length."""
    last = text.rpartition(" ")[2]
    try:
        return float(last)
    except ValueError:
        return float(len(text))


class Worth:
    """Knows the worth of every response."""

    name = "worth"
    prefers_by_utility = True
    free = True

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        return np.array([worth(text) for text in responses], np.float64)

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        return expit(self.utilities(prompts, firsts) - self.utilities(prompts, seconds))


class Forgetful(Worth):
    """Does not know the worth of the responses with the word "odd" in them."""

    name = "forgetful"

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        known = np.array(["odd" not in text.split() for text in responses])
        return np.where(known, super().utilities(prompts, responses), np.nan)


class Blank(Worth):
    """Knows the worth of nothing."""

    name = "blank"

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        return np.full(len(responses), np.nan)


class Namesake(Worth):
    """Goes by the name of the packaged reader."""

    name = "reader"


class Judge:
    """Answers duels but knows no utilities; keeps a durable list of the batches it was asked, one line a call."""

    name = "judge"

    def __init__(self, log: str | None = None) -> None:
        self.log = log

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        duels = list(zip(prompts, firsts, seconds, strict=True))
        if self.log is not None:
            with Path(self.log).open("a", encoding="utf-8") as file:
                file.write(json.dumps(duels) + "\n")
                file.flush()
                os.fsync(file.fileno())
        return np.array([self.answer(*duel) for duel in duels], np.float64)

    def answer(self, prompt: str, first: str, second: str) -> float:
        return float(expit(worth(first) - worth(second)))


class Picky(Judge):
    """Fails on every duel whose first response has the word "odd" in it, answers the others."""

    name = "picky"

    def answer(self, prompt: str, first: str, second: str) -> float:
        return float("nan") if "odd" in first.split() else super().answer(prompt, first, second)


class Down(Judge):
    """Fails on everything while the file ``log`` + ``.down`` exists."""

    name = "down"

    def answer(self, prompt: str, first: str, second: str) -> float:
        broken = Path(f"{self.log}.down").exists()
        return float("nan") if broken else super().answer(prompt, first, second)
