"""Progress of long jobs: a line now and then where there is no terminal, with an estimate of what is left."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from duelbench.records.spec import Judging, RunSpec
from duelbench.runs import progress as module
from duelbench.runs.execute import execute
from duelbench.runs.progress import duration, progress


class Clock:
    """Time that passes when told to."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", clock.monotonic)
    return clock


def test_a_log_gets_a_line_a_minute_with_what_is_left(clock: Clock) -> None:
    log = io.StringIO()
    with progress(1000, "labels", Console(file=log, width=200), done=400) as show:
        for step in range(1, 11):  # 10 labels in 30 seconds
            clock.now += 30
            show(400 + 10 * step, f"run {step}")
    lines = log.getvalue().splitlines()
    assert len(lines) == 5
    assert lines[0] == "420 of 1,000 labels, about 29 min left (run 2)"  # 580 labels at 1 in 3 seconds
    assert lines[-1] == "500 of 1,000 labels, about 25 min left (run 10)"


def test_nothing_is_said_within_the_first_minute(clock: Clock) -> None:
    log = io.StringIO()
    with progress(10, "labels", Console(file=log)) as show:
        clock.now += 59
        show(10, "run")
    assert log.getvalue() == ""


def test_a_terminal_gets_a_bar() -> None:
    screen = io.StringIO()
    with progress(1000, "labels", Console(file=screen, force_terminal=True, width=120)) as show:
        show(250, "sea")
    assert "sea" in screen.getvalue() and "250/1000" in screen.getvalue()


def test_runs_of_an_earlier_call_are_done_from_the_start(
    task_file: str, oracles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kwargs = {"task": task_file, "oracle": f"{oracles}:Worth"}
    specs = [
        RunSpec("LLMDuelPool-v0", "uniform", seed, 16, judging=Judging(every=16), env_kwargs=kwargs) for seed in (0, 1)
    ]
    execute(specs[:1], tmp_path)
    monkeypatch.setattr(module, "_LINE_SECONDS", 0.0)
    log = io.StringIO()
    execute(specs, tmp_path, console=Console(file=log, width=200))
    counts = [int(line.split()[0]) for line in log.getvalue().splitlines()]
    assert counts[0] == 16 and counts[-1] == 32 and counts == sorted(counts)


@pytest.mark.parametrize(
    ("seconds", "said"), [(3, "3 s"), (89.6, "90 s"), (120, "2 min"), (5399, "90 min"), (9000, "2.5 h")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said
