"""The rung that begins anew: it stands still between restarts, and at one nothing is left of what came before."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pool_runs import play_killed, probabilities, rounds, spec_of, worths

from duelbench.records.spec import Judging
from duelbench.runs.configuration.assemble import Parts, assemble
from duelbench.runs.policy_loop import run


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


def periodic(task: dict[str, Any], **options: Any) -> Parts:
    small = {"candidates": 6, "posterior.samples": 20, "period": 3}
    return assemble(spec_of("periodic_rm", task, labels=1000, agent_options=small | options))


def test_it_stands_still_between_restarts(task: dict[str, Any]) -> None:
    parts = periodic(task)
    seen = [probabilities(parts)]
    for _ in rounds(parts, 7):
        seen.append(probabilities(parts))
    moved = [not np.array_equal(one, next_) for one, next_ in pairwise(seen)]
    # what is seen in a round is what the rounds before have left: restarts after the third and the sixth
    assert moved == [False, False, False, True, False, False, True]


def test_a_restart_forgets_all_but_the_answers(task: dict[str, Any]) -> None:
    """Beside an agent whose policy, optimizer, anchor and reward model were spoilt before the restart."""
    one, other = periodic(task), periodic(task)
    for parts in (one, other):
        list(rounds(parts, 2))
    agent: Any = other.agent
    with torch.no_grad():
        for parameter in other.policy.parameters():
            parameter += 1.0
    agent.learner.steps, agent.labels_seen = 40, 7
    agent.anchor = other.policy.state_dict()
    agent.posterior.update(*(side * np.ones((4, agent.policy.feature_dim), np.float32) for side in (1, 2)), 4)
    last: Any = one.agent
    agent.rng.bit_generator.state = last.rng.bit_generator.state
    round_ = (dict(last._rounds[-1][0]), *last._rounds[-1][1:])
    for each in (last, agent):
        each.update(*round_)
    assert np.array_equal(probabilities(one), probabilities(other))
    assert last.labels_seen == agent.labels_seen > 0
    features = round_[1].first.features
    assert np.array_equal(last.posterior.rewards(features), agent.posterior.rewards(features))


def test_it_takes_a_rounds_lessons_for_every_round_so_far(task: dict[str, Any]) -> None:
    parts = periodic(task, period=2)
    list(rounds(parts, 6))
    assert parts.learner.steps == 6, "the optimizer begins anew as well"


def test_it_learns(task: dict[str, Any]) -> None:
    parts = periodic(task, period=8)
    before = probabilities(parts)
    list(rounds(parts, 24))
    ids = np.arange(len(before))
    worth = np.stack([worths(parts, ids, np.full(len(ids), column)) for column in range(before.shape[1])], -1)
    assert ((probabilities(parts) - before) * worth).sum(-1).mean() > 0.1 * worth.std()


def test_a_killed_run_goes_on_as_it_was(task: dict[str, Any], tmp_path: Path) -> None:
    options = {"candidates": 6, "posterior.samples": 20, "period": 2}
    spec = spec_of("periodic_rm", task, agent_options=options, judging=Judging(every=16))
    killed, whole = play_killed(spec, tmp_path / "killed", (1, 3, 4)), run(spec, tmp_path / "whole")
    records = [(folder / "metrics.jsonl").read_text() for folder in (killed, whole)]
    assert records[0] == records[1]
