"""The behaviour suite: small tasks that each isolate one ability, scored from 0 (uniform pairs) to 1 (the oracle).

Six tasks change one thing of ``basic`` and keep its instances, so that a lower score there is the price of that one
thing. Every task can be played by agents that count wins, since its arms stay, and by agents that learn from
features, since its arms have some: their own coordinates where nothing else is known of them.

In the spirit of bsuite (Osband et al. 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from duelbench.records.spec import RunSpec
from duelbench.study.settings import settings_of
from duelbench.study.sweep import EnvSetting, Sweep

UNIFORM = "uniform"
"""The agent at score 0."""

_EVALUATIONS = 20
_LATE = ("delay", "answer_batch")


@dataclass(frozen=True)
class Task:
    """One problem of the suite.

    Attributes:
        name: short.
        isolates: the ability it measures, one line.
        env: environment id.
        kwargs: of the environment.
        labels: T, duels of a seed.
        tags: groups it belongs to.
        smoke: whether it is one of the few that show within seconds that an agent works.
        one_by_one: whether the number of a duel matters, so that agents that learn in batches play batches of one.
    """

    name: str
    isolates: str
    env: str
    kwargs: dict[str, Any]
    labels: int = 1000
    tags: tuple[str, ...] = field(default=(), kw_only=True)
    smoke: bool = field(default=False, kw_only=True)
    one_by_one: bool = field(default=False, kw_only=True)

    @property
    def late(self) -> bool:
        """Whether answers are delayed."""
        return any(name in self.kwargs for name in _LATE)


_BASIC: dict[str, Any] = {"matrix": "bt", "arms": 10, "options": {"scale": 2.0}, "one_hot": True}
_MATRIX, _LINEAR = "MatrixDuel-v0", "LinearDuel-v0"

TASKS: tuple[Task, ...] = (
    Task("basic", "find the best of 10 arms and stay with it", _MATRIX, _BASIC, tags=("basic",), smoke=True),
    Task(
        "noise",
        "average out answers that are close to coin flips",
        _MATRIX,
        _BASIC | {"options": {"scale": 0.3}},
        2000,
        tags=("noise",),
    ),
    Task("many_arms", "search among 40 arms that share nothing", _MATRIX, _BASIC | {"arms": 40}, tags=("scale",)),
    Task(
        "small_gaps",
        "tell rivals apart that the best of 16 arms beats by as little as 0.012",
        _MATRIX,
        {"matrix": "sushi16", "one_hot": True},
        1500,
        tags=("noise",),
    ),
    Task(
        "intransitivity",
        "play 13 arms with cycles and no Condorcet winner (Copeland regret)",
        _MATRIX,
        {"matrix": "hudry13", "one_hot": True},
        2000,
        tags=("preferences",),
        smoke=True,
    ),
    Task(
        "high_dimension",
        "generalise over 60 arms by 20 features",
        _LINEAR,
        {"dim": 20, "arms": 60},
        tags=("scale", "features"),
    ),
    Task(
        "misspecified",
        "not trust features that hide 6 of 8 coordinates of the utility",
        _LINEAR,
        {"dim": 8, "hidden": 6, "arms": 16},
        tags=("features", "robustness"),
        smoke=True,
    ),
    Task(
        "delay",
        "keep choosing well while answers come 100 duels late",
        _MATRIX,
        _BASIC | {"delay": 100.0},
        tags=("timing",),
        smoke=True,
    ),
    Task(
        "batches",
        "spread duels that are only answered every 100 duels",
        _MATRIX,
        _BASIC | {"answer_batch": 100},
        tags=("timing", "alignment"),
    ),
    Task(
        "flips",
        "learn although every fifth answer is turned round",
        _MATRIX,
        _BASIC | {"flip": 0.2},
        tags=("noise", "robustness"),
    ),
    Task(
        "adversary",
        "recover from 100 answers that name the worse arm",
        _MATRIX,
        _BASIC | {"corrupted": 100},
        tags=("robustness",),
        one_by_one=True,
    ),
    Task(
        "position_bias",
        "see through a judge that picks the first arm in two duels of five",
        _MATRIX,
        _BASIC | {"position_bias": 0.4},
        tags=("robustness", "alignment"),
    ),
    Task(
        "drift",
        "follow utilities that turn right round",
        _LINEAR,
        {"dim": 5, "arms": 16, "drift": 0.05},
        tags=("features", "change"),
        one_by_one=True,
    ),
    Task(
        "kl_budget",
        "weigh utility against KL from a reference policy; its score shows what ignoring that costs",
        _MATRIX,
        _BASIC | {"kl_weight": 2.0},
        tags=("alignment",),
    ),
)

TAGS = tuple(dict.fromkeys(tag for task in TASKS for tag in task.tags))


def select(tags: Sequence[str] = (), *, smoke: bool = False) -> list[Task]:
    """The tasks with any of the tags (all if there are none), optionally only the smoke subset.

    Raises:
        ValueError: for a tag that no task has, or if nothing is left.
    """
    for tag in tags:
        if tag not in TAGS:
            raise ValueError(f"unknown tag {tag!r}: expected one of {list(TAGS)}")
    found = [t for t in TASKS if (not tags or set(tags) & set(t.tags)) and (t.smoke or not smoke)]
    if not found:
        raise ValueError(f"no task of the smoke subset has a tag among {list(tags)}")
    return found


def why_not(task: Task, agent: type) -> str | None:
    """Why this class of agents cannot play the task; None if it can."""
    if task.late and not getattr(agent, "lockstep", False):
        return "answers come late, which only lock-step agents can take"
    return None


def task_specs(task: Task, agent: str, seeds: range, labels: int | None = None) -> list[RunSpec]:
    """The runs of an agent on a task.

    Args:
        task: what is played.
        agent: its name.
        seeds: consecutive.
        labels: of each seed; None for the task's own.
    """
    labels = task.labels if labels is None else labels
    usual = settings_of(_LINEAR)  # whose policy learns from features, as on every task here
    training = {"policy": usual.policy, "learner": usual.learner}
    return Sweep(
        title=task.name,
        envs=[EnvSetting(task.env, options=task.kwargs, task=task.name)],
        agents=[agent],
        settings={f"{whose}.{name}": [value] for whose, own in training.items() for name, value in own.items()},
        seeds=seeds,
        labels=labels,
        batch=1 if task.one_by_one else usual.batch,
        judging={"every": max(1, labels // _EVALUATIONS), "repeats": 1},
    ).specs()
