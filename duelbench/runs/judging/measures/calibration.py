"""What an agent with a posterior predicts of held-out duels, and their truth."""

from __future__ import annotations

import numpy as np

from duelbench.protocols import Predictor
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.assemble import Parts
from duelbench.streams import Streams

_PREDICTED = 256  # held-out duels


def calibration(spec: RunSpec, parts: Parts) -> dict[str, list[float]] | None:
    """Predictions of held-out duels between two reference samples, and their truth, which must be known.

    All agents of a seed predict the same duels.

    Returns:
        ``probability``, ``spread`` and ``truth`` of the duels; None if the agent predicts nothing.
    """
    problem = parts.env.problem
    if not isinstance(parts.agent, Predictor):
        return None
    ids = np.resize(problem.heldout_ids(), _PREDICTED)
    observation, rng = problem.observe(ids), Streams(spec.seed).generator("calibration")
    samples = parts.policy.sample(observation, 2, rng, reference=True)
    column = np.zeros(len(ids), np.int64)
    first, second = samples.pick(column), samples.pick(column + 1)
    probability, spread = parts.agent.predict(observation, first, second)
    truth = parts.env.engine.feedback.first_wins(problem.preference(ids, first.actions, second.actions))
    answered = np.isfinite(truth) & (first.actions != second.actions)
    columns = {"probability": probability, "spread": spread, "truth": truth}
    return {name: np.round(values[answered], 6).tolist() for name, values in columns.items()}
