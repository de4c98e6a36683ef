"""What is compared: all rules for pairs in three places, and all rules for prompts in one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from duelbench.acquisition.prompts import SCORES
from duelbench.agents.alignment.table import RULES_AS_AGENTS
from duelbench.experiments.records import MOST_SEEDS
from duelbench.records.spec import Judging, RunSpec

BASE = "random_pair"


@dataclass(frozen=True)
class Place:
    """Where rules are compared. Step sizes are the defaults, chosen for ``online``; nothing was tuned here.

    Attributes:
        env: environment id.
        labels: budget.
        repeats: responses judged for each held-out prompt.
        learning_rate: of the policy.
        policy: arguments of the policy.
        env_kwargs: of the environment.
        judgements: how often a run is judged, but for the beginning.
    """

    env: str
    labels: int
    repeats: int
    learning_rate: float
    policy: dict[str, Any]
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    judgements: int = 8


PLACES = {
    "pool": Place("LLMDuelPool-v0", 512, 4, 1e-2, {"hidden": 256}),
    "warm": Place("LLMDuelPool-v0", 512, 4, 1e-2, {"hidden": 256}, {"features": "preference"}),
    "neural": Place("NeuralDuel-v0", 512, 4, 1e-2, {"hidden": 64}, {"heldout": 128}),
    "tiny": Place("LLMDuel-v0", 256, 2, 5e-4, {"model": "tiny"}, {"task": "short-writing"}, judgements=4),
}
RULES = tuple(name for name in RULES_AS_AGENTS if name != "ee4llm")
PROMPTS: dict[str, dict[str, Any]] = {"all prompts": {}} | {
    name: {"prompt_selection": name} for name in ("design", *SCORES)
}
"""Prompt selection by name; each keeps one prompt of four, and pairs are BAI-TS's."""

Part = Literal["rules", "prompts"]
Cell = tuple[str, str]
"""A place, and the name of a rule for pairs or for prompts."""


def cells(part: Part) -> dict[Cell, tuple[str, dict[str, Any]]]:
    """Agent and options of everything that a part compares."""
    if part == "rules":
        return {(place, rule): (rule, {}) for place in PLACES for rule in RULES}
    return {("pool", name): ("bai", options) for name, options in PROMPTS.items()}


def specs_of(part: Part, cell: Cell) -> Callable[[int], RunSpec]:
    """The run of a cell with each seed."""
    agent, options = cells(part)[cell]
    place = PLACES[cell[0]]
    return lambda seed: RunSpec(
        env=place.env,
        agent=agent,
        seed=seed,
        labels=place.labels,
        batch=32,
        judging=Judging(every=place.labels // place.judgements, repeats=place.repeats),
        env_kwargs=place.env_kwargs,
        agent_options=options,
        policy=place.policy,
        learner={"learning_rate": place.learning_rate},
    )


@cache
def run_ids(part: Part, cell: Cell) -> tuple[str, ...]:
    """Ids of a cell's runs by seed."""
    spec = specs_of(part, cell)
    return tuple(spec(seed).asked_id for seed in range(MOST_SEEDS))


def part_specs(part: Part, places: tuple[str, ...], seeds: int) -> list[RunSpec]:
    """The runs of one part in some places, all of a seed before the next seed's."""
    wanted = [specs_of(part, cell) for cell in cells(part) if cell[0] in places]
    return [spec(seed) for seed in range(seeds) for spec in wanted]
