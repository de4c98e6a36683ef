"""The committed leaderboard follows from its committed records, byte for byte."""

from __future__ import annotations

import copy

from duelbench.experiments.leaderboard.build import (
    PAGE,
    POOL_SEEDS,
    RECORDS,
    SUITE_SEEDS,
    page,
    pool_specs,
    recorded_runs,
    suite_specs,
)
from duelbench.experiments.records import read_records


def test_every_run_is_recorded_to_its_last_label() -> None:
    records = read_records(RECORDS)
    pool, suite = (recorded_runs(specs, records) for specs in (pool_specs(), suite_specs()))
    assert len(pool) == 7 * POOL_SEEDS and len(suite) == 4 * 7 * SUITE_SEEDS
    assert {run.run_id for run in pool + suite} == set(records)
    for run in pool + suite:
        assert run.rows[-1]["labels"] == run.spec["labels"]


def test_another_record_is_another_leaderboard() -> None:
    records = copy.deepcopy(read_records(RECORDS))
    run = recorded_runs(pool_specs(), records)[0]
    records[run.run_id]["offline_win_rate"][-1] += 0.1
    assert page(records).encode() != PAGE.read_bytes()
