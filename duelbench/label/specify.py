"""The run that people answer: what is usual for it, and what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duelbench.errors import UsageError
from duelbench.records.spec import RunSpec
from duelbench.study.library import one_environment
from duelbench.study.settings import settings_of
from duelbench.study.sweep import EnvSetting

BATCH = 8
LABELS = 200
_LATE = ("delay", "delay_spread", "answer_batch")


def people_spec(
    env: str,
    agent: str | type,
    *,
    labels: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    model: str | None = None,
    options: Mapping[str, Any] | None = None,
    judging: Mapping[str, Any] | None = None,
    threads: int = 1,
) -> RunSpec:
    """The run of one agent with people as its oracle, unless the options name another. Arguments as for ``Session``."""
    if settings_of(env).arms:
        raise UsageError(f"{env} duels arms, which have no texts to show: take an environment with texts, LLMDuel-v0")
    chosen = {"env.oracle": "people"} | dict(options or {})
    judged = dict(judging or {})
    if chosen["env.oracle"] == "people":
        judged = {"prompts": 0, "every": 0} | judged if not judged.get("oracle") else judged
    specs = one_environment(
        EnvSetting(env, model=model),
        agents=(agent,),
        settings={name: [value] for name, value in chosen.items()},
        seeds=range(seed, seed + 1),
        labels=LABELS if labels is None else labels,
        batch=BATCH if batch is None else batch,
        judging=judged,
        threads=threads,
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
