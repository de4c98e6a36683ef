"""What got slower: CPU time of each benchmark in units of a fixed piece of work, beside the committed figure.

make bench                            # prints every benchmark that takes over 15 % longer than committed
make bench BENCH=--write-ratios       # commits the figures of this run
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

RATIOS = Path(__file__).with_name("ratios.json")
TOLERANCE = 1.15
_KEY = pytest.StashKey[list[float]]()


def yardstick() -> float:
    """CPU seconds that a fixed piece of work takes now: half of it Python's, half NumPy's."""
    matrix = np.random.default_rng(0).standard_normal((256, 256))
    spent = []
    for _ in range(5):
        started = time.process_time()
        total = 0
        for number in range(200_000):
            total += number & 7
        for _ in range(8):
            matrix @ matrix
        spent.append(time.process_time() - started)
    return min(spent)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-ratios", action="store_true", help="write the ratios of this run for later ones")


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault("DUELBENCH_DTYPE", "float32")  # the yardstick's, so that ratios of all processors compare
    config.stash[_KEY] = [yardstick()]


def slower(found: dict[str, float], committed: dict[str, float]) -> list[str]:
    """A line for each benchmark that takes over 15 % longer than committed."""
    return [
        f"{name}: {ratio / committed[name]:.2f} times the committed time"
        for name, ratio in found.items()
        if name in committed and ratio > TOLERANCE * committed[name]
    ]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    session = getattr(config, "_benchmarksession", None)
    if session is None or not session.benchmarks:
        return
    unit = min([*config.stash[_KEY], yardstick()])
    found = {bench.fullname.rpartition("/")[2]: bench.stats.min / unit for bench in session.benchmarks if bench.stats}
    committed = json.loads(RATIOS.read_text(encoding="utf-8")) if RATIOS.exists() else {}
    if config.getoption("--write-ratios"):
        kept = committed | {name: float(f"{ratio:.3g}") for name, ratio in found.items()}
        RATIOS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    terminalreporter.section("against the committed ratios")
    for line in slower(found, committed) or [f"none of {len(found)} benchmarks takes over 15 % longer"]:
        terminalreporter.write_line(line)
