"""Texts per second of the simulated reader.

make bench
"""

from __future__ import annotations

from typing import Any

from duelbench.envs.text.tasks import load_task
from duelbench.oracles.reader.reader import Reader

TEXTS = 4_096


def test_reading(benchmark: Any) -> None:
    task, reader = load_task("short-writing"), Reader()
    answers = task.references.ravel().tolist()[:TEXTS]
    prompts = [prompt for prompt in task.prompts for _ in range(task.references.shape[1])][:TEXTS]
    benchmark(reader.utilities, prompts, answers)
    benchmark.extra_info["texts_per_second"] = TEXTS / benchmark.stats.stats.median
