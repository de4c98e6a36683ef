"""What one model gives on this machine: tokens a second, labels a second, where a round's time goes, peak memory."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from duelbench.agents import registry
from duelbench.agents.alignment.base import LearningAgent, Setup
from duelbench.envs.text.tasks import load_task
from duelbench.experiments.gpu.memory import decoded_bytes, peak_memory
from duelbench.experiments.speed.ours import ignore_ends
from duelbench.experiments.speed.work import Clock
from duelbench.learning.learner import LearnerConfig, PreferenceLearner
from duelbench.oracles import make_oracle
from duelbench.oracles.checks import ask_preference
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.policies.loading import computes_with

_LORA_RANK = 16
AGENTS = ("online", "sea", "ide")
"""Pairs as they come; SEA, which draws many candidates; and IDE, whose reward model stands between label and policy."""
PARTS = ("generate", "read", "choose", "judge", "learn", "reward model")
"""Of a round: drawing responses, the reference reading them, the rest of choosing pairs, the oracle, the policy's
gradient step, and the reward model's beliefs and learning."""


@dataclass(frozen=True, slots=True)
class Work:
    """How much is done for each figure.

    Attributes:
        prompts: of one draw.
        samples: responses to each of them.
        tokens: of every response, here and in the agents' rounds: none ends early.
        draws: measured draws, after one that is thrown away.
        batch: labels a round.
        candidates: M of ``sea`` and ``ide``.
        warm: rounds thrown away first.
        rounds: measured.
    """

    prompts: int = 32
    samples: int = 8
    tokens: int = 48
    draws: int = 3
    batch: int = 32
    candidates: int = 20
    warm: int = 3
    rounds: int = 5


def measure(folder: str, training: str, sampler: str, options: dict[str, Any], work: Work) -> dict[str, Any]:
    """The figures of one model: draws, then rounds of each agent.

    Args:
        folder: of the model.
        training: "full" or "lora".
        sampler: "own" or "vllm".
        options: more arguments of the sampler.
        work: how much.
    """
    with peak_memory() as loading:
        policy = CausalLMPolicy(
            folder,
            max_new_tokens=work.tokens,
            lora_rank=_LORA_RANK if training == "lora" else 0,
            sampler=sampler,  # type: ignore[arg-type]
            sampler_options=options,
        )
    ignore_ends(policy)
    dtype = computes_with(folder, dtype="auto", device="auto")["dtype"]
    figures: dict[str, Any] = {"dtype": dtype, "weights_gib": loading}
    with peak_memory() as drawing:
        figures |= draws(policy, work, torch.finfo(getattr(torch, dtype)).bits // 8)
    figures["draw_gib"] = drawing
    for name in AGENTS:
        with peak_memory() as learning:
            figures[name] = rounds(name, policy, work)
        figures[name]["gib"] = learning
    return figures


def draws(policy: CausalLMPolicy, work: Work, width: int) -> dict[str, float]:
    """Of the sampler alone: tokens a second of the median draw, and the bytes a second that decoding had to read.

    A step of decoding is what a draw takes longer than one of a single token, divided by the steps that it has more.

    Args:
        policy: whose sampler.
        work: how much.
        width: bytes of a number in its matrix products.
    """
    prompts, lengths = policy._tokens.prompts(_prompts(work.prompts, 0))
    sampler, rng = policy.sampler, np.random.default_rng(0)

    def seconds(steps: int) -> float:
        sampler._steps = steps  # type: ignore[attr-defined] # both samplers have it
        taken = []
        for _ in range(1 + work.draws):
            start = time.perf_counter()
            drawn = sampler.draw(prompts, lengths, work.samples, rng, reference=False, greedy=False)
            taken.append(time.perf_counter() - start)
            assert int(drawn.lengths.sum()) == work.prompts * work.samples * steps
        return statistics.median(taken[1:])

    first, whole = seconds(1), seconds(work.tokens)
    step = (whole - first) / (work.tokens - 1)
    context = float(lengths.float().mean()) + work.tokens / 2
    least = decoded_bytes(policy._model, work.prompts * work.samples, context, width)
    return {
        "tokens_per_s": work.prompts * work.samples * work.tokens / whole,
        "first_token_s": first,
        "decode_step_s": step,
        "decode_bytes_per_s": least / step,
    }


def rounds(name: str, policy: CausalLMPolicy, work: Work) -> dict[str, Any]:
    """Labels bought in a second of rounds, and the share of each part of a round.

    A round goes from the prompts to the gradient step, with the packaged reader as oracle. An agent that labels a share
    of its duels itself buys fewer labels in a round of as many duels.
    """
    agent, clock = make_agent(name, policy, work), Clock("cuda" if torch.cuda.is_available() else "cpu")
    oracle, coins, labels = make_oracle("reader"), np.random.default_rng(3), 0
    watch(agent, policy, clock)
    batch = max(1, round(work.batch * agent.prompts_per_label))
    for number in range(work.warm + work.rounds):
        clock.next_step()
        observation = {"prompt": _prompts(batch, number * batch)}
        with clock.part("choose"):
            pair = agent.propose(observation)
        with clock.part("judge"):
            asked = pair.rows(pair.ask)
            wins = ask_preference(oracle, asked.first.prompts, list(asked.first.actions), list(asked.second.actions))
            feedback = np.full(len(pair.ask), np.nan)
            feedback[pair.ask] = coins.random(len(wins)) < wins
        with clock.part("learn"):
            agent.update(observation, pair, feedback)
        labels += int(pair.ask.sum()) if number >= work.warm else 0
    spent = {part: sum(step[part][0] for step in clock.steps[work.warm :] if part in step) for part in PARTS}
    whole = sum(spent.values())
    return {"labels_per_s": labels / whole, "share": {part: seconds / whole for part, seconds in spent.items()}}


def watch(agent: LearningAgent, policy: CausalLMPolicy, clock: Clock) -> None:
    """Take the parts of a round that lie within others out of them."""
    clock.wrap(policy.sampler, "draw", "generate")
    clock.wrap(policy._reference, "score", "read")
    if posterior := getattr(agent, "posterior", None):
        for method in ("rewards", "update"):
            clock.wrap(posterior, method, "reward model")


def make_agent(name: str, policy: CausalLMPolicy, work: Work) -> LearningAgent:
    """The agent as a run would build it."""
    setup = Setup(
        policy=policy,
        learner=PreferenceLearner(policy, LearnerConfig(learning_rate=1e-6)),
        rng=np.random.default_rng(1),
        evaluation_rng=partial(np.random.default_rng, 2),
        labels=work.batch * (work.warm + work.rounds),
        batch=work.batch,
    )
    return registry.make_agent(name, setup, {} if name == "online" else {"candidates": work.candidates})


def _prompts(n: int, start: int) -> tuple[str, ...]:
    """n prompts of the packaged task, from one on, round and round."""
    texts = load_task("short-writing").prompts
    return tuple(texts[(start + i) % len(texts)] for i in range(n))
