"""The headline path: a real language model is aligned, agent by agent, killed and resumed, and learns."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from duelbench.agents.registry import find_agent
from duelbench.envs.duel.settings import DEMO_AGENTS
from duelbench.records.record import load_run
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.assemble import assemble
from duelbench.runs.policy_loop import run

SMALL = {"posterior.samples": 8, "candidates": 4}


def spec_of(agent: str, labels: int = 64, **changes: object) -> RunSpec:
    fields = {
        "batch": 16,
        "judging": Judging(every=32, repeats=1, prompts=8),
        "env_kwargs": {"task": "short-writing-mini"},
        "policy": {"model": "mini", "max_new_tokens": 16, "dtype": "float32"},
        "learner": {"learning_rate": 5e-4},
        "agent_options": SMALL if agent.startswith("sea") else {},
    }
    return RunSpec("LLMDuel-v0", agent, 0, labels, **fields | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("agent", DEMO_AGENTS)
def test_each_of_the_demos_agents_plays_a_live_model(agent: str, tmp_path: Path) -> None:
    (played,) = load_run(run(spec_of(agent), tmp_path))
    last = played.rows[-1]
    assert played.finished and last["labels"] == 64
    assert 0.0 <= last["offline_win_rate"] <= 1.0 and last["oracle_calls_duel"] == 128  # two texts a duel
    assert played.samples and all(sample["after"] for sample in played.samples)


class Killed(Exception):
    """The process dies here."""


@pytest.mark.parametrize("agent", ["online", "sea"])
def test_a_run_that_was_killed_ends_byte_for_byte_like_one_that_was_not(agent: str, tmp_path: Path) -> None:
    spec = spec_of(agent)
    whole = run(spec, tmp_path / "whole")

    def die(labels: int) -> None:
        if labels >= 48:
            raise Killed

    with pytest.raises(Killed):
        run(spec, tmp_path / "killed", progress=die)
    again = run(spec, tmp_path / "killed")
    for name in ("metrics.jsonl", "samples.json"):
        assert (again / name).read_bytes() == (whole / name).read_bytes()
    shutil.rmtree(again)


def test_online_learns(tmp_path: Path) -> None:
    """From .34 to .65 in 384 labels with this seed; uniform stays where it is."""
    spec = spec_of(
        "online",
        384,
        judging=Judging(every=384, repeats=1, prompts=32),
        env_kwargs={"task": "short-writing-mini", "oracle": "reader-easy", "feedback": "deterministic"},
        learner={"learning_rate": 2e-3},
    )
    (played,) = load_run(run(spec, tmp_path))
    before, after = (row["offline_win_probability"] for row in (played.rows[0], played.rows[-1]))
    assert after > before + 0.15


@pytest.mark.parametrize("agent", ["uniform", "online", "apl", "xpo"])
def test_an_agent_that_reads_no_features_plays_the_same_without_them(agent: str, tmp_path: Path) -> None:
    """By its name the policy computes none; by its class, which nothing is known of, it does."""
    found = find_agent(agent)
    spec = spec_of(agent, labels=32)
    by_name, by_class = assemble(spec), assemble(spec_of(found.target, labels=32))
    assert (by_name.policy.feature_dim, by_class.policy.feature_dim > 0) == (0, True)
    one, two = (run(spec_of(who, labels=32), tmp_path / str(i)) for i, who in enumerate((agent, found.target)))
    for name in ("metrics.jsonl", "samples.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_a_misspelt_encoder_is_refused_even_where_nobody_reads_it() -> None:
    spec = spec_of("online")
    with pytest.raises(ValueError, match="did you mean 'preference'"):
        assemble(spec_of("online", policy={**spec.policy, "features": "prefernce"}))
