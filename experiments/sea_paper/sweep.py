"""What is compared: the paper's grid of scales, its ablation (table 1), its exploration rules (section 6.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from duelbench.experiments.records import MOST_SEEDS
from duelbench.records.spec import Judging, RunSpec

AGENTS = ("offline", "online", "apl", "xpo", "sea")
OPTIMIZERS = {"dpo": "DPO", "ipo": "IPO", "slic": "SLiC"}
"""Losses and what the papers call them."""
METRICS = (
    "offline_win_rate",
    "online_win_rate",
    "offline_utility",
    "simple_regret",
    "cumulative_average_regret",
    "posterior_accuracy",
)
RECORDS = Path(__file__).with_name("records.csv")


@dataclass(frozen=True)
class Scale:
    """A language model and how long and how fast it learns.

    Attributes:
        task: short writing requests with stored responses of this very model, so that it starts at a win rate of 0.5.
        labels: budget.
        batch: labels a round.
        learning_rate: step size by optimizer, chosen for ``online`` on tuning seeds.
        policy: more arguments of the policy.
        judgements: how often a run is judged, but for the beginning.
        repeats: responses judged for each held-out prompt.
        seeds: how many make the grid complete.
    """

    task: str
    labels: int
    batch: int
    learning_rate: dict[str, float]
    policy: dict[str, Any] = field(default_factory=dict)
    judgements: int = 8
    repeats: int = 2
    seeds: int = 5


SCALES = {
    "mini": Scale("short-writing-mini", 1024, 32, {"dpo": 5e-4, "ipo": 5e-4, "slic": 5e-4}),
    "tiny": Scale("short-writing", 1024, 32, {"dpo": 5e-4, "ipo": 5e-4, "slic": 5e-4}),
    "smollm2-135m": Scale(
        "short-writing-smollm2-135m",
        128,
        16,
        {"dpo": 1e-4, "ipo": 1e-4, "slic": 1e-4},
        {"temperature": 0.7},
        judgements=4,
        repeats=1,
        seeds=2,
    ),
}
LOSSES: dict[str, dict[str, Any]] = {
    "dpo": {"beta": 0.1},
    "ipo": {"beta": 0.3, "length_average": True},
    "slic": {"beta": 0.2},
}
"""The paper's β (appendix D). IPO: the best of its four, with log-probabilities per token, as in the authors' code."""

_NO_MIX: dict[str, Any] = {"real_share": 1.0}
_BEST_OF: dict[str, Any] = {"best_of": 8}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "1 passive, policy": ("online", {}),
    "2 active, policy + reward model": ("sea", _NO_MIX),
    "3 SEA": ("sea", {}),
    "4 passive, best of 8": ("sea", _NO_MIX | _BEST_OF | {"selection": "uniform", "candidates": 2}),
    "5 active, best of 8": ("sea", _NO_MIX | _BEST_OF),
    "6 SEA, best of 8": ("sea", _BEST_OF),
    "7 reward model only, best of 8": ("sea", _NO_MIX | _BEST_OF | {"train_policy": False}),
}
"""Table 1 of the paper: agent and options."""

RULES: dict[str, dict[str, Any]] = {
    "E&E-TS": {"selection": "ee"},
    "BAI-TS": {},
    "Uncertainty": {"selection": "uncertainty"},
}
"""Section 6.3: how SEA chooses its duels."""

Part = Literal["scales", "ablation", "rules"]
Cell = tuple[str, str, str]
"""Scale, optimizer, and the name of what is compared: an agent, a variant or a rule."""


def cells(part: Part) -> dict[Cell, tuple[str, dict[str, Any]]]:
    """What a part compares: agent and options of each cell."""
    if part == "scales":
        return {(s, o, agent): (agent, {}) for s in SCALES for o in OPTIMIZERS for agent in AGENTS}
    if part == "ablation":
        return {("tiny", "dpo", name): setting for name, setting in VARIANTS.items()}
    return {("tiny", "dpo", name): ("sea", options) for name, options in RULES.items()}


def spec_of(cell: Cell, setting: tuple[str, dict[str, Any]], seed: int) -> RunSpec:
    """One run of the study."""
    (model, optimizer, _), (agent, options) = cell, setting
    scale = SCALES[model]
    return RunSpec(
        env="LLMDuel-v0",
        agent=agent,
        seed=seed,
        labels=scale.labels,
        batch=scale.batch,
        judging=Judging(every=scale.labels // scale.judgements, repeats=scale.repeats),
        env_kwargs={"task": scale.task},
        agent_options=options,
        policy={"model": model} | scale.policy,
        learner={"loss": optimizer, "learning_rate": scale.learning_rate[optimizer]} | LOSSES[optimizer],
    )


@cache
def run_ids(part: Part, cell: Cell) -> tuple[str, ...]:
    """Ids of a cell's runs by seed."""
    setting = cells(part)[cell]
    return tuple(spec_of(cell, setting, seed).asked_id for seed in range(MOST_SEEDS))


def part_specs(part: Part, seeds: int | None = None) -> list[RunSpec]:
    """The runs of one part, all of a seed before the next seed's; by default as many seeds as make it complete."""
    return [
        spec_of(cell, setting, seed)
        for seed in range(MOST_SEEDS)
        for cell, setting in cells(part).items()
        if seed < (SCALES[cell[0]].seeds if seeds is None else seeds)
    ]
