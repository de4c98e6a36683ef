"""A sweep of your own: environments × agents × optimizers × settings × seeds.

    duelbench sweep mine.py --only smoke

plays one seed of each kind; ``--dry-run`` says what is left to play and what that will cost, and without either the
whole is played. Runs may be added and removed freely: what is finished is never played again.
"""

from __future__ import annotations

from duelbench.study.sweep import AgentSetting, Sweep

sweep = Sweep(
    title="Do more candidates help?",
    envs=["LLMDuelPool-v0"],
    agents=["uniform", "online", AgentSetting("sea", {"candidates": 4}), AgentSetting("sea", {"candidates": 16})],
    seeds=3,
    labels=128,
    baseline="online",  # whom the report compares the others with
)
