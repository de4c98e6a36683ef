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

TASTES = ("reader", "reader-easy", "reader-hard", "reader-rare")
WARM = {
    f"{taste}, warm": Part(
        PLAYERS, env_kwargs={} if taste == "reader" else {"oracle": taste}, pairs=PAIRS, limit=f"limit ({taste})"
    )
    for taste in TASTES
}
COLD = Part(PLAYERS, env_kwargs={"features": "lm"}, pairs=PAIRS, limit="limit (reader)")
LIMITS = {
    f"limit ({taste})": Part(
        {"ide": PLAYERS["ide"]}, base="", env_kwargs={"oracle": taste, "features": "knows_taste"}, picture=False
    )
    for taste in TASTES
}
"""Lines that nobody can compete with: the features are what this very reader notices."""

POOL_STUDY = Comparison(
    folder=Path(__file__).parent,
    env="LLMDuelPool-v0",
    parts=WARM | {"reader, cold": COLD, "ablation (reader, warm)": Part(ABLATION, base="ide", picture=False)} | LIMITS,
    labels=1024,
    candidates=16,
    judging=Judging(every=64, repeats=4),
    policy={"hidden": 256},
    learner={"learning_rate": 1e-2},
)
"""Worlds differ in taste, and in whether features have read other readers (warm) or are the language model's (cold)."""
