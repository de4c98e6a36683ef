"""KL divergence, entropy and length of what a policy deploys, against exact sums over a pool."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pool_runs import everything, rounds, spec_of
from scipy.stats import sem

from duelbench.runs.configuration.assemble import assemble
from duelbench.runs.judging.measures.drift import drift


@pytest.fixture
def task(task_file: str, oracles: str) -> dict[str, Any]:
    return {"task": task_file, "oracle": f"{oracles}:Worth"}


def test_they_estimate_the_exact_sums(task: dict[str, Any]) -> None:
    parts = assemble(spec_of("online", task))
    start = parts.agent.respond(everything(parts))
    assert drift(parts.policy, start)["kl_to_start"] == pytest.approx(0.0, abs=1e-6)
    list(rounds(parts, 12))
    seen = everything(parts)
    every = parts.policy.everything(seen)  # type: ignore[attr-defined]
    p = np.exp(every.log_probs.astype(float))
    kl = (p * (every.log_probs - every.reference_log_probs)).sum(-1).mean()
    entropy = -(p * every.log_probs).sum(-1).mean()
    drawn = parts.policy.sample(seen, 400, np.random.default_rng(0))
    samples = [drift(parts.policy, drawn.pick(np.full(len(p), m))) for m in range(400)]
    for name, exact in (("kl_to_start", kl), ("response_entropy", entropy)):
        values = [sample[name] for sample in samples]
        assert abs(np.mean(values) - exact) < 4 * sem(values)
    assert kl > 0.05 and "response_length" not in samples[0]  # a pool has no tokens
