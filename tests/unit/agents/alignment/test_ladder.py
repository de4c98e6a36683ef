"""The ladder on the small pool: what the policy is taught, by what formula, and what each option takes away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pool_runs import probabilities, rounds, spec_of, worths

from duelbench.runs.configuration.assemble import Parts, assemble
from duelbench.types import Pair


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


def ladder(task: dict[str, Any], agent: str = "ide", **options: Any) -> Parts:
    small = {"candidates": 6, "posterior.samples": 20}
    return assemble(spec_of(agent, task, labels=1000, agent_options=small | options))


def played(parts: Parts, n: int = 6) -> list[tuple[Any, Pair, Any]]:
    return list(rounds(parts, n))


def gradient(parts: Parts, first: Any, second: Any) -> list[torch.Tensor]:
    """What ``teach`` would step along, before clipping."""
    agent: Any = parts.agent
    kept: list[torch.Tensor] = []

    def caught(*_: Any) -> float:
        kept.extend(p.grad.clone() for p in parts.policy.parameters() if p.grad is not None)
        return 0.0

    agent.learner._descend, normal = caught, agent.learner._descend
    agent.teach(first, second)
    agent.learner._descend = normal
    return kept


@pytest.mark.parametrize("epsilon", [0.0, 0.2])
@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_the_step_is_the_preference_gradient_with_nudge_and_anchor(
    epsilon: float, beta: float, task: dict[str, Any]
) -> None:
    """[p − ½ + ε − β log π / π̄] ∇ log π at both responses of each pair; ε = β = 0 is plain REINFORCE by preference."""
    parts = ladder(task, epsilon=epsilon, beta=beta, anchor_decay=1.0)
    agent: Any = parts.agent
    observation, pair, _ = played(parts)[-1]
    first, second = agent.lessons(pair)
    got = gradient(parts, first, second)
    wins, _ = agent.predict(observation, first, second)
    total = torch.zeros(())
    for side, p in ((first, wins), (second, 1.0 - wins)):
        log_probs = parts.policy.log_probs(side)
        ratio = log_probs.detach() - torch.as_tensor(side.reference_log_probs)
        weight = torch.as_tensor(p - 0.5 + epsilon) - beta * ratio
        total = total - (weight * log_probs).sum() / (2 * len(first))
    want = torch.autograd.grad(total, list(parts.policy.parameters()))
    for mine, theirs in zip(got, want, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-7)


def test_the_nudge_reinforces_what_is_worth_nothing_more(task: dict[str, Any]) -> None:
    """Where the reward model has no opinion, ε alone decides whether anything is learned."""
    sizes = []
    for epsilon in (0.0, 0.2):
        parts = ladder(task, epsilon=epsilon, beta=0.0)
        agent: Any = parts.agent
        pair = played(parts)[-1][1]
        agent.predict = lambda _, first, second: (np.full(len(first), 0.5), np.zeros(len(first)))
        sizes.append(sum(g.abs().sum().item() for g in gradient(parts, *agent.lessons(pair))))
    assert sizes[0] == 0.0 and sizes[1] > 0.0


def test_the_anchor_is_a_moving_average_of_the_policy(task: dict[str, Any]) -> None:
    parts = ladder(task, anchor_decay=0.75)
    agent: Any = parts.agent
    want = {name: weight.clone() for name, weight in parts.policy.state_dict().items()}

    def moved(old: dict[str, Any]) -> dict[str, Any]:
        now = parts.policy.state_dict()
        return {name: 0.75 * weight + 0.25 * now[name] for name, weight in old.items()}

    for number, _ in enumerate(rounds(parts, 4)):  # each is seen before its own update
        want = moved(want) if number else want
    want = moved(want)
    for name, weight in want.items():
        assert torch.allclose(agent.anchor[name], weight, atol=1e-7)
    fixed: Any = ladder(task, anchor_decay=1.0)
    start = {name: weight.clone() for name, weight in fixed.policy.state_dict().items()}
    played(fixed)
    assert all(torch.equal(fixed.agent.anchor[name], weight) for name, weight in start.items())


@pytest.mark.parametrize(("share", "prompts"), [(0.0, 16), (1.0, 32), (2.0, 48)])
def test_unlabelled_prompts_teach_and_cost_nothing(share: float, prompts: int, task: dict[str, Any]) -> None:
    parts = ladder(task, unlabelled=share)
    batch = parts.agent.setup.batch  # type: ignore[attr-defined]
    assert parts.env.num_envs == round(batch * (1 + share)) and prompts // 16 == round(1 + share)
    _, pair, feedback = played(parts)[-1]
    assert np.isfinite(feedback).sum() <= pair.ask.sum() == batch
    first, _ = parts.agent.lessons(pair)  # type: ignore[attr-defined]
    unasked = {pair.first.prompts[row] for row in np.flatnonzero(~pair.ask)} - {
        pair.first.prompts[row] for row in np.flatnonzero(pair.ask)
    }
    assert bool(unasked & set(first.prompts)) == (share > 0)


def test_lessons_put_the_better_first_by_the_updated_reward_model(task: dict[str, Any]) -> None:
    parts = ladder(task, asked_pairs=False)
    agent: Any = parts.agent
    pair = played(parts)[-1][1]
    first, second = agent.lessons(pair)
    gap = (agent.posterior.rewards(first.features) - agent.posterior.rewards(second.features)).mean(0)
    assert (gap >= 0).all() and (gap > 0).any()


def test_offline_duels_are_the_references(task: dict[str, Any]) -> None:
    parts = ladder(task, "offline_rm")
    played(parts, 12)
    moved = np.abs(probabilities(parts) - probabilities(ladder(task, "offline_rm"))).max()
    assert moved > 0.01, "the policy learns"
    shares = []
    for reference in (True, False):
        agent: Any = parts.agent
        agent.config = type(agent.config)(**{**vars(agent.config), "offline": reference})
        observation = parts.env.unwrapped.problem.observe(np.zeros(4000, int))
        drawn = agent.propose(observation).first.actions
        shares.append(np.bincount(drawn, minlength=7) / 4000)
    current = probabilities(parts)[0]
    assert np.abs(shares[1] - current).max() < np.abs(shares[0] - current).max()


@pytest.mark.parametrize("objective", ["reinforce", "direct"])
@pytest.mark.parametrize("agent", ["online_rm", "ide"])
def test_they_learn(agent: str, objective: str, task: dict[str, Any]) -> None:
    parts = ladder(task, agent, objective=objective)
    before = probabilities(parts)
    played(parts, 25)
    after = probabilities(parts)
    ids = np.arange(len(before))
    worth = np.stack([worths(parts, ids, np.full(len(ids), column)) for column in range(before.shape[1])], -1)
    assert ((after - before) * worth).sum(-1).mean() > 0.1 * worth.std()
