"""ISARA: imitation without labels, and how a run without labels is recorded."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from journals import journal_of

from duelbench.agents.alignment.base import Setup
from duelbench.agents.alignment.isara import ISARA, ISARAConfig
from duelbench.learning.learner import LearnerConfig, PreferenceLearner
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.assemble import assemble
from duelbench.runs.policy_loop import run


def spec_of(task_file: str, oracle: str, **options: Any) -> RunSpec:
    return RunSpec(
        "LLMDuelPool-v0",
        "isara",
        0,
        labels=64,
        batch=16,
        judging=Judging(every=16),
        agent_options=options,
        env_kwargs={"task": task_file, "oracle": oracle},
        learner={"learning_rate": 1e-2},
    )


def test_a_run_without_labels_is_a_horizontal_line(task_file: str, oracles: str, tmp_path: Path) -> None:
    spec = spec_of(task_file, f"{oracles}:Worth", rounds=5)
    folder = run(spec, tmp_path)
    (record,) = load_runs(tmp_path)
    assert record.finished
    first, last = record.rows
    assert (first["labels"], last["labels"]) == (0, 64) and first["rounds"] == 5
    assert {k: v for k, v in first.items() if k != "labels"} == {k: v for k, v in last.items() if k != "labels"}
    assert first["cumulative_average_regret"] == 0.0  # no one was shown a duel
    journal = journal_of(folder)
    assert not journal.answers()
    journal.close()
    again = run(spec, tmp_path / "again")
    assert (folder / "metrics.jsonl").read_bytes() == (again / "metrics.jsonl").read_bytes()


def test_it_moves_towards_the_demonstrations_and_what_is_like_them(task_file: str, oracles: str) -> None:
    parts = assemble(spec_of(task_file, f"{oracles}:Worth", demonstrations=10))
    problem, agent = parts.env.unwrapped.problem, parts.agent
    seen, actions = problem.demonstrations(10)
    best = problem.stored_utilities(np.arange(10)).argmax(-1)
    assert actions.tolist() == best.tolist() and seen["prompt_id"].tolist() == list(range(10))
    held = problem.observe(problem.heldout_ids())
    worth = problem.stored_utilities(problem.heldout_ids())

    def measured() -> tuple[float, float]:
        shown = np.exp(parts.policy.everything(seen).log_probs)[np.arange(10), best]  # type: ignore[attr-defined]
        unseen = np.exp(parts.policy.everything(held).log_probs)  # type: ignore[attr-defined]
        return float(shown.mean()), float((unseen * worth).sum(-1).mean())

    before = measured()
    rng = np.random.default_rng(0)
    for _ in range(40):
        observation = problem.observe(rng.integers(problem.n_prompts, size=16))
        pair = agent.propose(observation)
        assert not pair.ask.any()
        agent.update(observation, pair, np.full(16, np.nan))
    after = measured()
    assert after[0] > before[0] + 0.2 and after[1] > before[1] + 0.2


def test_a_judge_without_utilities_offers_no_demonstrations(task_file: str, oracles: str, tmp_path: Path) -> None:
    kwargs = {"log": str(tmp_path / "log")}
    spec = RunSpec(
        "LLMDuelPool-v0",
        "isara",
        0,
        labels=16,
        env_kwargs={"task": task_file, "oracle": f"{oracles}:Judge", "oracle_kwargs": kwargs},
    )
    with pytest.raises(ValueError, match="no utilities"):
        assemble(spec)
    with pytest.raises(ValueError, match="1 to 40 demonstrations"):
        assemble(spec_of(task_file, f"{oracles}:Worth", demonstrations=41))
    with pytest.raises(ValueError, match="stored responses"):
        assemble(RunSpec("NeuralDuel-v0", "isara", 0, labels=16))


DEMONSTRATIONS = (
    {"prompt": ("the fox in the rain", "a sad line", "the fox in the rain again")},
    np.array(["one fox", "so sad", "two foxes"], dtype=object),
)


@pytest.fixture
def agent(llama: Path) -> ISARA:
    policy = CausalLMPolicy(llama, dtype="float32", max_new_tokens=6)
    return ISARA(
        Setup(
            policy,
            PreferenceLearner(policy, LearnerConfig(learning_rate=1e-2)),
            np.random.default_rng(0),
            partial(np.random.default_rng, 1),
            labels=8,
            batch=2,
            demonstrate=lambda n: DEMONSTRATIONS,
        ),
        ISARAConfig(demonstrations=3, shots=2),
    )


def test_the_likest_prompts_are_retrieved(agent: ISARA) -> None:
    assert agent._retrieve(("the fox in the rain", "sad")).tolist() == [[0, 2], [1, 0]]


def test_a_language_model_reads_examples_and_learns_to_answer_without_them(
    agent: ISARA, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    sample = agent.policy.sample
    monkeypatch.setattr(agent.policy, "sample", lambda o, *a, **k: asked.append(o["prompt"]) or sample(o, *a, **k))
    observation = {"prompt": ("the fox in the rain", "sad")}
    pair = agent.propose(observation)
    assert asked[0][1] == (
        "Prompt: a sad line\nResponse: so sad\n\nPrompt: the fox in the rain\nResponse: one fox\n\n"
        "Prompt: sad\nResponse:"
    )
    assert pair.first.prompts == observation["prompt"] and not pair.ask.any()
    with torch.no_grad():
        before = agent.policy.log_probs(agent._demonstrations).sum().item()
    for _ in range(5):
        agent.update(observation, agent.propose(observation), np.full(2, np.nan))
    with torch.no_grad():
        assert agent.policy.log_probs(agent._demonstrations).sum().item() > before + 1.0
