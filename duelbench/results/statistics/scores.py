"""Scores in [0, 1] by regret: 0 for uniform pairs on the same instance, 1 for no regret at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from duelbench.metrics import METRICS, REGRETS
from duelbench.records.record import Run
from duelbench.results.statistics.estimates import Estimate, mean_interval, standard_error

_HEADLINES = tuple(name for name in REGRETS if METRICS[name].accumulates)


def final_regrets(runs: Sequence[Run]) -> dict[int, float]:
    """Cumulative regret of finished runs over all their labels, by seed, in the kind that the problem is judged by."""
    last = {run.spec["seed"]: run.rows[-1] for run in runs if run.finished}
    return {seed: next(row[name] for name in _HEADLINES if name in row) for seed, row in last.items()}


@dataclass(frozen=True)
class Score:
    """How well an agent did on a task.

    Attributes:
        task: its name.
        agent: the name shown.
        values: score of each seed, in [0, 1]; empty if the task was not played.
        reason: why not.
    """

    task: str
    agent: str
    values: tuple[float, ...] = ()
    reason: str = ""

    @property
    def mean(self) -> float:
        """Over the seeds; NaN if the task was not played."""
        return float(np.mean(self.values)) if self.values else float("nan")

    @property
    def error(self) -> float | None:
        """Standard error of the mean; None for fewer than two seeds."""
        return standard_error(self.values)

    @property
    def interval(self) -> Estimate:
        """Mean with its 95 % interval."""
        return mean_interval(self.values)


def seed_scores(regrets: Mapping[int, float], uniform: Mapping[int, float]) -> tuple[float, ...]:
    """1 − R / R_uniform of each seed, clipped to [0, 1].

    R_uniform is what uniform pairs lose on the same seed, hence on the same instance. Divided by an average over
    seeds instead, clipping would lift the score of uniform pairs above 0 wherever instances differ.

    Args:
        regrets: regret of the agent, by seed.
        uniform: regret of uniform pairs, by seed.
    """
    return tuple(min(1.0, max(0.0, 1.0 - regret / uniform[seed])) for seed, regret in sorted(regrets.items()))
