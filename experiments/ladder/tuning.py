"""How the baseline was tuned: steps and step size of ``online``, on seeds that report nothing.

duelbench sweep experiments/ladder/tuning.py
"""

from duelbench.study.sweep import Sweep

sweep = Sweep(
    title="How much can online learn from a label? Steps a round and step size, tuning seeds",
    envs=["LLMDuel-v0"],
    agents=["online"],
    settings={"learner.steps": [1, 2], "learner.learning_rate": [2e-4, 5e-4]},
    seeds=range(1000, 1003),
)
