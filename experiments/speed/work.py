"""The work of a race and its clock, for every contender the same. Runs under either interpreter: no duelbench, no trl.

A step: a batch of prompts of one exact length, two responses of exactly so many tokens to each, a preference that is a
program, and one gradient step of full fine-tuning by DPO. All randomness is the contender's own; lengths and counts are
equal.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

TEXT = (
    "Before the shop opened, Ines swept the floor, checked the scales and wrote the day's prices in chalk. Pears were "
    "cheap this week because the orchards up the valley had all ripened at once, and nobody there owned a cold room. "
    "Her brother drove the van over the pass twice a day, singing loudly, with crates stacked to the roof. He said "
    "the trick of a good journey was to leave early, drink nothing, and never argue with a goat about the road. "
    "Customers came for fruit but stayed for news: whose roof leaked, which teacher had left, why the bus no longer "
    "stopped at the mill. An old sailor bought one lemon every morning and explained, to anyone who waited behind "
    "him, how to find north without a compass. In summer the tourists asked for maps, umbrellas and ice; in winter "
    "they asked when the snow would melt. Ines answered every question politely, though she had never once been on "
    "the far side of the mountain herself."
)

Seconds = tuple[float, float]  # of wall time, of the process's CPU time


def parser(description: str) -> argparse.ArgumentParser:
    """The options that every contender has."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--model", type=Path, required=True, help="model folder with its tokenizer")
    made.add_argument("--batch", type=int, default=8, help="prompts a step")
    made.add_argument("--prompt-len", type=int, default=24, help="tokens of every prompt")
    made.add_argument("--new-tokens", type=int, default=32, help="tokens of every response")
    made.add_argument("--warm", type=int, default=2, help="steps thrown away first")
    made.add_argument("--steps", type=int, default=5, help="steps measured")
    made.add_argument("--threads", type=int, default=1, help="threads of torch")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--learning-rate", type=float, default=1e-6)
    made.add_argument("--temperature", type=float, default=0.9, help="of sampling")
    made.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    made.add_argument("--vllm", action="store_true", help="draw with vLLM, in the same process")
    return made


def prompts(tokenizer: Any, n: int, length: int, seed: int) -> list[str]:
    """n texts of exactly ``length`` tokens; neighbours differ.

    Raises:
        ValueError: the text holds too few such windows.
    """
    tokens = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    windows = [tokenizer.decode(tokens[i : i + length]) for i in range(len(tokens) - length)]
    exact = [w for w in dict.fromkeys(windows) if len(tokenizer(w, add_special_tokens=False)["input_ids"]) == length]
    if len(exact) < 32:
        raise ValueError(
            f"the text has {len(exact)} windows of {length} tokens under this tokenizer, at least 32 needed"
        )
    rng = np.random.default_rng(seed)
    exact = [exact[i] for i in rng.permutation(len(exact))]
    return [exact[i % len(exact)] for i in range(n)]


def prefers_first(first: str, second: str) -> bool:
    """The preference: more of the letter e, then longer."""
    return (first.count("e"), len(first)) >= (second.count("e"), len(second))


class Clock:
    """Seconds of each part of each step. A part inside another counts for itself alone."""

    def __init__(self, device: str = "cpu") -> None:
        """A clock for work on ``device``: a GPU's clock waits for what was launched whenever a part begins or ends."""
        self.steps: list[dict[str, Seconds]] = []
        self._inside: list[Seconds] = []  # for each open part, what the parts in it took
        self._finish: Callable[[], object] = _nothing if device == "cpu" else _synchronise

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what happens inside as part ``name`` of the present step."""
        start = self._now()
        self._inside.append((0.0, 0.0))
        try:
            yield
        finally:
            took = _minus(self._now(), start)
            own = _minus(took, self._inside.pop())
            if self._inside:
                self._inside[-1] = _plus(self._inside[-1], took)
            self.steps[-1][name] = _plus(self.steps[-1].get(name, (0.0, 0.0)), own)

    def wrap(self, owner: Any, method: str, name: str) -> None:
        """Count every call of a method as part ``name``."""
        call = getattr(owner, method)

        def timed(*args: Any, **options: Any) -> Any:
            if not self.steps:
                return call(*args, **options)
            with self.part(name):
                return call(*args, **options)

        setattr(owner, method, timed)

    def next_step(self) -> None:
        """A new step begins."""
        self.steps.append({})

    def _now(self) -> Seconds:
        self._finish()
        return time.perf_counter(), time.process_time()


def _nothing() -> None:
    pass


def _synchronise() -> None:
    import torch

    torch.cuda.synchronize()


def _minus(a: Seconds, b: Seconds) -> Seconds:
    return a[0] - b[0], a[1] - b[1]


def _plus(a: Seconds, b: Seconds) -> Seconds:
    return a[0] + b[0], a[1] + b[1]


def print_record(steps: Sequence[dict[str, Seconds]], device: str, **more: Any) -> None:
    """The last line of standard output, as JSON: seconds of each step, medians, their split, and peak memory.

    Args:
        steps: the measured ones, each split into parts.
        device: "cpu" or "cuda", for what torch has held of the GPU's memory.
        more: anything else worth keeping.
    """
    totals = [tuple(sum(part[i] for part in step.values()) for i in (0, 1)) for step in steps]
    names = sorted({name for step in steps for name in step})
    split = {
        name: [round(statistics.median(step.get(name, (0.0, 0.0))[i] for step in steps), 5) for i in (0, 1)]
        for name in names
    }
    record = {
        "step_wall_s": round(statistics.median(wall for wall, _ in totals), 5),
        "step_cpu_s": round(statistics.median(cpu for _, cpu in totals), 5),
        "step_wall_s_all": [round(wall, 5) for wall, _ in totals],
        "step_cpu_s_all": [round(cpu, 5) for _, cpu in totals],
        "split_wall_cpu_s": split,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    if device == "cuda":
        import torch

        record["peak_gpu_gib"] = round(torch.cuda.max_memory_reserved() / 2**30, 2)
    print("\n" + json.dumps(record | more), flush=True)
