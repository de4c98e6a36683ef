"""What is compared, chosen before any reporting run: agents, worlds, win rates, seeds.

All runs are LLMDuel-v0 with the embedded language model ``tiny``, 1,024 labels, 32 a round. ``online`` is the tuned one
(``tuning.py``); everybody else plays with the defaults of the library, which were not tuned here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from duelbench.experiments.records import MOST_SEEDS
from duelbench.records.spec import Judging, RunSpec

METRICS = (
    "offline_win_rate",
    "online_win_rate",
    "offline_utility",
    "simple_regret",
    "cumulative_average_regret",
    "self_duel_share",
    "posterior_accuracy",
    "kl_to_start",
    "response_entropy",
    "response_length",
)
RECORDS = Path(__file__).with_name("records.csv")
LABELS = 1024
SEEDS = 10
THRESHOLDS = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
"""Win rates at which labels are compared: the report's own and two above them."""

TUNED: dict[str, Any] = {"learning_rate": 5e-4, "steps": 1}
"""What ``tuning.py`` found for ``online``."""


@dataclass(frozen=True)
class Player:
    """An agent and what differs from its defaults."""

    agent: str
    options: dict[str, Any] = field(default_factory=dict)
    learner: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)


LADDER: dict[str, Player] = {
    "online": Player("online", learner=TUNED),
    "sea": Player("sea"),
    "online_rm": Player("online_rm"),
    "ide": Player("ide"),
}
"""The baseline, the paper's agent, and the ladder without and with a choice of duels."""

ABLATION: dict[str, Player] = {
    "ide": LADDER["ide"],
    "no nudge (ε = 0)": Player("ide", {"epsilon": 0.0}),
    "anchor at the start": Player("ide", {"anchor_decay": 1.0}),
    "no unlabelled prompts": Player("ide", {"unlabelled": 0.0}),
    "random pair": LADDER["online_rm"],
    "infomax on logits": Player("ide", {"selection": "uncertainty"}),
    "DPO on the model's labels": Player("ide", {"objective": "direct"}),
    "ensemble": Player("ide", {"posterior": "ensemble"}),
}

WORLDS: dict[str, dict[str, Any]] = {
    "reader, warm": {},
    "reader-easy, warm": {"env_kwargs": {"oracle": "reader-easy"}},
    "reader-hard, warm": {"env_kwargs": {"oracle": "reader-hard"}},
    "reader, cold": {"policy": {"features": "lm"}},
}
"""Taste, and whether the features have read other readers (warm) or are the language model's own states (cold)."""

PARTS: dict[str, tuple[str, dict[str, Player]]] = {world: (world, LADDER) for world in WORLDS}
PARTS["ablation"] = ("reader, warm", ABLATION)
PARTS["limit"] = ("reader, warm", {"ide, knows the taste": Player("ide", policy={"features": "knows_taste:reader"})})
"""World and players of each part, in the order in which they are played. The last is a line that nobody can compete
with: its features are what this very reader notices."""


def spec_of(world: str, player: Player, seed: int) -> RunSpec:
    """One run."""
    changes = WORLDS[world]
    return RunSpec(
        env="LLMDuel-v0",
        agent=player.agent,
        seed=seed,
        labels=LABELS,
        batch=32,
        judging=Judging(every=128, repeats=2),
        env_kwargs=changes.get("env_kwargs", {}),
        agent_options=player.options,
        policy={"model": "tiny", "features": "preference"} | changes.get("policy", {}) | player.policy,
        learner={"learning_rate": 5e-4} | player.learner,
    )


@cache
def run_ids(part: str, name: str) -> tuple[str, ...]:
    """Ids of a player's runs by seed."""
    world, players = PARTS[part]
    return tuple(spec_of(world, players[name], seed).asked_id for seed in range(MOST_SEEDS))


def part_specs(part: str, seeds: int = SEEDS) -> list[RunSpec]:
    """The runs of one part, all of a seed before the next seed's."""
    world, players = PARTS[part]
    return [spec_of(world, player, seed) for seed in range(seeds) for player in players.values()]
