"""The study's worlds and players, chosen before any reporting run.

All runs are LLMDuel-v0 with the embedded language model ``tiny``, 1,024 labels, 32 a round. ``online`` is the tuned one
(``tuning.py``); everybody else plays with the defaults of the library, which were not tuned here.
"""

from __future__ import annotations

from pathlib import Path

from duelbench.experiments.comparison.define import Comparison, Part, Player
from duelbench.records.spec import Judging

LADDER: dict[str, Player] = {
    "online": Player("online", learner={"learning_rate": 5e-4, "steps": 1}),
    "sea": Player("sea"),
    "online_rm": Player("online_rm"),
    "ide": Player("ide"),
}
"""The baseline, the paper's agent, and the ladder without and with a choice of duels."""

KNOWS = {"ide, knows the taste": Player("ide", policy={"features": "knows_taste:reader"})}
"""A line that nobody can compete with: its features are what this very reader notices."""

PAIRS = (("online", "ide"), ("online", "online_rm"), ("online", "sea"), ("online_rm", "ide"))

LADDER_STUDY = Comparison(
    folder=Path(__file__).parent,
    env="LLMDuel-v0",
    parts={
        "reader, warm": Part(LADDER, pairs=PAIRS, limit="limit"),
        "reader-easy, warm": Part(LADDER, env_kwargs={"oracle": "reader-easy"}, pairs=PAIRS),
        "reader-hard, warm": Part(LADDER, env_kwargs={"oracle": "reader-hard"}, pairs=PAIRS),
        "reader, cold": Part(LADDER, policy={"features": "lm"}, pairs=PAIRS, picture=False),
        "limit": Part(KNOWS, base="", picture=False),
    },
    labels=1024,
    candidates=16,
    judging=Judging(every=128, repeats=2),
    policy={"model": "tiny", "features": "preference"},
    learner={"learning_rate": 5e-4},
)
"""Worlds differ in taste, and in whether features have read other readers (warm) or are the language model's (cold)."""
