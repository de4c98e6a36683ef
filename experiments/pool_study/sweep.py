"""The study's worlds and players: agents of the literature and the ladder choose duels among 64 stored responses."""

from __future__ import annotations

from pathlib import Path

from duelbench.experiments.comparison.define import Comparison, Part, Player
from duelbench.records.spec import Judging

PLAYERS = {
    name: Player(name)
    for name in ("uniform", "offline", "online", "apl", "xpo", "sea", "sea-ee", "offline_rm", "online_rm", "ide")
}
ABLATION = {
    "ide": PLAYERS["ide"],
    "no nudge (ε = 0)": Player("ide", {"epsilon": 0.0}),
    "anchor at the start (η = 1)": Player("ide", {"anchor_decay": 1.0}),
    "no unlabelled prompts": Player("ide", {"unlabelled": 0.0}),
    "random pair": PLAYERS["online_rm"],
    "infomax on logits": Player("ide", {"selection": "uncertainty"}),
    "DPO on the model's labels": Player("ide", {"objective": "direct"}),
    "restarts (periodic_rm)": Player("periodic_rm"),
    "ensemble": Player("ide", {"posterior": "ensemble"}),
    "epinet": Player("ide", {"posterior": "epinet"}),
}
"""``ide`` with one thing changed."""
PAIRS = (("online", "sea"), ("online", "ide"), ("online_rm", "ide"))

POOL_STUDY = Comparison(
    folder=Path(__file__).parent,
    env="LLMDuelPool-v0",
    parts={
        "reader, warm": Part(PLAYERS, pairs=PAIRS),
        "reader-easy, warm": Part(PLAYERS, env_kwargs={"oracle": "reader-easy"}, pairs=PAIRS),
        "reader-hard, warm": Part(PLAYERS, env_kwargs={"oracle": "reader-hard"}, pairs=PAIRS),
        "reader-rare, warm": Part(PLAYERS, env_kwargs={"oracle": "reader-rare"}, pairs=PAIRS),
        "reader, cold": Part(PLAYERS, env_kwargs={"features": "lm"}, pairs=PAIRS),
        "ablation (reader, warm)": Part(ABLATION, base="ide", picture=False),
    },
    labels=1024,
    judging=Judging(every=64, repeats=4),
    policy={"hidden": 256},
    learner={"learning_rate": 1e-2},
)
"""Worlds differ in taste, and in whether features have read other readers (warm) or are the language model's (cold)."""
