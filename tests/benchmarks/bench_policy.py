"""Rounds of `online` and `sea` on the embedded model: ours, the plain loop's, and the ratio of the two.

make bench
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import duelbench
from duelbench.acquisition import bai_thompson
from duelbench.envs.text.tasks.grammar import prompts
from duelbench.learning.learner import LearnerConfig, PreferenceLearner
from duelbench.policies.causal_lm import CausalLMPolicy
from duelbench.posteriors.ensemble import EnsemblePosterior
from duelbench.types import Responses
from tests.benchmarks.plain_loop import PlainLoop

MODEL = str(Path(duelbench.__file__).with_name("assets") / "models" / "tiny")
BATCH, CANDIDATES, ROUNDS = 32, 16, 5

Round = Callable[[Sequence[str]], Any]


def judge(prompt: str, first: str, second: str) -> bool:
    return len(first) >= len(second)


class OurLoop:
    """The same rounds with duelbench's policy, posterior and learner."""

    def __init__(self, features: bool) -> None:
        self.rng = np.random.default_rng(0)
        self.policy = CausalLMPolicy(MODEL, features="lm" if features else "none")
        self.learner = PreferenceLearner(self.policy, LearnerConfig(learning_rate=1e-5))
        self.posterior = EnsemblePosterior(self.policy.feature_dim, self.rng) if features else None
        self.labels = 0

    def online_round(self, texts: Sequence[str]) -> None:
        drawn = self.policy.sample({"prompt": texts}, 2, self.rng)
        self.learn(drawn, np.zeros(len(texts), np.int64), np.ones(len(texts), np.int64))

    def sea_round(self, texts: Sequence[str]) -> None:
        assert self.posterior is not None
        drawn = self.policy.sample({"prompt": texts}, CANDIDATES, self.rng)
        chosen, rejected = self.learn(drawn, *bai_thompson(self.posterior.rewards(drawn.features), self.rng))
        self.posterior.update(chosen.features, rejected.features, self.labels)

    def learn(self, drawn: Responses, first: Any, second: Any) -> tuple[Responses, Responses]:
        a, b = drawn.pick(first), drawn.pick(second)
        won = np.array([judge(*duel) for duel in zip(drawn.prompts, a.actions, b.actions, strict=True)])
        chosen, rejected = drawn.pick(np.where(won, first, second)), drawn.pick(np.where(won, second, first))
        self.labels += len(won)
        self.learner.step(chosen, rejected)
        return chosen, rejected


def contender(name: str, kind: str) -> Round:
    torch.set_num_threads(1)
    if name == "ours":
        ours = OurLoop(features=kind == "sea")
        return ours.sea_round if kind == "sea" else ours.online_round
    plain = PlainLoop(MODEL)
    if kind == "sea":
        return lambda texts: plain.sea_round(texts, judge, CANDIDATES)
    return lambda texts: plain.online_round(texts, judge)


def batches() -> list[list[str]]:
    texts = [prompt.text for prompt in prompts("train", BATCH * (ROUNDS + 1))]
    return [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]


@pytest.mark.parametrize("name", ["ours", "plain"])
@pytest.mark.parametrize("kind", ["online", "sea"])
def test_round(benchmark: Any, kind: str, name: str) -> None:
    """Wall time of one round of 32 labels."""
    run, texts = contender(name, kind), iter(batches())
    run(next(texts))
    benchmark.group = kind
    benchmark.pedantic(run, setup=lambda: ((next(texts),), {}), rounds=ROUNDS)
    benchmark.extra_info["labels_per_second"] = BATCH / benchmark.stats["median"]


@pytest.mark.parametrize("kind", ["online", "sea"])
def test_ratio(kind: str) -> None:
    """CPU time of the two, round by round in turn, so that a busy machine slows both."""
    runs = {name: contender(name, kind) for name in ("ours", "plain")}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for texts in batches():
        for name, run in runs.items():
            start = time.process_time()
            run(texts)
            seconds[name].append(time.process_time() - start)
    speed = {name: BATCH / float(np.median(times[1:])) for name, times in seconds.items()}
    ratio = speed["ours"] / speed["plain"]
    logging.getLogger(__name__).warning("%s: labels per CPU second %s, ratio %.2f", kind, speed, ratio)
