"""Labels per second of each agent through the whole loop: propose, ask, journal, learn, judge, checkpoint.

make bench
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.policy_loop import run
from duelbench.study.settings import DEMO_AGENTS, settings_of

LABELS = {"LLMDuelPool-v0": 512, "LLMDuel-v0": 128}


@pytest.mark.parametrize("agent", DEMO_AGENTS)
@pytest.mark.parametrize("env", sorted(LABELS))
def test_agent(benchmark: Any, tmp_path: Path, env: str, agent: str) -> None:
    defaults = settings_of(env)

    def play(attempt: int) -> Path:
        spec = RunSpec(
            env=env,
            agent=agent,
            seed=attempt,
            labels=LABELS[env],
            batch=32,
            judging=Judging(every=LABELS[env], repeats=1),
            learner=defaults.learner,
            policy=defaults.policy,
        )
        return run(spec, tmp_path)

    attempts = iter(range(100))
    folder = benchmark.pedantic(lambda: play(next(attempts)), rounds=2, warmup_rounds=1)
    timing = [json.loads(line) for line in (folder / "timing.jsonl").read_text().splitlines()]
    benchmark.extra_info["labels_per_second"] = round(LABELS[env] / benchmark.stats.stats.median, 1)
    benchmark.extra_info["generated_tokens_per_label"] = round(timing[-1]["generated_tokens"] / LABELS[env], 1)
