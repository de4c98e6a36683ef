"""A policy on a GPU does what the same policy does on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from duelbench.agents import registry
from duelbench.agents.alignment.base import LearningAgent, Setup
from duelbench.learning.learner import LearnerConfig, PreferenceLearner
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.policies.loading import computes_with
from duelbench.posteriors.encoders.hidden_states import HiddenStatesEncoder
from duelbench.records.checkpoint import load_checkpoint, save_checkpoint
from duelbench.records.record import load_run
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.policy_loop import run
from duelbench.types import Responses

PROMPTS = ["Write a line about rain.", "Sing!", "Tell me of a fox that keeps a shop by the sea."]
RATE = 1e-4


def policy(folder: Path, device: str, **options: Any) -> CausalLMPolicy:
    return CausalLMPolicy(folder, **{"device": device, "dtype": "float32", "max_new_tokens": 12, **options})


def sample(ours: CausalLMPolicy, n: int, seed: int = 0, **options: Any) -> Responses:
    return ours.sample({"prompt": PROMPTS}, n, np.random.default_rng(seed), **options)


def pairs(drawn: Responses) -> tuple[Responses, Responses]:
    column = np.zeros(len(drawn), np.int64)
    return drawn.pick(column), drawn.pick(column + 1)


def test_greedy_float32_draws_the_tokens_of_the_cpu(folder: Path, device: str) -> None:
    here, there = (sample(policy(folder, where), 1, greedy=True) for where in ("cpu", device))
    assert here.actions.tolist() == there.actions.tolist()
    np.testing.assert_array_equal(here.payload["tokens"], there.payload["tokens"])
    for name in ("log_probs", "reference_log_probs", "features"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), atol=2e-3, rtol=1e-3)


def test_a_draw_is_settled_by_its_seed_and_scored_as_it_was_drawn(folder: Path, device: str) -> None:
    ours = policy(folder, device)
    drawn, again, other = sample(ours, 4), sample(ours, 4), sample(ours, 4, seed=1)
    assert drawn.actions.tolist() == again.actions.tolist() != other.actions.tolist()
    np.testing.assert_allclose(drawn.log_probs, drawn.reference_log_probs, atol=2e-3)  # nothing was learnt yet
    here = policy(folder, "cpu").log_probs(pairs(drawn)[0]).detach().numpy()
    np.testing.assert_allclose(drawn.log_probs[:, 0], here, atol=2e-3)


@pytest.mark.parametrize("lora_rank", [0, 4])
def test_a_dpo_step_is_that_of_the_cpu(folder: Path, device: str, lora_rank: int) -> None:
    chosen, rejected = pairs(sample(policy(folder, "cpu"), 2))
    moved, seen = {}, {}
    for where in ("cpu", device):
        ours = policy(folder, where, lora_rank=lora_rank)
        before = ours.state_dict()
        seen[where] = PreferenceLearner(ours, LearnerConfig(learning_rate=RATE)).step(chosen, rejected)
        seen[where].pop("accuracy")  # the sign of rounding errors, while policy and reference are equal
        after = ours.state_dict()
        moved[where] = torch.cat([(after[name] - before[name]).cpu().flatten() for name in before])
    assert seen[device] == pytest.approx(seen["cpu"], rel=1e-3, abs=1e-5)
    # The first step of AdamW is the sign of the gradient, but where the gradient is rounding error.
    apart = (moved[device] - moved["cpu"]).abs()
    assert moved["cpu"].abs().max() > 0.9 * RATE
    assert (apart > 0.1 * RATE).float().mean() < 0.02


def test_what_a_checkpoint_restores_is_exact(folder: Path, device: str, tmp_path: Path) -> None:
    def fresh() -> LearningAgent:
        ours = policy(folder, device)
        learner = PreferenceLearner(ours, LearnerConfig(learning_rate=RATE))
        setup = Setup(ours, learner, np.random.default_rng(1), lambda: np.random.default_rng(2), labels=12, batch=3)
        return registry.make_agent("sea", setup, {"candidates": 4})

    def play(agent: LearningAgent) -> None:
        pair = agent.propose({"prompt": PROMPTS})
        agent.update({"prompt": PROMPTS}, pair, np.where(pair.ask, 1.0, np.nan))

    first, second = fresh(), fresh()
    play(first)
    save_checkpoint(tmp_path / "checkpoint", first.state_dict())
    state = load_checkpoint(tmp_path / "checkpoint")
    assert state is not None
    second.load_state_dict(state)
    same(first.state_dict(), second.state_dict())
    assert isinstance(first.policy, CausalLMPolicy) and isinstance(second.policy, CausalLMPolicy)
    drawn, again = (sample(agent.policy, 2, greedy=True) for agent in (first, second))  # type: ignore[arg-type]
    np.testing.assert_array_equal(drawn.payload["tokens"], again.payload["tokens"])
    play(second)  # the optimizer's moments are where it wants them
    assert second.learner.steps == 2


def same(one: Any, other: Any) -> None:
    """Nested states are equal to the last bit."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one.cpu(), other.cpu())
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            same(left, right)
    else:
        assert one == other


class Killed(Exception):
    """The process dies here."""


@pytest.mark.parametrize("agent", ["online", "sea", "ide"])
def test_a_killed_run_goes_on_and_buys_no_label_twice(device: str, tmp_path: Path, agent: str) -> None:
    options = {} if agent == "online" else {"candidates": 4}
    spec = RunSpec(
        "LLMDuel-v0",
        agent,
        0,
        32,
        batch=8,
        judging=Judging(every=16, repeats=1, prompts=8),
        policy={"model": "tiny", "max_new_tokens": 12, "device": device},
        learner={"learning_rate": 5e-4},
        agent_options=options,
    )

    def die(labels: int) -> None:
        if labels >= 16:
            raise Killed

    with pytest.raises(Killed):
        run(spec, tmp_path, progress=die)
    (played,) = load_run(run(spec, tmp_path))
    assert played.finished and [row["labels"] for row in played.rows] == [0, 16, 32]
    assert played.rows[-1]["oracle_calls_duel"] == 64  # two texts a duel
    assert all(0.0 <= row["offline_win_rate"] <= 1.0 for row in played.rows)


def test_auto_takes_bfloat16_and_stays_near_float32(folder: Path, device: str) -> None:
    if device == "cpu":
        pytest.skip("a CPU may have no fast bfloat16")
    assert computes_with(folder, dtype="auto", device="auto") == {"dtype": "bfloat16", "device": "cuda"}
    rounded = policy(folder, device, dtype="auto")
    assert all(parameter.dtype == torch.float32 and parameter.is_cuda for parameter in rounded.parameters())
    drawn = sample(rounded, 4)
    exact = policy(folder, device).log_probs(pairs(drawn)[0]).detach().numpy()
    gap = np.abs(drawn.log_probs[:, 0] - exact) / drawn.lengths[:, 0]
    assert 0 < gap.max() < 0.05  # nats a token


def test_an_encoder_reads_as_it_does_on_the_cpu(folder: Path, device: str) -> None:
    responses = [["rain falls", "a"], ["la la la", "no"], ["the fox sells fish", "it is closed"]]
    here, there = (
        HiddenStatesEncoder(str(folder), device=where).encode(PROMPTS, responses) for where in ("cpu", device)
    )
    np.testing.assert_allclose(np.asarray(there), np.asarray(here), atol=2e-3, rtol=1e-3)


@pytest.mark.filterwarnings("ignore")  # vLLM looks at every attribute of the modules it patches, deprecated ones too
@pytest.mark.parametrize("lora_rank", [0, 8])
def test_vllm_follows_the_policy_in_place(folder: Path, device: str, lora_rank: int) -> None:
    pytest.importorskip("vllm", reason="needs vLLM beside the GPU")
    ours = policy(folder, device, lora_rank=lora_rank)
    theirs = policy(folder, device, lora_rank=lora_rank, sampler="vllm", sampler_options={"enforce_eager": True})
    untrained = sample(theirs, 1, greedy=True)
    assert untrained.actions.tolist() == sample(ours, 1, greedy=True).actions.tolist()
    state = {name: tensor + 0.02 * torch.randn_like(tensor) for name, tensor in ours.state_dict().items()}
    for trained in (ours, theirs):
        trained.load_state_dict(state)
    moved = sample(theirs, 1, greedy=True)
    assert moved.actions.tolist() == sample(ours, 1, greedy=True).actions.tolist() != untrained.actions.tolist()
    kept = sample(theirs, 1, greedy=True, reference=True)
    assert kept.actions.tolist() == untrained.actions.tolist()
