"""What a sweep costs beside its runs: two workers against one, records and journal, going on with what is finished.

    python -m duelbench.experiments.speed.sweep

Plays ``--runs`` short runs twice, in turns of one and two workers, each in a fresh folder and a fresh process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from duelbench.records import checkpoint
from duelbench.records.answers.journal import Journal
from duelbench.records.spec import RunSpec
from duelbench.runs import policy_loop
from duelbench.runs.engines import make_engine
from duelbench.runs.execute import execute
from duelbench.runs.policy_game import game
from duelbench.runs.recording.run_folder import RunFolder
from duelbench.study.sweep_files import load_sweep

_FILE = """from duelbench.study.sweep import Sweep

sweep = Sweep("Many short runs", ["LLMDuelPool-v0"], ["uniform", "online"], seeds={seeds}, labels=128)
"""
_PROFILED = 50
_KEPT = ("write_manifest", "rewind", "append", "finish", "labels_used")


@dataclass
class Options:
    """Options of the measurement."""

    runs: int = 1000
    """Short runs: half uniform, half online, 128 labels each."""


def main() -> None:
    """Print one JSON object."""
    options = tyro.cli(Options)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "short.py"
        file.write_text(_FILE.format(seeds=options.runs // 2))
        seconds = {workers: _sweep(file, Path(place) / str(workers), workers) for workers in (1, 2)}
        found = {
            "runs": options.runs,
            "seconds_one_worker": seconds[1],
            "seconds_two_workers": seconds[2],
            "speedup": seconds[1] / seconds[2],
            "seconds_to_go_on_when_finished": _sweep(file, Path(place) / "2", 2),
            "overhead_ms_a_run": overhead(file, Path(place) / "profiled"),
        }
        print(json.dumps(found, indent=1))


def _sweep(file: Path, out: Path, workers: int) -> float:
    """Wall seconds of the command, in a process of its own."""
    command = [
        sys.executable,
        "-c",
        "from duelbench.cli.main import main; main()",
        "sweep",
        str(file),
        "--out",
        str(out),
    ]
    started = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--workers", str(workers)], check=True, env=environment, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def overhead(file: Path, out: Path) -> float:
    """Milliseconds of a run that are spent on manifest, records, journal, checkpoints and hashing."""
    specs = [planned.spec for planned in load_sweep(str(file))[1].plan("short").runs[:_PROFILED]]
    clock = _Clock()
    for owner, names in (
        (RunFolder, _KEPT),
        (Journal, ("__init__", "recall", "append", "close", "check_room")),
        (RunSpec, ("to_json",)),
    ):
        for name in names:
            setattr(owner, name, clock.timed(getattr(owner, name)))
    for module, function in ((game, checkpoint.save_checkpoint), (policy_loop, checkpoint.load_checkpoint)):
        setattr(module, function.__name__, clock.timed(function))
    execute(specs[:2], out, engine=make_engine("inline"))  # imports
    clock.seconds = 0.0
    execute(specs[2:], out, engine=make_engine("inline"))
    return 1000.0 * clock.seconds / len(specs[2:])


class _Clock:
    """Adds up the time spent in functions, those that they call counted once."""

    def __init__(self) -> None:
        self.seconds, self._inside = 0.0, False

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return function(*args, **kwargs)
            self._inside, started = True, time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - started
                self._inside = False

        return wrapped


if __name__ == "__main__":
    main()
