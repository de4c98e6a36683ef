"""Duels on their way to the environment, and late answers on their way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from duelbench.types import Pair


def within_budget(pair: Pair, left: int, *, free: bool) -> Pair:
    """The pair with no more rows asked than labels are left; ``free``: two identical responses cost none."""
    costs = pair.ask & ~pair.identical if free else pair.ask
    return replace(pair, ask=pair.ask & (np.cumsum(costs) <= left))


def action_of(pair: Pair) -> Any:
    """The pair in the environment's form."""
    first, second = pair.first.actions, pair.second.actions
    return (tuple(first), tuple(second)) if first.dtype == object else np.stack([first, second], axis=-1)


def late_answers(info: dict[str, Any]) -> tuple[tuple[int, int, float], ...]:
    """The late answers that came in a step: (row, round of the duel, reward)."""
    return tuple((row, duel, reward) for row, come in enumerate(info.get("answers", ())) for duel, reward in come)
