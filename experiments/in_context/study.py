"""Players of the study, and the histories that its model is asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from duelbench.experiments.comparison.arms import ArmsPlayer, ArmsStudy

WORLD: dict[str, Any] = {"matrix": "bernoulli", "arms": 5, "options": {"gap": 0.5}}
"""As the preset `bernoulli-easy`."""

GUIDED: dict[str, Any] = {"history": "guided"}

IN_CONTEXT = ArmsStudy(
    folder=Path(__file__).parent,
    env="MatrixDuel-v0",
    tables={
        "80 duels": {
            "in_context, reply": ArmsPlayer("in_context", GUIDED, WORLD),
            "in_context, likeliest pair": ArmsPlayer("in_context", GUIDED | {"choice": "likelihood"}, WORLD),
            "greedy": ArmsPlayer("greedy", env_kwargs=WORLD),
            "double_ts": ArmsPlayer("double_ts", env_kwargs=WORLD),
            "uniform": ArmsPlayer("uniform", env_kwargs=WORLD),
        }
    },
    columns={
        "cumulative average regret": ("cumulative_average_regret", 80, 1),
        "knows the best arm": ("best_arm_rate", 80, 2),
        "replies that name no pair": ("parse_failures", 80, 2),
    },
    labels=80,
    every=80,
    seeds=5,
    metrics=("cumulative_average_regret", "best_arm_rate", "parse_failures"),
)

HISTORIES: dict[str, dict[str, Any]] = {
    "guided": {"history": "guided"},
    "summary": {"history": "summary"},
    "guided, two solved examples first": {"history": "guided", "demonstrations": 2},
    "raw": {"history": "raw"},
}
"""Ways to tell a history, by the name of their row: options of the agent."""
