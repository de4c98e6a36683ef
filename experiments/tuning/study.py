"""How much can ``online`` learn from a label? Steps a round and step size, on tuning seeds."""

from pathlib import Path

from duelbench.experiments.comparison.define import Comparison, Part, Player
from duelbench.records.spec import Judging

TUNING = Comparison(
    folder=Path(__file__).parent,
    env="LLMDuel-v0",
    parts={
        "online on LLMDuel-v0": Part(
            {
                f"{steps} × {rate:g}": Player("online", learner={"steps": steps, "learning_rate": rate})
                for rate in (1e-4, 2e-4, 5e-4)
                for steps in (1, 2, 4)
            },
            base="1 × 0.0005",
            picture=False,
        )
    },
    labels=1024,
    judging=Judging(every=128, repeats=2),
    policy={"model": "tiny", "features": "preference"},
    learner={"loss": "dpo"},
    seeds=3,
    first_seed=1000,
)
"""Players are called by gradient steps a round × step size."""
