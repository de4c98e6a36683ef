"""What `duelbench run` does when it is not told otherwise, by environment.

Learning rates were chosen for the passive ``online`` agent on tuning seeds (1000 and up), never on the reporting seeds
(0, 1, …): see ``experiments/tuning``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DEMO_AGENTS = ("uniform", "offline", "online", "apl", "xpo", "sea", "sea-ee")


@dataclass(frozen=True)
class EnvDefaults:
    """A sensible run on one environment.

    Attributes:
        labels: budget.
        batch: labels a round.
        evaluate_every: labels between judgements.
        evaluation_repeats: responses judged for each held-out prompt.
        seeds: number of seeds.
        learner: fields of ``LearnerConfig``.
        policy: arguments of the policy.
        presets: environment arguments by preset name.
    """

    labels: int
    batch: int
    evaluate_every: int
    evaluation_repeats: int
    seeds: int
    learner: dict[str, Any]
    policy: dict[str, Any] = field(default_factory=dict)
    presets: dict[str, dict[str, Any]] = field(default_factory=dict)


_TASTES = {
    "easy": {"oracle": "reader-easy"},
    "standard": {"oracle": "reader"},
    "hard": {"oracle": "reader-hard"},
    "noiseless": {"oracle": "reader", "feedback": "deterministic"},
}

ENV_DEFAULTS: dict[str, EnvDefaults] = {
    "LLMDuel-v0": EnvDefaults(
        labels=1024, batch=32, evaluate_every=128, evaluation_repeats=2, seeds=3,
        learner={"learning_rate": 5e-4}, policy={"model": "tiny"}, presets=_TASTES,
    ),
    "LLMDuelPool-v0": EnvDefaults(
        labels=2048, batch=32, evaluate_every=128, evaluation_repeats=4, seeds=3,
        learner={"learning_rate": 1e-2}, policy={"hidden": 256}, presets=_TASTES,
    ),
}  # fmt: skip
