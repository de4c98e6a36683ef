"""What is played on an environment by default, when nobody says otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

DEMO_AGENTS = ("uniform", "offline", "online", "apl", "xpo", "sea", "ide")


@dataclass(frozen=True)
class RunSettings:
    """A sensible run on one environment.

    Attributes:
        labels: budget.
        batch: labels per round.
        evaluate_every: labels between judgements.
        evaluation_repeats: responses judged for each held-out prompt.
        seeds: number of seeds.
        learner: fields of ``LearnerConfig``.
        losses: more of them by direct optimizer, where its own defaults do badly.
        policy: arguments of the policy.
        env: arguments of the environment, under those of a preset.
        presets: environment arguments by preset name.
        preset_labels: budgets of presets that have one of their own.
        agents: who plays when nobody is named.
        arms: whether arms are duelled, so that agents can play many seeds in lock-step.
    """

    labels: int = 1024
    batch: int = 32
    evaluate_every: int = 128
    evaluation_repeats: int = 2
    seeds: int = 3
    learner: dict[str, Any] = field(default_factory=dict)
    losses: dict[str, dict[str, Any]] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    env: dict[str, Any] = field(default_factory=dict)
    presets: dict[str, dict[str, Any]] = field(default_factory=dict)
    preset_labels: dict[str, int] = field(default_factory=dict)
    agents: tuple[str, ...] = DEMO_AGENTS
    arms: bool = False
