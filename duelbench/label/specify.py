"""The run that people answer: what is usual for it, and what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from duelbench.errors import UsageError
from duelbench.records.spec import RunSpec
from duelbench.study.library import one_environment
from duelbench.study.settings import settings_of
from duelbench.study.sweep import EnvSetting

BATCH = 8
LABELS = 200
_LATE = ("delay", "delay_spread", "answer_batch")


class RunOptions(TypedDict, total=False):
    """What is to be played, as ``Session`` and ``people_spec`` take it.

    Attributes:
        labels: duels to be answered (200).
        batch: duels a round (8).
        seed: of the run (0).
        model: language model of ``LLMDuel-v0``.
        options: by name, as for ``--set``: ``{"sea.candidates": 8, "env.task": "questions.csv"}``.
        judging: fields of ``duelbench.records.spec.Judging``. By default nothing is judged: people cost too much.
        threads: Torch threads (1).
    """

    labels: int
    batch: int
    seed: int
    model: str | None
    options: Mapping[str, Any] | None
    judging: Mapping[str, Any] | None
    threads: int


def people_spec(env: str, agent: str | type, **run: Unpack[RunOptions]) -> RunSpec:
    """The run of one agent with people as its oracle, unless the options name another.

    Args:
        env: environment id, one with texts.
        agent: as for ``Session``.
        **run: see ``RunOptions``.

    Raises:
        UsageError: the environment has no texts.
    """
    if settings_of(env).arms:
        raise UsageError(f"{env} duels arms, which have no texts to show: take an environment with texts, LLMDuel-v0")
    chosen = {"env.oracle": "people"} | dict(run.get("options") or {})
    judged = dict(run.get("judging") or {})
    if chosen["env.oracle"] == "people":
        judged = {"prompts": 0, "every": 0} | judged if not judged.get("oracle") else judged
    seed = run.get("seed", 0)
    specs = one_environment(
        EnvSetting(env, model=run.get("model")),
        agents=(agent,),
        settings={name: [value] for name, value in chosen.items()},
        seeds=range(seed, seed + 1),
        labels=run.get("labels", LABELS),
        batch=run.get("batch", BATCH),
        judging=judged,
        threads=run.get("threads", 1),
    ).specs()
    return specs[0]


def check_spec(spec: RunSpec) -> None:
    """Refuse a run that cannot be answered from outside.

    Raises:
        UsageError: with what to do instead.
    """
    if spec.lockstep:
        raise UsageError(
            f"agent {spec.agent!r} plays arms in lock-step and has no texts to show: take an agent that aligns a policy"
        )
    if late := [name for name in _LATE if spec.env_kwargs.get(name)]:
        raise UsageError(f"answers from outside come when they come: leave {' and '.join(late)} of {spec.env} out")
    if spec.env_kwargs.get("oracle") == "people" and spec.judging.oracle is None and spec.judging.prompts != 0:
        raise UsageError(
            "people answer duels alone: name who judges the policy (--judge-oracle), or judge nothing "
            "(--judge-prompts 0)"
        )
