"""Small runs on the small pool, and what its oracle would say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from duelbench.agents.alignment.table import POLICY_AGENTS, RULES_AS_AGENTS
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.assemble import Parts
from duelbench.runs.policy_loop import run
from duelbench.types import Pair

POOL = "LLMDuelPool-v0"
FAST = {"posterior.samples": 8}
SILENT = {"isara"}  # asks nothing: tests/unit/test_isara.py
FROZEN = {"uniform", "mex", "linvit"}  # leave the policy as it is
WRITTEN = POLICY_AGENTS.keys() - RULES_AS_AGENTS.keys()  # the others are sea with another rule


def spec_of(agent: str, env_kwargs: dict[str, Any], **changes: Any) -> RunSpec:
    options = FAST if agent.startswith("sea") or agent == "linvit" else {}
    fields: dict[str, Any] = {
        "seed": 0,
        "labels": 70,
        "batch": 16,
        "judging": Judging(every=32),
        "agent_options": options | changes.pop("agent_options", {}),
        "learner": {"learning_rate": 3e-3},
    }
    return RunSpec(POOL, agent, env_kwargs=env_kwargs, **(fields | changes))


def asked(oracle: Path) -> list[list[str]]:
    """What an oracle in a file of its own wrote into the log beside it, a line a question."""
    log = oracle.with_suffix(".log")
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def play_killed(spec: RunSpec, out: Path, rounds_of: Sequence[int]) -> Path:
    """Play a run that is killed after each of these rounds and given again; returns its folder."""
    for stop in rounds_of:

        def killed(labels: int, stop: int = stop) -> None:
            if labels >= spec.batch * stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(spec, out, progress=killed)
    return run(spec, out)


def worths(parts: Parts, ids: NDArray[np.int64], actions: NDArray[np.int64]) -> NDArray[np.float64]:
    references = parts.env.unwrapped.problem.task.references[ids, actions]
    return np.array([float(text.split()[-1]) for text in references])


def rounds(
    parts: Parts, n: int, seed: int = 0, rows: int | None = None
) -> Iterator[tuple[Any, Pair, NDArray[np.float64]]]:
    """Propose, answer by worth, update, n times; yields observation, pair and feedback before the update."""
    problem = parts.env.unwrapped.problem
    rng = np.random.default_rng(seed)
    for _ in range(n):
        observation = problem.observe(rng.integers(problem.n_prompts, size=rows or parts.env.num_envs))
        ids = observation["prompt_id"]
        pair = parts.agent.propose(observation)
        wins = worths(parts, ids, pair.first.actions) > worths(parts, ids, pair.second.actions)
        feedback = np.where(pair.ask, np.where(pair.identical, 0.5, wins.astype(float)), np.nan)
        yield observation, pair, feedback
        parts.agent.update(observation, pair, feedback)


def everything(parts: Parts, rows: int = 40) -> Any:
    """An observation of the first prompts."""
    return parts.env.unwrapped.problem.observe(np.arange(rows))


def probabilities(parts: Parts) -> NDArray[np.float32]:
    """The policy's whole distribution on all duel prompts."""
    seen = everything(parts)
    with torch.no_grad():
        return parts.policy._all_log_probs(seen["features"], seen["reference_log_probs"]).exp().numpy()  # type: ignore[attr-defined]
