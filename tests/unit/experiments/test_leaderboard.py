"""The committed leaderboard follows from its committed records, byte for byte."""

from __future__ import annotations

from duelbench.experiments.leaderboard.build import (
    PAGE,
    RECORDS,
    SUITE_SEEDS,
    page,
    pool_specs,
    recorded_runs,
    suite_specs,
)
from duelbench.experiments.pool_study.sweep import POOL_STUDY
from duelbench.experiments.records import read_records


def test_every_run_is_recorded_to_its_last_label() -> None:
    records = read_records(RECORDS)
    pool, suite = recorded_runs(pool_specs(), read_records(POOL_STUDY.records)), recorded_runs(suite_specs(), records)
    assert len(pool) == 10 * POOL_STUDY.seeds and len(suite) == 4 * 7 * SUITE_SEEDS
    assert {run.run_id for run in suite} == set(records)
    for run in pool + suite:
        assert run.rows[-1]["labels"] == run.spec["labels"]


def test_another_record_is_another_leaderboard() -> None:
    records = read_records(POOL_STUDY.records)
    run = recorded_runs(pool_specs(), records)[0]
    records[run.run_id]["offline_win_rate"][-1] += 0.1
    assert page(records, read_records(RECORDS)).encode() != PAGE.read_bytes()
