"""MEX and LINVIT: agents of an explicit reward that leave the policy's weights alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from duelbench.agents.alignment.base import Setup
from duelbench.agents.alignment.candidates import candidates, draw, gibbs, same_as
from duelbench.agents.alignment.linvit import LINVIT, LINVITConfig
from duelbench.agents.alignment.mex import MEX, MEXConfig, optimistic_loss
from duelbench.learning.learner import LearnerConfig, PreferenceLearner
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.policies.pool import PoolPolicy
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.assemble import assemble

B, N = 3, 5
RNG = np.random.default_rng(0)
REWARDS = RNG.standard_normal((B, N))
REFERENCE = np.log(RNG.dirichlet(np.ones(N), size=B))


def observation() -> dict[str, Any]:
    """Responses whose only feature is their reward."""
    return {
        "prompt": tuple("abc"),
        "features": REWARDS[..., None].astype(np.float32),
        "reference_log_probs": REFERENCE.astype(np.float32),
    }


def setup(policy: Any) -> Setup:
    learner = PreferenceLearner(policy, LearnerConfig())
    return Setup(policy, learner, np.random.default_rng(1), partial(np.random.default_rng, 2), labels=8, batch=B)


class Exact:
    """A posterior that knows the reward; its members disagree about the last response of each prompt only."""

    def rewards(self, features: np.ndarray) -> np.ndarray:
        known = np.stack([features[..., 0]] * 2)
        if known.shape[-1] == N:
            known[..., -1] += np.array([-1.0, 1.0])[:, None]
        return known


def linvit(**options: float) -> LINVIT:
    agent = LINVIT(setup(PoolPolicy(1, np.random.default_rng(0))), LINVITConfig(**options))  # type: ignore[arg-type]
    agent.posterior = Exact()  # type: ignore[assignment]
    return agent


@pytest.mark.parametrize("temperature", [0.3, 2.0])
def test_the_gibbs_policy_maximises_reward_less_kl(temperature: float) -> None:
    best = np.exp(gibbs(REWARDS, REFERENCE, temperature))
    want = np.exp(REFERENCE) * np.exp(REWARDS / temperature)
    np.testing.assert_allclose(best, want / want.sum(-1, keepdims=True), rtol=1e-12)

    def objective(p: np.ndarray) -> np.ndarray:
        return np.asarray((p * REWARDS).sum(-1) - temperature * (p * (np.log(p) - REFERENCE)).sum(-1))

    for rival in np.random.default_rng(3).dirichlet(np.ones(N), size=(500, B)):
        assert (objective(0.9 * best + 0.1 * rival) < objective(best)).all()


def test_linvit_with_an_exact_reward_plays_the_closed_form() -> None:
    agent = linvit(temperature=0.7)
    _, log_probs = agent.plan(observation(), agent.rng, 0.0)
    np.testing.assert_allclose(log_probs, gibbs(REWARDS, REFERENCE, 0.7), atol=1e-5)
    drawn = np.array([draw(log_probs, agent.rng) for _ in range(4000)])
    for row in range(B):
        counts = np.bincount(drawn[:, row], minlength=N)
        expected = 4000 * np.exp(log_probs[row])
        many = expected > 5
        merged = [np.append(x[many], x[~many].sum() + 1e-9) for x in (counts, expected)]
        assert chisquare(merged[0], merged[1] * merged[0].sum() / merged[1].sum()).pvalue > 1e-3


def test_a_large_temperature_gives_the_reference_a_small_one_the_best_response() -> None:
    _, log_probs = linvit(temperature=1e6).plan(observation(), RNG, 0.0)
    np.testing.assert_allclose(log_probs, REFERENCE, atol=1e-4)
    agent = linvit(temperature=1e-4, optimism=100.0)  # which would turn to the disputed last response
    assert agent.respond(observation()).actions.tolist() == REWARDS.argmax(-1).tolist()


def test_optimism_lifts_what_the_members_disagree_about() -> None:
    agent = linvit(temperature=0.5)
    plain, hopeful = (np.exp(agent.plan(observation(), RNG, o)[1]) for o in (0.0, 2.0))
    assert (hopeful[:, -1] > plain[:, -1]).all()


def test_linvit_duels_two_different_responses() -> None:
    agent = linvit(temperature=0.05)  # nearly certain of one of them
    for _ in range(20):
        assert not agent.propose(observation()).identical.any()


def test_samples_of_a_language_model_stand_for_the_reference(llama: Path) -> None:
    policy = CausalLMPolicy(llama, dtype="float32", max_new_tokens=3)
    seen, log_weights = candidates(policy, {"prompt": ("the fox", "x")}, 6, np.random.default_rng(0))
    assert seen.actions.shape == (2, 6) and not log_weights.any()
    np.testing.assert_allclose(seen.log_probs, seen.reference_log_probs)
    agent = LINVIT(setup(policy), LINVITConfig(candidates=6))
    pair = agent.propose({"prompt": ("the fox", "x")})
    assert len(agent.respond({"prompt": ("the fox", "x")})) == 2
    agent.update({"prompt": ("the fox", "x")}, pair, np.array([1.0, 0.0]))


def test_self_normalised_weights_recover_the_closed_form() -> None:
    """Many reference samples, weighted by exp(r / λ), make up the listed policy."""
    policy = PoolPolicy(1, np.random.default_rng(0))
    seen = policy.sample(observation(), 40_000, np.random.default_rng(4), reference=True)
    weights = np.exp(gibbs(seen.features[..., 0], np.zeros(seen.actions.shape), 0.8))
    got = np.stack([np.bincount(a, w, minlength=N) for a, w in zip(seen.actions, weights, strict=True)])
    np.testing.assert_allclose(got, np.exp(gibbs(REWARDS, REFERENCE, 0.8)), atol=0.02)


def test_same_as_marks_every_copy() -> None:
    policy = PoolPolicy(1, np.random.default_rng(0))
    seen = policy.sample(observation(), 8, np.random.default_rng(0))
    marked = same_as(seen, np.full(B, 3))
    assert np.array_equal(marked, seen.actions == seen.actions[:, 3:4])


def test_mexs_loss_is_likelihood_less_value() -> None:
    rng = np.random.default_rng(5)
    chosen, rejected, rewards = rng.standard_normal(4), rng.standard_normal(4), rng.standard_normal((2, 3))
    weights = rng.dirichlet(np.ones(3), size=2)
    likelihood = np.mean([-np.log(1 / (1 + np.exp(-(c - r)))) for c, r in zip(chosen, rejected, strict=True)])
    value = np.mean([max(r) - w @ r for r, w in zip(rewards, weights, strict=True)])
    tensors = [torch.tensor(x, requires_grad=True) for x in (chosen, rejected, rewards)]
    got = optimistic_loss(*tensors, torch.tensor(weights), 0.3)
    assert got.item() == pytest.approx(likelihood - 0.3 * value)
    assert torch.autograd.gradcheck(lambda *x: optimistic_loss(*x, torch.tensor(weights), 0.3), tensors)
    shifted = optimistic_loss(*(x + 7.0 for x in tensors), torch.tensor(weights), 0.3)
    assert shifted.item() == pytest.approx(got.item())  # duels say nothing of a constant, nor does the value


def test_mex_duels_its_best_response_with_another_and_deploys_it() -> None:
    agent = MEX(setup(PoolPolicy(1, np.random.default_rng(0))))
    with torch.no_grad():
        agent._net[0].weight.copy_(torch.linspace(0.1, 1.0, 128)[:, None])
        agent._net[2].weight.fill_(1.0)  # increasing in the only feature
    best = REWARDS.argmax(-1)
    for _ in range(10):
        pair = agent.propose(observation())
        assert ((pair.first.actions == best) | (pair.second.actions == best)).all() and not pair.identical.any()
    assert agent.respond(observation()).actions.tolist() == best.tolist()


def test_optimism_widens_the_gap_between_the_best_and_the_reference() -> None:
    gaps = []
    for optimism in (0.0, 50.0):
        config = MEXConfig(optimism=optimism, weight_decay=0.0)
        agent = MEX(setup(PoolPolicy(1, np.random.default_rng(0))), config)
        for _ in range(5):
            pair = agent.propose(observation())
            agent.update(observation(), pair, np.array([1.0, 0.0, 1.0]))
        rewards = agent.rewards(observation()["features"])
        gaps.append((rewards.max(-1) - (np.exp(REFERENCE) * rewards).sum(-1)).mean())
    assert gaps[1] > gaps[0] + 0.1


@pytest.mark.parametrize("agent", ["mex", "linvit"])
def test_what_they_deploy_gets_better(agent: str, task_file: str, oracles: str) -> None:
    small = {"posterior": "ensemble", "posterior.members": 4} if agent == "linvit" else {}
    spec = RunSpec(
        "LLMDuelPool-v0",
        agent,
        0,
        labels=4000,
        batch=16,
        agent_options=small,
        env_kwargs={"task": task_file, "oracle": f"{oracles}:Worth"},
    )
    parts = assemble(spec)
    problem, rng = parts.env.unwrapped.problem, np.random.default_rng(0)
    held = problem.observe(problem.heldout_ids())

    def worth(ids: np.ndarray, actions: np.ndarray) -> np.ndarray:
        return np.array([float(text.split()[-1]) for text in problem.texts(ids, actions)])

    before = worth(held["prompt_id"], parts.agent.respond(held).actions).mean()
    for _ in range(40):
        seen = problem.observe(rng.integers(problem.n_prompts, size=16))
        pair = parts.agent.propose(seen)
        ids = seen["prompt_id"]
        wins = worth(ids, pair.first.actions) > worth(ids, pair.second.actions)
        parts.agent.update(seen, pair, wins.astype(float))
    assert worth(held["prompt_id"], parts.agent.respond(held).actions).mean() > before + 0.8
