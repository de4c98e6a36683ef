"""Agents that add a bonus to online DPO: what they reduce to, where the bonus sits, and the moving reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from duelbench.agents.alignment.count_bonus import EllipticalCount
from duelbench.agents.registry import make_agent
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.assemble import Parts, assemble
from duelbench.runs.policy_loop import run
from duelbench.types import Responses


def spec_of(agent: str, task_file: str, oracles: str, **options: Any) -> RunSpec:
    return RunSpec(
        "LLMDuelPool-v0",
        agent,
        0,
        labels=80,
        batch=16,
        judging=Judging(every=16),
        agent_options=options,
        env_kwargs={"task": task_file, "oracle": f"{oracles}:Worth"},
        learner={"learning_rate": 1e-2},
    )


@pytest.mark.parametrize(
    ("agent", "options", "plain"),
    [
        ("selm", {"alpha": 0.0}, "online"),
        ("vpo", {"alpha": 0.0}, "online"),
        ("vpo-offline", {"alpha": 0.0}, "offline"),
        ("geb", {"kappa": 0.0}, "online"),
        ("count_bonus", {"alpha": 0.0}, "online"),
    ],
)
def test_without_its_bonus_each_is_plain_dpo_to_the_last_bit(
    agent: str, options: dict[str, Any], plain: str, task_file: str, oracles: str, tmp_path: Path
) -> None:
    one = run(spec_of(agent, task_file, oracles, **options), tmp_path) / "metrics.jsonl"
    other = run(spec_of(plain, task_file, oracles), tmp_path) / "metrics.jsonl"
    assert one.read_bytes() == other.read_bytes()


def test_selm_is_vpo_online_and_xpo_on_the_same_samples(task_file: str, oracles: str, tmp_path: Path) -> None:
    selm, vpo = (run(spec_of(a, task_file, oracles, alpha=0.3), tmp_path) / "metrics.jsonl" for a in ("selm", "vpo"))
    assert selm.read_bytes() == vpo.read_bytes()
    plain = run(spec_of("online", task_file, oracles), tmp_path) / "metrics.jsonl"
    assert selm.read_bytes() != plain.read_bytes()
    ours, xpo = (assemble(spec_of(a, task_file, oracles, alpha=w)) for a, w in (("selm", 0.3), ("xpo", 0.03)))
    observation = ours.env.unwrapped.problem.observe(np.arange(30))
    pair = xpo.agent.propose(observation)
    pair.payload["sampled"] = pair.payload["reference"]
    for parts in (ours, xpo):  # β = 0.1 makes the two weights equal
        parts.agent.update(observation, pair, np.ones(30))
    for mine, theirs in zip(ours.policy.parameters(), xpo.policy.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def moved(parts: Parts) -> None:
    with torch.no_grad():
        for parameter in parts.policy.parameters():
            parameter.add_(3.0 * torch.randn(parameter.shape, generator=torch.manual_seed(3)))


def captured(parts: Parts, observation: Any) -> dict[str, Any]:
    """What the learner is handed for a round in which every second duel is answered."""
    given: dict[str, Any] = {}
    parts.agent.learner.step = lambda c, r, **named: given.update(named, chosen=c, rejected=r) or {}  # type: ignore
    given["pair"] = parts.agent.propose(observation)
    parts.agent.update(observation, given["pair"], np.where(np.arange(40) % 2, 1.0, np.nan))
    return given


@pytest.mark.parametrize("agent", ["selm", "vpo", "vpo-offline"])
def test_the_value_is_taken_at_samples_of_the_reference(agent: str, task_file: str, oracles: str) -> None:
    parts = assemble(spec_of(agent, task_file, oracles, alpha=0.5))
    moved(parts)
    given = captured(parts, parts.env.unwrapped.problem.observe(np.arange(40)))
    bonus = given["bonus"]
    assert np.exp(bonus.responses.log_probs).mean() < 0.3  # the policy is nearly sure of other responses
    with torch.no_grad():
        log_probs = parts.policy.log_probs(bonus.responses)
    sign = -1 if agent == "vpo-offline" else 1
    want = sign * 0.5 * 0.1 * (log_probs.numpy() - bonus.responses.reference_log_probs)
    np.testing.assert_allclose(bonus(log_probs).numpy(), want, rtol=1e-5)
    drawn = np.exp(given["pair"].first.log_probs)
    assert drawn.mean() < 0.2 if agent == "vpo-offline" else drawn.mean() > 0.5


def test_gebs_bonus_is_the_probability_of_the_rejected(task_file: str, oracles: str) -> None:
    parts = assemble(spec_of("geb", task_file, oracles, kappa=2.0))
    given = captured(parts, parts.env.unwrapped.problem.observe(np.arange(40)))
    assert given["bonus"].responses is given["rejected"]
    assert given["bonus"](torch.tensor([0.25]).log()).item() == pytest.approx(0.5)


def distribution(parts: Parts, observation: Any) -> np.ndarray:
    return np.exp(parts.policy.everything(observation).log_probs)  # type: ignore[attr-defined]


def test_selms_reference_follows_the_policy(task_file: str, oracles: str) -> None:
    parts = assemble(spec_of("selm", task_file, oracles, alpha=0.5, iteration_labels=40))
    agent, problem = parts.agent, parts.env.unwrapped.problem
    observation = problem.observe(np.arange(20))
    start = distribution(parts, observation)
    for labels in (20, 40):  # two rounds of 20 labels
        pair = agent.propose(observation)
        np.testing.assert_allclose(pair.payload["sampled"].reference_log_probs, np.log(1 / 7), rtol=1e-5)
        agent.update(observation, pair, np.ones(20))
        assert agent.labels_seen == labels
    reached = distribution(parts, observation)
    assert np.abs(reached - start).max() > 1e-3
    agent.update(observation, pair, np.ones(20))  # away from the new reference
    assert np.abs(distribution(parts, observation) - reached).max() > 1e-3
    before = distribution(parts, observation)
    pair = agent.propose(observation)
    rows = np.arange(20)
    again = agent._against_reference(pair)
    for side in (again.first, again.second, pair.payload["sampled"]):
        np.testing.assert_allclose(np.exp(side.reference_log_probs), reached[rows, side.actions], rtol=1e-4)
    assert np.array_equal(distribution(parts, observation), before)  # the policy's own weights are back
    handed: list[Responses] = []
    agent.learner.step = lambda chosen, rejected, bonus: handed.extend((chosen, rejected, bonus.responses)) or {}
    agent.update(observation, pair, np.ones(20))
    for side, known in zip(handed, (again.first, again.second, pair.payload["sampled"]), strict=True):
        differs = ~pair.identical if side is not handed[2] else np.ones(20, bool)
        np.testing.assert_allclose(side.reference_log_probs[differs], known.reference_log_probs[differs], rtol=1e-5)


def test_selms_moved_reference_survives_a_checkpoint(task_file: str, oracles: str, tmp_path: Path) -> None:
    spec = spec_of("selm", task_file, oracles, alpha=0.5, iteration_labels=16)
    whole = run(spec, tmp_path / "whole") / "metrics.jsonl"

    def stop(labels: int) -> None:
        if labels >= 48:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(spec, tmp_path / "cut", progress=stop)
    assert (run(spec, tmp_path / "cut") / "metrics.jsonl").read_bytes() == whole.read_bytes()


def test_an_elliptical_count_of_one_hot_features_counts() -> None:
    count = EllipticalCount(4, ridge=1.0)
    arms = np.eye(4, dtype=np.float32)
    seen = [0, 0, 0, 1, 1, 2]
    count.add(arms[seen])
    want = [1 / np.sqrt(1 + n) for n in (3, 2, 1, 0)]
    np.testing.assert_allclose(count.novelty(arms), want, rtol=1e-10)


def test_the_count_bonus_pays_for_the_unseen(task_file: str, oracles: str) -> None:
    parts = assemble(spec_of("count_bonus", task_file, oracles, alpha=5.0))
    observation = parts.env.unwrapped.problem.observe(np.zeros(200, np.int64))  # one prompt, again and again
    start = distribution(parts, observation)[0]
    features = observation["features"][0]
    for _ in range(30):  # the first three responses have been seen many times
        parts.agent.count.add(features[:3])
    for _ in range(3):
        pair = parts.agent.propose(observation)
        wins = np.random.default_rng(0).permutation(np.arange(200) % 2).astype(float)  # answers say nothing
        parts.agent.update(observation, pair, wins)
    assert distribution(parts, observation)[0, :3].sum() < start[:3].sum() - 0.02


def test_a_misspelt_mode_is_refused(task_file: str, oracles: str) -> None:
    setup = assemble(spec_of("vpo", task_file, oracles)).agent.setup  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="mode"):
        make_agent("vpo", setup, {"mode": "offlin"})


def test_a_moved_reference_keeps_the_kind_of_responses(task_file: str, oracles: str) -> None:
    parts = assemble(spec_of("selm", task_file, oracles, iteration_labels=16))
    observation = parts.env.unwrapped.problem.observe(np.arange(16))
    for _ in range(2):
        pair = parts.agent.propose(observation)
        parts.agent.update(observation, pair, np.ones(16))
    sampled = pair.payload["sampled"]
    assert isinstance(sampled, Responses) and sampled.log_probs.dtype == np.float32
