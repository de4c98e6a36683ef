"""A sweep to begin with: a minute on two cores."""

from duelbench.study.sweep import Sweep

sweep = Sweep(
    title="Active against passive, on stored responses",
    envs=["LLMDuelPool-v0"],
    agents=["uniform", "online", "sea"],
    seeds=5,
    labels=512,
)
