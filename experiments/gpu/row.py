"""The process of one row: measures one thing and prints it as the last line, JSON. ``measure`` starts it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from duelbench.experiments.gpu.memory import GIB, copy_rate
from duelbench.records.provenance import git_state, installed_versions, machine

_COPIED = {"cuda": 4 << 30, "cpu": 256 << 20}
_SEA_MODEL, _SEA_LOSS = "smollm2-135m", "dpo"


def card() -> dict[str, Any]:
    """What the figures belong to, and how fast the device copies."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    gpu = torch.cuda.get_device_properties(0) if device == "cuda" else None
    return {
        "device": gpu.name if gpu else f"CPU ({machine()['processor']})",
        "device_gib": gpu.total_memory / GIB if gpu else None,
        "driver": driver(),
        "cuda_available": device == "cuda",
        "cuda": torch.version.cuda,
        "copy_bytes_per_s": copy_rate(device, _COPIED[device]),
        "versions": installed_versions(),
        "machine": machine(),
        "commit": git_state(),
    }


def driver() -> str:
    """Version of the GPU's driver, empty where there is none."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def models(names: list[str], scratch: str) -> dict[str, Any]:
    """The folder of each model."""
    from duelbench.experiments.gpu.models import model_folder

    return {"folders": {name: model_folder(name, Path(scratch)) for name in names}}


def agents(folder: str, training: str, sampler: str, options: dict[str, Any], work: dict[str, int]) -> dict[str, Any]:
    """Of one model, training and sampler."""
    from duelbench.experiments.gpu.agents import Work, measure

    return measure(folder, training, sampler, options, Work(**work))


def tests(folder: str) -> dict[str, Any]:
    """How the GPU's tests end; a failure of one is said in full on standard error."""
    import pytest

    class Count:
        def __init__(self) -> None:
            self.ended: dict[str, list[str]] = {"passed": [], "failed": [], "skipped": []}

        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.when == "call" or report.outcome != "passed":
                self.ended[report.outcome].append(report.nodeid.rpartition("::")[2])

    count = Count()
    # Other versions warn of other things than those that the suite is run with.
    status = pytest.main([folder, "-q", "-o", "filterwarnings=default", "-p", "no:cacheprovider"], plugins=[count])
    if status not in (0, 1):
        raise RuntimeError(f"pytest ended with {status!r} before the tests had run")
    return {"tests": count.ended}


def run(agent: str) -> dict[str, Any]:
    """The first seed of an agent in the study of SEA's paper, on SmolLM2-135M."""
    from duelbench.experiments.sea_paper.sweep import cells, spec_of
    from duelbench.records.record import load_run
    from duelbench.runs.policy_loop import run

    cell = (_SEA_MODEL, _SEA_LOSS, agent)
    spec = spec_of(cell, cells("scales")[cell], seed=0)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        (played,) = load_run(run(spec, Path(folder)))
        seconds = time.perf_counter() - start
    last = {key: played.rows[-1][key] for key in ("labels", "offline_win_rate", "online_win_rate")}
    return last | {"whole_run_s": seconds, "spec": spec.to_json()}


KINDS: dict[str, Callable[..., dict[str, Any]]] = {
    "card": card,
    "models": models,
    "agents": agents,
    "tests": tests,
    "run": run,
}


def main() -> None:
    """Measure what the one argument says: ``{"kind": …, and the arguments of its function}``."""
    asked = json.loads(sys.argv[1])
    figures = KINDS[asked.pop("kind")](**asked)
    print(f"\n{json.dumps(figures)}", flush=True)  # the process's result


if __name__ == "__main__":
    main()
