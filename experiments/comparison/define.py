"""What a study compares, said before any run: worlds, players, seeds, and the win rates at which labels are counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
"""What is kept of every judgement."""

COLUMNS = {
    "offline win rate": ("offline_win_rate", 3),
    "online win rate": ("online_win_rate", 3),
    "utility": ("offline_utility", 2),
    "cumulative pseudo-regret": ("cumulative_average_regret", 0),
    "KL to the start": ("kl_to_start", 1),
    "entropy": ("response_entropy", 1),
    "tokens": ("response_length", 1),
    "self-duels": ("self_duel_share", 2),
}
"""Columns of a table: the metric at the end of a run, and its decimals."""


THRESHOLDS = (0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
"""Win rates at which labels are compared where a study names none: the report's own, and two above them."""


@dataclass(frozen=True)
class Player:
    """An agent and what differs from its defaults."""

    agent: str
    options: Mapping[str, Any] = field(default_factory=dict)
    learner: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """Players in one world.

    Attributes:
        players: by the name that tables give them.
        base: the one that the others are compared with; "" for nobody.
        env_kwargs: of the environment.
        policy: of the policy.
        pairs: who saves labels against whom, (base, name) each.
        picture: whether its learning curves are drawn.
        limit: title of a part whose players are drawn here too, as dotted lines: they know what nobody else does.
    """

    players: Mapping[str, Player]
    base: str = "online"
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    pairs: tuple[tuple[str, str], ...] = ()
    picture: bool = True
    limit: str = ""


@dataclass(frozen=True)
class Comparison:
    """A study.

    Attributes:
        folder: where its records, tables and picture are.
        env: environment of all runs.
        parts: by title, in the order in which they are played.
        labels: budget of a run.
        thresholds: win rates at which labels are compared.
        batch: labels a round.
        judging: of all runs.
        policy: of all runs.
        learner: of all runs.
        candidates: responses that an agent picks from; the picture has a dotted line where the best of as many of the
            reference's would win, N / (N + 1) of its duels with one more. 0 for no line.
        seeds: how many make it complete.
        first_seed: the first of them; from 1000 on, what is found tunes and reports nothing.
    """

    folder: Path
    env: str
    parts: Mapping[str, Part]
    labels: int
    thresholds: tuple[float, ...] = THRESHOLDS
    batch: int = 32
    judging: Judging = field(default_factory=Judging)
    policy: Mapping[str, Any] = field(default_factory=dict)
    learner: Mapping[str, Any] = field(default_factory=dict)
    candidates: int = 0
    seeds: int = 10
    first_seed: int = 0

    @property
    def records(self) -> Path:
        """The table of its runs."""
        return self.folder / "records.csv"

    def spec(self, part: str, name: str, seed: int) -> RunSpec:
        """One run; seeds are counted from the first."""
        world = self.parts[part]
        player = world.players[name]
        return RunSpec(
            env=self.env,
            agent=player.agent,
            seed=self.first_seed + seed,
            labels=self.labels,
            batch=self.batch,
            judging=self.judging,
            env_kwargs=dict(world.env_kwargs),
            agent_options=dict(player.options),
            policy={**self.policy, **world.policy, **player.policy},
            learner={**self.learner, **player.learner},
        )

    def ids(self, part: str, name: str) -> tuple[str, ...]:
        """Ids of a player's runs by seed."""
        return tuple(self.spec(part, name, seed).asked_id for seed in range(MOST_SEEDS))

    def specs(self, part: str, seeds: int | None = None) -> list[RunSpec]:
        """The runs of one part, all of a seed before the next seed's."""
        players = self.parts[part].players
        return [
            self.spec(part, name, seed) for seed in range(self.seeds if seeds is None else seeds) for name in players
        ]
