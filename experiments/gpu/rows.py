"""The rows of the measurement, most important first, and how one is played in a process that is ended in time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, TextIO

_SPEED = Path(__file__).parents[1] / "speed"
_TESTS = Path("tests/gpu")  # of the repository, in which this is run: the package has none
SEA_AGENTS = ("sea", "online")
_SEA_MODEL = "smollm2-135m"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing to measure.

    Attributes:
        kind: "card", "models", "tests", "agents", "race" or "run".
        name: what it is of: a model, or an agent of ``run``.
        what: more of it: training and sampler, or the contender of a race.
        command: prints the figures as its last line, JSON.
        most: seconds that it may take, so that a row that hangs does not cost the others their time.
    """

    kind: str
    name: str
    what: str
    command: list[str]
    most: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wanted, and what this machine has.

    Attributes:
        models: names, most important first; the last of them is the large one.
        folders: of those that could be had.
        vllm: whether our interpreter has vLLM.
        trl: an interpreter that has TRL, or none.
        trl_vllm: whether that one has vLLM.
        device: "cuda" or "cpu".
        work: of the agents' rows.
        race: options of a race's contenders.
        vllm_options: more arguments of our vLLM sampler.
        most: seconds of a row.
    """

    models: list[str]
    folders: dict[str, str]
    vllm: bool
    trl: str | None
    trl_vllm: bool
    device: str
    work: dict[str, int]
    race: dict[str, int]
    vllm_options: dict[str, Any] = field(default_factory=dict)
    most: float = 120.0

    def rows(self) -> list[Row]:
        """Most important first: tests, full fine-tuning, the race, vLLM, low-rank adapters, runs of a study."""
        raced = [name for name in self.models[1:] if name in self.folders]  # the embedded model is too small to tell
        rows = [*self._tests(), *self._agents("full", "own"), *self._race(raced, vllm=False)]
        if self.vllm:
            rows += [*self._race(raced, vllm=True), *self._agents("full", "vllm")]
        rows += self._agents("lora", "own")
        if self.vllm:
            rows += self._agents("lora", "vllm")
        return [*rows, *self._runs()]

    def _tests(self) -> Iterator[Row]:
        if _TESTS.is_dir():
            yield Row("tests", "GPU tests", "", _row(kind="tests", folder=str(_TESTS.resolve())), self.most)

    def _agents(self, training: str, sampler: str) -> Iterator[Row]:
        options = self.vllm_options if sampler == "vllm" else {}
        for name in (name for name in self.models if name in self.folders):
            asked = {"folder": self.folders[name], "training": training, "sampler": sampler, "options": options}
            command = _row(kind="agents", **asked, work=self.work)
            yield Row("agents", name, f"{training}, {sampler}", command, self.most * (2 if sampler == "vllm" else 1))

    def _race(self, raced: list[str], *, vllm: bool) -> Iterator[Row]:
        for name, (title, program) in product(raced, self._contenders(vllm).items()):
            options = self.race | {"device": self.device, "model": self.folders[name]}
            words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
            command = [*program, *words, *["--vllm"] * vllm]
            yield Row("race", name, title, command, self.most * (2 if vllm else 1))

    def _contenders(self, vllm: bool) -> dict[str, list[str]]:
        more = ", vLLM" if vllm else ""
        known = {f"duelbench online{more}": [sys.executable, "-m", "duelbench.experiments.speed.ours"]}
        if self.trl and (self.trl_vllm or not vllm):
            known[f"TRL{more}"] = [self.trl, str(_SPEED / "trl_online.py"), "--autocast"]
        return known

    def _runs(self) -> Iterator[Row]:
        if not self.folders.get(_SEA_MODEL, "-random").endswith("-random"):  # random weights have nothing to learn
            for agent in SEA_AGENTS:
                yield Row("run", agent, "SEA's paper, SmolLM2-135M, DPO", _row(kind="run", agent=agent), 4 * self.most)


def card_row(most: float) -> Row:
    """What the machine is."""
    return Row("card", "machine", "", _row(kind="card"), most)


def models_row(names: list[str], scratch: Path, most: float) -> Row:
    """The models' folders."""
    return Row("models", "models", "", _row(kind="models", names=names, scratch=str(scratch)), most)


def _row(**asked: Any) -> list[str]:
    return [sys.executable, "-m", "duelbench.experiments.gpu.row", json.dumps(asked)]


def play(row: Row, left: float, log: TextIO) -> dict[str, Any]:
    """The figures of a row, or why there are none, under "failed"; it and all that it started are ended in time.

    Args:
        row: what to do.
        left: seconds until the end of everything.
        log: a file that gets what the process says.
    """
    named = {"kind": row.kind, "name": row.name, "what": row.what}
    if left <= 0:
        return named | {"failed": "no time was left"}
    log.write(f"\n== {row.kind} {row.name} {row.what}\n")
    log.flush()
    began, limit = log.tell(), min(left, row.most)
    start = time.monotonic()
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    process = subprocess.Popen(
        row.command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
    )
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        return named | {"failed": f"not done after {limit:.0f} s"}
    finally:
        _end(process)
    seconds = {"seconds": round(time.monotonic() - start, 1)}
    said = _said(log, began)
    if code:
        return named | seconds | {"failed": _reason(said) or f"the process ended with {code}"}
    try:
        return named | seconds | dict(json.loads(said[-1]))
    except (ValueError, IndexError):
        return named | seconds | {"failed": f"it printed no figures: {_reason(said)}"}


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _said(log: TextIO, began: int) -> list[str]:
    with Path(log.name).open() as file:
        file.seek(began)
        return [line for line in file.read().splitlines() if line.strip()]


def _reason(said: list[str]) -> str:
    """The last line that looks like an exception's, else the last line."""
    errors = [line for line in said if line and not line[0].isspace() and "Error" in line.partition(":")[0]]
    return (errors or said or [""])[-1].strip()
