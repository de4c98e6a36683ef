"""The table in the terminal says what the report says, in 80 columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reports import pool_run, write_pool_runs
from scipy import stats as scipy_stats

from duelbench.records.record import load_runs
from duelbench.results.report.subject import Subject
from duelbench.results.report.terminal import terminal


def test_agents_with_intervals_verdicts_and_runs_best_first(tmp_path: Path) -> None:
    write_pool_runs(tmp_path, agents=("online", "sea"))
    lines = terminal(Subject.of(tmp_path, load_runs(tmp_path))).splitlines()
    low, high = scipy_stats.t.interval(0.95, 2, loc=0.71, scale=scipy_stats.sem([0.70, 0.71, 0.72]))
    rows = [line.split() for line in lines]
    assert ["sea", "0.710", f"[{low:.3f},", f"{high:.3f}]", "ahead", "3"] in rows
    assert any(row[:2] == ["online", "0.610"] and row[-2:] == ["baseline", "3"] for row in rows)
    assert [row[0] for row in rows if row and row[0] in ("sea", "online")] == ["sea", "online"]
    assert lines[0] == "LLMDuelPool-v0, after 100 labels" and lines[-1] == "6 finished runs."


def test_an_unfinished_run_and_a_single_seed_are_said_to_be_so(tmp_path: Path) -> None:
    runs = [pool_run("online", 0, 0.6), pool_run("sea", 0, 0.7), pool_run("sea", 1, 0.7, finished=False)]
    text = terminal(Subject.of(tmp_path, runs))
    rows = [line.split() for line in text.splitlines()]
    assert ["sea", "0.700", "not", "separated", "1", "(+1", "unfinished)"] in rows and [
        "online",
        "0.600",
        "baseline",
        "1",
    ] in rows
    assert "1 unfinished (shown as such, in no average)" in text


def test_answers_of_the_leader_stand_below_with_their_utilities(tmp_path: Path) -> None:
    runs = [pool_run("online", 0, 0.6), pool_run("sea", 0, 0.7)]
    for run in runs:
        name = run.spec["agent"]
        sample = {"prompt": f"[write]\nas {name}", "before": "x y " * 200, "after": "", "utility_before": -1.5}
        run.samples[:] = [sample, {"prompt": "untold", "before": "a", "after": "b"}]
    text = terminal(Subject.of(tmp_path, runs))
    assert "before and after sea, seed 0" in text and "as online" not in text
    assert "  [write] as sea\n    before (−1.500): x y x" in text and "    after: (nothing)\n  untold" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_longer_than_the_terminal(tmp_path: Path, width: int) -> None:
    runs = [pool_run("a_name_that_is_rather_long_for_an_agent [loss=ipo]", seed, 0.6) for seed in range(3)]
    text = terminal(Subject.of(tmp_path, [*runs, pool_run("[b]x[/b]", 0, 0.5)]), width)
    assert max(map(len, text.splitlines())) <= width
    assert width < 80 or "[b]x[/b]" in text
    assert np.all([not line.endswith(" ") for line in text.splitlines()])
