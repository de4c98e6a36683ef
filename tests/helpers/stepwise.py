"""A vectorised agent beside a step-by-step reference: every duel has to be the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def random_matrix(rng: np.random.Generator, arms: int) -> NDArray[np.float64]:
    """Uniform preferences, (K, K)."""
    upper = np.triu(rng.random((arms, arms)), 1)
    return upper + np.tril(1.0 - upper.T, -1) + 0.5 * np.eye(arms)


def play_beside(
    agent: Any,
    scalar: Any,
    world: np.random.Generator,
    matrix: NDArray[np.float64],
    rounds: int,
    unclear: float,
    delay: int,
    each: Callable[[], None] = lambda: None,
) -> None:
    """Assert that both propose the same duels.

    One answer in ten is missing and those up to ``unclear`` are ties; all come ``delay`` rounds late. ``each`` is
    called for every answer, missing ones too, before the reference learns from it.
    """
    waiting: list[tuple[int, int, float]] = []
    for t in range(rounds):
        expected = scalar.propose()
        firsts, seconds = agent.propose({})
        assert firsts.shape == seconds.shape == (1,) and firsts.dtype == seconds.dtype == np.int64
        assert (int(firsts[0]), int(seconds[0])) == expected, t
        kind, chance = world.random(2)
        won = float(chance < matrix[expected])
        waiting.append((*expected, math.nan if kind < 0.1 else 0.5 if kind < unclear else won))
        if len(waiting) > delay:
            first, second, feedback = waiting.pop(0)
            agent.update({}, np.array([first]), np.array([second]), np.array([feedback]))
            each()
            if not math.isnan(feedback):
                scalar.learn(first, second, feedback)
