"""How duels are told to a language model, and how its answer is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit

from duelbench.agents.arms.base import Floats

History = Literal["raw", "summary", "guided"]
NAMES = tuple("BCDFGHJKLMNPQRSTVWXZ")
"""Names of the arms: letters that are no words of their own."""
_DEMONSTRATED_SCALE = 2.0  # standard deviation of the utilities in a demonstration


@dataclass(frozen=True)
class Told:
    """What a learner knows of its duels.

    Attributes:
        wins: W[i, j], wins of arm i over arm j, ties half, (K, K).
        played: N = W + Wᵀ, (K, K).
        recent: the last duels as (first, second, feedback), in order.
    """

    wins: Floats
    played: Floats
    recent: Sequence[tuple[int, int, float]]


def question(arms: int, history: str, demonstrations: str = "") -> str:
    """What the model is asked before a duel."""
    return (
        f"{demonstrations}There are {arms} options: {', '.join(NAMES[:arms])}. Each round you name two options, and a "
        "noisy judge says which of them is better. Every round with a worse option than the best costs you, so name "
        f"the best option twice once you know it.\n\n{history}\n\n"
        "Which two options come next? Answer with two letters only."
    )


def tell(told: Told, history: History) -> str:
    """The duels so far, in one of three ways.

    * ``raw``: the recent ones, one a line;
    * ``summary``: wins and duels of each arm and of each pair;
    * ``guided``: of each arm its duels, its mean and the upper confidence bound mean + √(½ ln t / n).
    """
    lines = {"raw": _raw, "summary": _summary, "guided": _guided}[history](told)
    return "\n".join(["Results so far:", *lines]) if lines else "There are no results yet."


def _raw(told: Told) -> list[str]:
    return [_duel(*duel) for duel in told.recent]


def _duel(first: int, second: int, feedback: float) -> str:
    if feedback == 0.5:
        return f"{NAMES[first]} and {NAMES[second]} tied"
    winner, loser = (first, second) if feedback > 0.5 else (second, first)
    return f"{NAMES[winner]} beat {NAMES[loser]}"


def _summary(told: Told) -> list[str]:
    won, played = _by_arm(told)
    lines = [f"{NAMES[k]}: won {won[k]:g} of {played[k]:g}" for k in np.flatnonzero(played)]
    pairs = np.argwhere(np.triu(told.played, 1))
    return lines + [
        f"{NAMES[i]} against {NAMES[j]}: won {told.wins[i, j]:g} of {told.played[i, j]:g}" for i, j in pairs
    ]


def _guided(told: Told) -> list[str]:
    won, played = _by_arm(told)
    if not played.any():
        return []
    bounds = upper_bounds(won, played)
    return [
        f"{NAMES[k]}: won {won[k] / played[k]:.2f} of {played[k]:g}, upper bound {bounds[k]:.2f}"
        if played[k]
        else f"{NAMES[k]}: never tried"
        for k in range(len(won))
    ]


def _by_arm(told: Told) -> tuple[Floats, Floats]:
    """Wins and duels of each arm against the others, (K,) and (K,)."""
    others = ~np.eye(len(told.wins), dtype=bool)
    return (told.wins * others).sum(-1), (told.played * others).sum(-1)


def upper_bounds(won: Floats, played: Floats) -> Floats:
    """Mean + √(½ ln t / n) of each arm, t the number of duels; infinite where it was never tried, (K,)."""
    seen = played > 0
    log_t = np.log(max(played.sum() / 2.0, 1.0))
    mean = np.divide(won, played, out=np.full(won.shape, np.inf), where=seen)
    return mean + np.sqrt(np.divide(0.5 * log_t, played, out=np.zeros(won.shape), where=seen))


def demonstrate(count: int, arms: int, history: History, window: int, rng: np.random.Generator) -> str:
    """What an agent that knows the best arm does on other instances: it names that arm twice.

    An instance has Bradley–Terry preferences of utilities from N(0, 2²), and a history of 4 K random duels.
    """
    return "".join(_demonstration(arms, history, window, rng) for _ in range(count))


def _demonstration(arms: int, history: History, window: int, rng: np.random.Generator) -> str:
    utilities = rng.normal(0.0, _DEMONSTRATED_SCALE, arms)
    wins = np.zeros((arms, arms))
    duels: list[tuple[int, int, float]] = []
    for _ in range(4 * arms):
        first, second = rng.choice(arms, 2, replace=False).tolist()
        feedback = float(rng.random() < expit(utilities[first] - utilities[second]))
        wins[first, second] += feedback
        wins[second, first] += 1.0 - feedback
        duels.append((first, second, feedback))
    best = int(utilities.argmax())
    told = Told(wins, wins + wins.T, duels[-window:])
    return f"Example. {tell(told, history)}\nBest answer: {answer(best, best)}\n\n"


def answer(first: int, second: int) -> str:
    """A pair as the model should name it."""
    return f"{NAMES[first]} {NAMES[second]}"


def read(reply: str, arms: int) -> tuple[int, int] | None:
    """The first two arms that a reply names, capital letters standing alone; None if it names fewer."""
    found: Iterable[str] = re.findall(rf"(?<![^\W_])[{''.join(NAMES[:arms])}](?![^\W_]|['’])", reply)
    named = [NAMES.index(letter) for letter in found][:2]
    return (named[0], named[1]) if len(named) == 2 else None
