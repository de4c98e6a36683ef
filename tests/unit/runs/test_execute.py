"""How many runs are played at once where nobody says."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from duelbench.records.spec import RunSpec
from duelbench.runs.execute import suitable_workers

SHORT = RunSpec("MatrixDuel-v0", "rucb", 0, 5_000, batch=1, lockstep=1)


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)


def test_no_process_is_started_for_what_is_soon_done() -> None:
    assert suitable_workers([SHORT] * 4) == 1
    assert suitable_workers([replace(SHORT, lockstep=20)] * 4) == 1  # rows in lock-step are almost free
    assert suitable_workers([]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"labels": 10_000},
        {"lockstep": 200},
        {"lockstep": 0, "agent": "online", "env": "LLMDuelPool-v0"},
        {"agent": "neural_ts"},  # its networks take their time
        {"agent": "mine.py:Mine"},  # nobody knows how long that takes
    ],
)
def test_the_rest_is_shared_among_the_cores(change: dict[str, object]) -> None:
    assert suitable_workers([replace(SHORT, **change)] * 4) == 4  # type: ignore[arg-type]
    assert suitable_workers([replace(SHORT, **change)] * 40) == 8  # type: ignore[arg-type]
