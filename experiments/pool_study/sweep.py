"""The study's worlds and players: agents of the literature and the ladder choose duels among 64 stored responses."""

from __future__ import annotations

from pathlib import Path

from duelbench.experiments.comparison.define import Comparison, Part, Player
from duelbench.records.spec import Judging

PLAYERS = {
    name: Player(name)
    for name in ("uniform", "offline", "online", "apl", "xpo", "sea", "sea-ee", "offline_rm", "online_rm", "ide")
}
PAIRS = (("online", "sea"), ("online", "ide"), ("online_rm", "ide"))

POOL_STUDY = Comparison(
    folder=Path(__file__).parent,
    env="LLMDuelPool-v0",
    parts={
        "reader, warm": Part(PLAYERS, pairs=PAIRS),
        "reader-easy, warm": Part(PLAYERS, env_kwargs={"oracle": "reader-easy"}, pairs=PAIRS),
        "reader-hard, warm": Part(PLAYERS, env_kwargs={"oracle": "reader-hard"}, pairs=PAIRS),
        "reader, cold": Part(PLAYERS, env_kwargs={"features": "lm"}, pairs=PAIRS),
    },
    labels=1024,
    judging=Judging(every=64, repeats=4),
    policy={"hidden": 256},
    learner={"learning_rate": 1e-2},
)
"""Worlds differ in taste, and in whether features have read other readers (warm) or are the language model's (cold)."""
