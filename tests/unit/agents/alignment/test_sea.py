"""SEA on the small pool: mixing, what is learned from what, and what is deployed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pool_runs import SILENT, WRITTEN, everything, rounds, spec_of

from duelbench.records.spec import Judging
from duelbench.runs.configuration.assemble import Parts, assemble

agents = pytest.mark.parametrize("agent", sorted(WRITTEN - SILENT))


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


def sea(task: dict[str, Any], **options: Any) -> Parts:
    return assemble(spec_of("sea", task, labels=1000, agent_options=options))


def test_sea_asks_everything_until_its_burn_in_is_over(task: dict[str, Any]) -> None:
    parts = sea(task, burn_in=0.05, real_share=0.5)
    decided = 0
    for _, pair, feedback in rounds(parts, 12):
        assert pair.ask.all() == (decided < 50)
        decided += int(np.isfinite(feedback).sum())


@pytest.mark.parametrize("share", [0.7, 0.25])
def test_sea_mixes_by_count_or_by_coin(share: float, task: dict[str, Any]) -> None:
    counted = sea(task, burn_in=0.0, real_share=share, mixing="count")
    asked = {int(pair.ask.sum()) for _, pair, _ in rounds(counted, 10, rows=40)}
    assert asked == {round(40 * share)}
    tossed = sea(task, burn_in=0.0, real_share=share, mixing="bernoulli")
    numbers = [int(pair.ask.sum()) for _, pair, _ in rounds(tossed, 25, rows=40)]
    assert len(set(numbers)) > 3
    assert abs(np.mean(numbers) / 40 - share) < 5 * np.sqrt(share * (1 - share) / 1000)


def test_sea_asks_different_rows_each_round_when_it_counts(task: dict[str, Any]) -> None:
    parts = sea(task, burn_in=0.0, real_share=0.5, mixing="count")
    share = np.mean([pair.ask for _, pair, _ in rounds(parts, 60, rows=20)], axis=0)
    assert share.min() > 0.2 and share.max() < 0.8


def test_without_mixing_every_duel_is_asked(task: dict[str, Any]) -> None:
    parts = sea(task, burn_in=0.0, real_share=1.0)
    assert all(pair.ask.all() for _, pair, _ in rounds(parts, 8))


@pytest.mark.parametrize("synthetic", ["thompson", "max_gap"])
def test_synthetic_pairs_never_reach_the_oracle(synthetic: str, task_file: str, oracles: str, tmp_path: Path) -> None:
    log = tmp_path / "asked.jsonl"
    kwargs = {"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)}}
    options = {"burn_in": 0.0, "real_share": 0.5, "synthetic_pair": synthetic}
    spec = spec_of("sea", kwargs, agent_options=options, judging=Judging(every=10_000))
    parts = assemble(spec)
    observation, _ = parts.env.reset(seed=parts.seeds)
    for _ in range(10):
        pair = parts.agent.propose(observation)
        asked_before = log.read_text().splitlines() if log.exists() else []
        ids = observation["prompt_id"]
        parts.env.unwrapped.abstain(~pair.ask)
        observation, _, _, _, info = parts.env.step(np.stack([pair.first.actions, pair.second.actions], -1))
        asked = [tuple(duel) for line in log.read_text().splitlines()[len(asked_before) :] for duel in json.loads(line)]
        texts = parts.env.unwrapped.problem.task.references[ids]
        real = pair.ask & ~pair.identical
        rows = np.flatnonzero(real)
        assert asked == [
            (f"prompt {ids[b]} 🙂", texts[b, pair.first.actions[b]], texts[b, pair.second.actions[b]]) for b in rows
        ]
        assert ((info["verdict"] == "skipped") == ~real).all() and not pair.ask.all()


def test_max_gap_pairs_are_best_against_worst_of_one_member(task: dict[str, Any]) -> None:
    parts = sea(task, burn_in=0.0, real_share=0.5, synthetic_pair="max_gap", candidates=30, train_policy=False)
    agent: Any = parts.agent
    for observation, pair, _ in rounds(parts, 8):
        features = observation["features"]
        rewards = agent.posterior.rewards(features)  # (K, B, N): 30 draws cover all 7 responses nearly always
        best, worst = rewards.argmax(-1), rewards.argmin(-1)
        extreme = ((pair.first.actions == best) & (pair.second.actions == worst)).any(0)
        assert extreme[~pair.ask].mean() > 0.8
        assert pair.payload["first_wins"][~pair.ask].all()  # the posterior says: the best wins


def test_the_posterior_learns_only_from_real_labels_and_the_policy_from_all(task: dict[str, Any]) -> None:
    parts = sea(task, burn_in=0.0, real_share=0.5)
    agent: Any = parts.agent
    learned: list[tuple[Any, Any]] = []
    agent.learner.step = lambda chosen, rejected, bonus: learned.append((chosen, rejected)) or {}
    n = 0
    for _, pair, feedback in rounds(parts, 6):
        real = np.isfinite(feedback)
        before, agent_synthetic = len(agent.posterior.pairs.chosen), pair.payload["first_wins"]
        assert before == n
        n += int(real.sum())
        expected = {
            "real": np.where((feedback == 1.0)[real, None], pair.first.features[real], pair.second.features[real]),
            "all": [
                (a, b) if (feedback[k] == 1.0 if real[k] else agent_synthetic[k]) else (b, a)
                for k, (a, b) in enumerate(zip(pair.first.actions, pair.second.actions, strict=True))
                if a != b
            ],
        }
    assert len(agent.posterior.pairs.chosen) == n == agent.labels_seen
    assert np.array_equal(agent.posterior.pairs.chosen[-len(expected["real"]) :], expected["real"])
    chosen, rejected = learned[-1]
    assert list(zip(chosen.actions.tolist(), rejected.actions.tolist(), strict=True)) == expected["all"]


def test_synthetic_labels_are_one_members_opinion(task: dict[str, Any]) -> None:
    parts = sea(task, burn_in=0.0, real_share=0.5)
    agent: Any = parts.agent
    agreements = []
    for _, pair, _ in rounds(parts, 10):
        votes = agent.posterior.rewards(pair.first.features) > agent.posterior.rewards(pair.second.features)
        distinct = ~pair.identical
        unanimous = (votes.all(0) | ~votes.any(0)) & distinct
        synthetic = pair.payload["first_wins"]
        assert (synthetic[unanimous] == votes[0][unanimous]).all()
        agreements += (synthetic == (votes.mean(0) > 0.5))[distinct & ~unanimous].tolist()
    assert 0.5 < np.mean(agreements) < 1.0  # neither always the majority nor a coin


def test_best_of_deploys_the_ensembles_favourite(task: dict[str, Any]) -> None:
    parts = sea(task, best_of=60)
    agent: Any = parts.agent
    for _ in rounds(parts, 5):
        pass
    observation = everything(parts)
    favourite = agent.posterior.rewards(observation["features"]).mean(0).argmax(-1)
    assert (parts.agent.respond(observation).actions == favourite).mean() > 0.95
    single = sea(task, best_of=1)
    assert (single.agent.respond(observation).actions == favourite).mean() < 0.6


def test_a_frozen_policy_stays_while_the_posterior_learns(task: dict[str, Any]) -> None:
    parts = sea(task, train_policy=False, real_share=1.0)
    agent: Any = parts.agent
    before = copy.deepcopy(agent.state_dict())
    for _ in rounds(parts, 3):
        pass
    after = agent.state_dict()
    assert agent.learner.steps == 0
    assert all(torch.equal(before["policy"][name], tensor) for name, tensor in after["policy"].items())
    assert not np.array_equal(before["posterior"]["mode"], after["posterior"]["mode"])


def test_a_copy_of_a_response_gets_the_reward_of_the_original(task: dict[str, Any]) -> None:
    parts = sea(task)
    agent: Any = parts.agent
    candidates = parts.policy.sample(everything(parts), 20, np.random.default_rng(0))
    rewards = agent.rewards(candidates)
    for b in range(40):
        for action in set(candidates.actions[b].tolist()):
            copies = rewards[:, b, candidates.actions[b] == action]
            assert (copies == copies[:, :1]).all()


@pytest.mark.parametrize("selection", ["bai", "ee", "uncertainty"])
def test_sea_duels_copies_only_when_nothing_else_was_sampled(selection: str, task: dict[str, Any]) -> None:
    parts = assemble(spec_of("sea", task, agent_options={"selection": selection, "candidates": 20}))
    for _, pair, _ in rounds(parts, 6, rows=40):
        assert pair.identical.mean() < 0.2 if selection == "ee" else not pair.identical.any()
