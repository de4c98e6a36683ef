"""Nash-MD against the regularised equilibrium found without it, on preferences that run in circles."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import fsolve
from scipy.special import log_softmax, softmax

from duelbench.agents.alignment.base import Setup
from duelbench.agents.alignment.nash_md import NashMD, NashMDConfig
from duelbench.agents.alignment.online import Online
from duelbench.learning.batches import ResponseBatch
from duelbench.learning.learner import LearnerConfig, PreferenceLearner
from duelbench.learning.response_losses import nash_md
from duelbench.policies.pool import PoolPolicy

Array = NDArray[np.float64]
CYCLE = np.array([[0.5, 0.9, 0.2], [0.1, 0.5, 0.7], [0.8, 0.3, 0.5]])  # rock, paper, scissors, unevenly
REFERENCE = np.array([0.6, 0.3, 0.1])
TAU = 0.2


def equilibrium(share: float = 0.0) -> Array:
    """π = softmax(log μ + P π' / τ) against π' ∝ π^(1 − share) μ^share, by a root finder."""

    def gap(log_policy: Array) -> Array:
        rival = softmax((1 - share) * log_policy + share * np.log(REFERENCE))
        return np.asarray(log_policy - log_softmax(np.log(REFERENCE) + CYCLE @ rival / TAU))

    root, _, found, _ = fsolve(gap, np.log(REFERENCE), xtol=1e-13, full_output=True)
    assert found == 1
    return np.asarray(softmax(root))


def advantages(log_policy: Array, rival: Array) -> Array:
    """What the agent's loss says each action is worth: minus its slope in the log-probability."""
    log_probs = torch.tensor(log_policy, requires_grad=True)
    terms = nash_md(ResponseBatch(log_probs, torch.tensor(REFERENCE).log(), torch.tensor(CYCLE @ rival)), tau=TAU)
    (slope,) = torch.autograd.grad(terms.sum(), log_probs)
    return -slope.numpy()


def exploitability(policy: Array) -> float:
    """How much the best answer to a policy gains in the regularised game over the policy itself."""

    def value(mine: Array) -> float:
        mine_kl, its_kl = (float((p * np.log(p / REFERENCE)).sum()) for p in (mine, policy))
        return float(mine @ CYCLE @ policy - TAU * mine_kl + TAU * its_kl)

    return value(np.asarray(softmax(np.log(REFERENCE) + CYCLE @ policy / TAU))) - value(policy)


def mixture(log_policy: Array, share: float) -> Array:
    """The rival that the agent's policy samples, read off its log-probabilities."""
    pool = PoolPolicy(3, np.random.default_rng(0), hidden=0)
    with torch.no_grad():
        next(iter(pool.parameters())).copy_(torch.tensor(log_policy - np.log(REFERENCE), dtype=torch.float32)[None])
    drawn = pool.sample_mixture(observation(1), 400, np.random.default_rng(0), share)
    found = np.zeros(3)
    found[drawn.actions[0]] = np.exp(drawn.log_probs[0])
    return found


def observation(rows: int) -> dict[str, Any]:
    """One prompt with three responses whose features are one-hot."""
    return {
        "prompt": ("x",) * rows,
        "features": np.tile(np.eye(3, dtype=np.float32), (rows, 1, 1)),
        "reference_log_probs": np.tile(np.log(REFERENCE).astype(np.float32), (rows, 1)),
    }


def test_the_equilibrium_cannot_be_exploited_and_nothing_else_is_one() -> None:
    assert exploitability(equilibrium()) < 1e-10
    assert exploitability(REFERENCE) > 0.01
    assert exploitability(equilibrium(share=0.5)) > 1e-4


def test_the_rival_is_the_geometric_mixture() -> None:
    log_policy = np.log([0.2, 0.3, 0.5])
    want = softmax(0.75 * log_policy + 0.25 * np.log(REFERENCE))
    np.testing.assert_allclose(mixture(log_policy, 0.25), want, rtol=1e-5)


def test_mirror_descent_with_falling_steps_converges_to_the_regularised_equilibrium() -> None:
    """Theorem 1 of the paper: η_t = 2 / (τ (t + 2)), share η_t τ, and KL(π* ‖ π_T) ≤ 8 / (τ² (T + 1))."""
    target, log_policy = equilibrium(), np.log(REFERENCE)
    for t in range(1000):
        step = 2 / (TAU * (t + 2))
        if step * TAU < 1:  # the share of the very first step is 1: it stays at the reference
            rival = softmax((1 - step * TAU) * log_policy + step * TAU * np.log(REFERENCE))
            log_policy = log_softmax(log_policy + step * advantages(log_policy, rival))
        divergence = (target * (np.log(target) - log_policy)).sum()
        assert divergence <= 8 / (TAU**2 * (t + 2))
    np.testing.assert_allclose(softmax(log_policy), target, atol=5e-3)
    assert exploitability(softmax(log_policy)) < 1e-4


@pytest.mark.parametrize("share", [0.125, 0.5])
def test_with_a_share_that_stays_it_settles_at_the_best_answer_to_its_own_mixture(share: float) -> None:
    log_policy = np.log(REFERENCE)
    for _ in range(400):
        rival = softmax((1 - share) * log_policy + share * np.log(REFERENCE))
        log_policy = log_softmax(log_policy + 0.5 * advantages(log_policy, rival))
    np.testing.assert_allclose(softmax(log_policy), equilibrium(share), atol=1e-6)
    assert np.abs(equilibrium(share) - equilibrium()).max() > 0.005  # which is near the equilibrium, not it


def play(agent: Any, rounds: int, rng: np.random.Generator) -> list[Array]:
    """Rounds of 64 duels answered by the cycle; the policy after each."""
    seen, policies = observation(64), []
    for _ in range(rounds):
        pair = agent.propose(seen)
        wins = rng.random(64) < CYCLE[pair.first.actions, pair.second.actions]
        agent.update(seen, pair, np.where(pair.identical, 0.5, wins.astype(float)))
        policies.append(np.exp(agent.policy.everything(observation(1)).log_probs[0].astype(np.float64)))
    return policies


def setup(rate: float) -> Setup:
    rng = np.random.default_rng(3)
    policy = PoolPolicy(3, rng, hidden=0)
    learner = PreferenceLearner(policy, LearnerConfig(learning_rate=rate))
    return Setup(policy, learner, rng, partial(np.random.default_rng, 0), labels=1, batch=64)


def test_the_agent_stays_near_the_equilibrium_where_online_dpo_runs_off() -> None:
    ours = play(NashMD(setup(0.05), NashMDConfig(tau=TAU, share=0.125)), 120, np.random.default_rng(4))
    theirs = play(Online(setup(0.05)), 120, np.random.default_rng(4))
    settled = np.mean(ours[60:], axis=0)
    np.testing.assert_allclose(settled, equilibrium(0.125), atol=0.05)
    assert np.mean([exploitability(p) for p in ours[60:]]) < 0.01
    assert np.mean([exploitability(p) for p in theirs[60:]]) > 0.05


def test_a_round_of_nothing_but_ties_teaches_nothing() -> None:
    agent = NashMD(setup(0.02))
    seen = observation(64)
    agent.propose(seen)
    assert agent.update(seen, agent.propose(seen), np.full(64, 0.5)) == {}


def test_answers_are_read_from_the_policys_side() -> None:
    """Whichever side its response is shown on, a policy whose response always wins makes it likelier."""
    agent, seen = NashMD(setup(0.05), NashMDConfig(tau=0.0, share=1.0)), observation(64)
    for _ in range(60):
        pair = agent.propose(seen)
        beats = (pair.first.actions > pair.second.actions).astype(float)
        agent.update(seen, pair, np.where(pair.identical, 0.5, beats))
    assert agent.policy.sample(observation(1), 1, np.random.default_rng(0), greedy=True).actions[0, 0] == 2


def test_a_policy_that_cannot_be_mixed_is_refused() -> None:
    whole = setup(0.1)
    with pytest.raises(TypeError, match="sample_mixture"):
        NashMD(Setup(object(), whole.learner, whole.rng, whole.evaluation_rng, 1, 1))  # type: ignore[arg-type]
