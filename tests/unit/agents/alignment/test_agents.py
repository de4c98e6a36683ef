"""Every agent on the small pool: what it proposes, what it learns from, and what it deploys."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pool_runs import FROZEN, SILENT, WRITTEN, everything, probabilities, rounds, spec_of

from duelbench.protocols import Agent
from duelbench.runs.configuration.assemble import Parts, assemble

agents = pytest.mark.parametrize("agent", sorted(WRITTEN - SILENT))


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


@agents
def test_an_agent_fits_the_protocol_and_its_state_comes_back(agent: str, task: dict[str, Any]) -> None:
    one, two = assemble(spec_of(agent, task)), assemble(spec_of(agent, task, seed=5))
    assert isinstance(one.agent, Agent)
    for _ in rounds(one, 4):
        pass
    two.agent.load_state_dict(copy.deepcopy(one.agent.state_dict()))  # type: ignore[attr-defined]
    for (_, a, _), (_, b, _) in zip(rounds(one, 3, seed=1), rounds(two, 3, seed=1), strict=True):
        assert np.array_equal(a.first.actions, b.first.actions) and np.array_equal(a.ask, b.ask)
        assert np.array_equal(a.second.actions, b.second.actions)
    assert np.array_equal(probabilities(one), probabilities(two))


@agents
def test_late_answers_are_learned_with_what_their_own_proposal_knew(agent: str, task: dict[str, Any]) -> None:
    prompt, late = assemble(spec_of(agent, task)), assemble(spec_of(agent, task))
    observations = [prompt.env.unwrapped.problem.observe(np.arange(k, k + 24)) for k in (0, 8, 16)]
    pair = prompt.agent.propose(observations[0])
    waiting = late.agent.propose(observations[0])
    for observation in observations[1:]:
        late.agent.propose(observation)  # before the answers to the first
    late.agent.rng.bit_generator.state = prompt.agent.rng.bit_generator.state  # type: ignore[attr-defined]
    feedback = np.where(pair.ask, np.arange(24) % 2, np.nan)
    answered = np.flatnonzero(pair.ask)[3:]
    one = prompt.agent.update(observations[0], pair.rows(answered), feedback[answered])
    two = late.agent.update(observations[0], waiting.rows(answered), feedback[answered])
    assert one == two
    assert np.array_equal(probabilities(prompt), probabilities(late))


@agents
def test_judging_never_disturbs_learning(agent: str, task: dict[str, Any]) -> None:
    one, two = assemble(spec_of(agent, task)), assemble(spec_of(agent, task))
    for (_, a, _), (observation, b, _) in zip(rounds(one, 5), rounds(two, 5), strict=True):
        first = two.agent.respond(observation).actions
        assert np.array_equal(first, two.agent.respond(observation).actions)
        assert np.array_equal(a.first.actions, b.first.actions)


@agents
def test_an_update_without_any_answer_is_harmless(agent: str, task: dict[str, Any]) -> None:
    parts = assemble(spec_of(agent, task, agent_options={"real_share": 1.0} if agent.startswith("sea") else {}))
    observation = everything(parts)
    pair = parts.agent.propose(observation)
    before = probabilities(parts)
    parts.agent.update(observation, pair, np.full(len(pair), np.nan))
    parts.agent.update(observation, pair, np.full(len(pair), 0.5))  # ties teach nothing either
    assert np.array_equal(before, probabilities(parts))


@pytest.mark.parametrize("agent", sorted(WRITTEN - SILENT - FROZEN))
def test_learning_moves_the_policy_towards_what_won(agent: str, task: dict[str, Any]) -> None:
    parts = assemble(spec_of(agent, task, labels=4000, learner={"learning_rate": 1e-2}))
    best = worths_of_pool(parts).argmax(-1)
    before = probabilities(parts)[np.arange(40), best].mean()
    for _ in rounds(parts, 60):
        pass
    assert probabilities(parts)[np.arange(40), best].mean() > before + 0.1


def worths_of_pool(parts: Parts) -> NDArray[np.float64]:
    references = parts.env.unwrapped.problem.task.references[:40]
    return np.array([[float(text.split()[-1]) for text in row] for row in references])


def test_uniform_never_moves_the_policy(task: dict[str, Any]) -> None:
    parts = assemble(spec_of("uniform", task))
    before = probabilities(parts)
    for _ in rounds(parts, 10):
        pass
    assert np.array_equal(probabilities(parts), before)


def greedy_policy(parts: Parts, scale: float = 10.0) -> None:
    """Move the current policy far from its uniform reference; a large scale makes it nearly deterministic."""
    with torch.no_grad():
        for parameter in parts.policy.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=torch.manual_seed(3)))


def mean_probability(parts: Parts, observation: Any, actions: NDArray[np.int64]) -> float:
    return float(probabilities(parts)[observation["prompt_id"], actions].mean())


def test_offline_and_uniform_propose_from_the_reference_online_from_the_policy(task: dict[str, Any]) -> None:
    for agent, low, high in (("offline", 0.0, 0.25), ("uniform", 0.0, 0.25), ("online", 0.8, 1.0)):
        parts = assemble(spec_of(agent, task))
        greedy_policy(parts)
        observation = everything(parts)
        pairs = [parts.agent.propose(observation) for _ in range(10)]
        for side in ("first", "second"):
            actions = [mean_probability(parts, observation, getattr(pair, side).actions) for pair in pairs]
            assert low <= np.mean(actions) <= high, (agent, side)


def test_offline_deploys_what_it_learned_although_it_never_proposes_it(task: dict[str, Any]) -> None:
    parts = assemble(spec_of("offline", task))
    greedy_policy(parts)
    observation = everything(parts)
    assert mean_probability(parts, observation, parts.agent.respond(observation).actions) > 0.8


def test_xpo_pairs_current_with_reference_in_either_order(task: dict[str, Any]) -> None:
    parts = assemble(spec_of("xpo", task))
    greedy_policy(parts)
    observation = everything(parts)
    table = probabilities(parts)
    likely = [
        [table[np.arange(40), side.actions] > 0.5 for side in (pair.first, pair.second)]
        for pair in (parts.agent.propose(observation) for _ in range(20))
    ]
    firsts, seconds = np.array(likely).transpose(1, 0, 2).reshape(2, -1)
    assert (firsts | seconds).mean() > 0.8  # the current policy's response is in nearly every pair,
    assert (firsts & seconds).mean() < 0.3  # beside one that is not of its making,
    assert 0.35 < firsts.mean() < 0.7 and 0.35 < seconds.mean() < 0.7  # in random order


def test_xpos_bonus_is_on_the_reference_samples_of_the_answered_duels(task: dict[str, Any]) -> None:
    parts = assemble(spec_of("xpo", task))
    greedy_policy(parts)
    observation = everything(parts)
    pair = parts.agent.propose(observation)
    given: dict[str, Any] = {}
    parts.agent.learner.step = lambda chosen, rejected, **named: given.update(named) or {}  # type: ignore[attr-defined]
    feedback = np.where(np.arange(40) % 2, 1.0, np.nan)
    parts.agent.update(observation, pair, feedback)
    samples, odd = given["bonus"].responses.actions, np.arange(1, 40, 2)
    assert ((samples == pair.first.actions[odd]) | (samples == pair.second.actions[odd])).all()
    assert probabilities(parts)[odd, samples].mean() < 0.4  # not what the current policy says


@pytest.mark.parametrize("coefficient", [0.0, 50.0])
def test_xpos_bonus_pushes_probability_off_the_reference_samples(coefficient: float, task: dict[str, Any]) -> None:
    parts = assemble(spec_of("xpo", task, agent_options={"alpha": coefficient}))
    observation = everything(parts)
    pair = parts.agent.propose(observation)
    duels = np.flatnonzero(~pair.identical)
    samples = pair.payload["reference"].actions
    is_first = pair.first.actions == samples
    rivals = np.where(is_first, pair.second.actions, pair.first.actions)
    parts.agent.update(observation, pair, np.where(is_first, 1.0, 0.0))  # the reference samples win every duel
    log = np.log(probabilities(parts))
    gain = (log[duels, samples[duels]] - log[duels, rivals[duels]]).mean()  # the uniform reference began at 0
    assert gain < 0 if coefficient else gain > 0


@pytest.mark.parametrize("oversample", [2.0, 4.0])
@pytest.mark.parametrize("rule", ["certainty", "hybrid"])
def test_apl_asks_the_widest_implicit_reward_gaps(oversample: float, rule: str, task: dict[str, Any]) -> None:
    parts = assemble(spec_of("apl", task, agent_options={"oversample": oversample, "rule": rule}))
    assert parts.env.num_envs == 16 * oversample
    greedy_policy(parts, 0.5)
    order_kept = []
    for _, pair, _ in rounds(parts, 6):
        assert pair.ask.sum() == 16
        r = [side.log_probs - side.reference_log_probs for side in (pair.first, pair.second)]
        gap = np.abs(r[0] - r[1])
        if rule == "certainty":
            assert gap[pair.ask].min() >= gap[~pair.ask].max()
        order_kept += (r[0] > r[1])[pair.ask & (gap > 0)].tolist()
    assert 0.25 < np.mean(order_kept) < 0.75  # the order shown does not give the guess away


def test_apl_asks_exactly_its_share_of_the_rows(task: dict[str, Any]) -> None:
    parts = assemble(spec_of("apl", task, agent_options={"oversample": 4.0}))
    for rows, asked in ((64, 16), (40, 10), (4, 1), (1, 1)):
        (pair,) = [pair for _, pair, _ in rounds(parts, 1, rows=rows)]
        assert pair.ask.sum() == asked
