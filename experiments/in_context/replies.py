"""What the model answers to histories that somebody else played: do the results decide what it names?"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from duelbench.agents.arms.base import ArmSetup
from duelbench.agents.arms.duel_text import answer, read
from duelbench.agents.arms.in_context import InContext, InContextConfig
from duelbench.envs.arms.matrices import bernoulli_arms
from duelbench.experiments.in_context.study import HISTORIES, WORLD
from duelbench.results.report.pictures.drawing import save_csv

REPLIES = Path(__file__).with_name("replies.csv")
TOLD, DUELS = 30, 60
"""How many histories the model is asked about, and random duels in each."""

Reply = tuple[int, int, int]
"""Best arm of a history, and the two arms that the model names; −1 and −1 if it names none."""


def ask(seed: int = 0) -> None:
    """Ask about the same histories, told in every way that has no replies yet; each way is written when it is done."""
    known = read_replies() if REPLIES.exists() else {}
    for name, options in HISTORIES.items():
        if not known.get(name):
            known[name] = _asked(InContextConfig(**options), np.random.default_rng(seed))
            rows = [(told, *reply) for told, replies in known.items() for reply in replies]
            save_csv(REPLIES, ("told", "best", "first", "second"), rows)


def _asked(config: InContextConfig, rng: np.random.Generator) -> list[Reply]:
    arms = int(WORLD["arms"])
    preferences = bernoulli_arms(arms, **WORLD["options"])  # the first arm is the best
    names = np.array([rng.permutation(arms) for _ in range(TOLD)])  # of each history: names[h, arm]
    agent = InContext(ArmSetup(rows=TOLD, arms=arms, dim=0, labels=DUELS, rng=np.random.default_rng(0)), config)
    every = np.arange(TOLD)
    for _ in range(DUELS):
        firsts = rng.integers(arms, size=TOLD)
        seconds = (firsts + rng.integers(1, arms, size=TOLD)) % arms
        won = (rng.random(TOLD) < preferences[firsts, seconds]).astype(float)
        agent.update({}, names[every, firsts], names[every, seconds], won)
    replies = agent.chat.complete([agent.prompt(history) for history in range(TOLD)], rng)
    named = [read(reply, arms) or (-1, -1) for reply in replies]
    return [(int(best), *pair) for best, pair in zip(names[:, 0], named, strict=True)]


def read_replies() -> dict[str, list[Reply]]:
    """Replies by the way in which the history was told; ways that were not asked about yet are missing."""
    found: dict[str, list[Reply]] = {}
    with REPLIES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["told"], []).append((int(row["best"]), int(row["first"]), int(row["second"])))
    return found


def reply_table(replies: Mapping[str, Sequence[Reply]]) -> str:
    """Of every way: how often the best arm is among those named, and what is named most."""
    lines = [
        "| history | pairs with the best arm | named most | replies that name no pair |",
        "| --- | --- | --- | --- |",
    ]
    for name, told in replies.items():
        pairs = [(best, first, second) for best, first, second in told if first >= 0]
        share = np.mean([best in named for best, *named in pairs])
        (most, times), *_ = Counter(answer(*named) for _, *named in pairs).most_common(1)
        lines.append(f"| {name} | {share:.2f} | `{most}`, {times} of {len(told)} | {len(told) - len(pairs)} |")
    return "\n".join(lines)
