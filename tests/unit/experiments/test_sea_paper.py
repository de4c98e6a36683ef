"""The study of experiments/sea_paper: what is run, and that what is told follows from the records."""

from __future__ import annotations

from pathlib import Path

import pytest

from duelbench.experiments.records import Records, add_records, recorded
from duelbench.experiments.sea_paper import analysis, sweep
from duelbench.records.record import Run


def finished_run(spec: sweep.RunSpec, last: float) -> Run:
    rows = [{"labels": 0.0, "offline_win_rate": 0.5}, {"labels": 512.0, "offline_win_rate": last}]
    timing = [{"labels": row["labels"], "wall_seconds": 1.0, "generated_tokens": 10.0} for row in rows]
    manifest = {"run_id": spec.run_id, "spec": spec.to_json()}
    return Run(spec.run_id, {"seed": spec.seed}, rows, timing, [], True, manifest, None)


def test_the_study_is_the_papers() -> None:
    scales = sweep.part_specs("scales", 3)
    assert len(scales) == len({spec.run_id for spec in scales}) == 3 * 3 * 3 * 5
    ablation, rules = sweep.part_specs("ablation", 1), sweep.part_specs("rules", 1)
    assert len(ablation) == 7 and len(rules) == 3
    shared = {spec.run_id for spec in scales} & {spec.run_id for spec in ablation + rules}
    assert len(shared) == 2, "passive online and SEA are played once for both"
    assert {spec.env_kwargs["task"] for spec in scales} == {scale.task for scale in sweep.SCALES.values()}


def test_records_grow_and_nothing_there_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "records.csv"
    cell = ("tiny", "dpo", "online")
    specs = [sweep.spec_of(cell, ("online", {}), seed) for seed in range(2)]
    assert recorded(path) == set()
    add_records(path, [finished_run(specs[1], 0.6)], sweep.METRICS)
    add_records(path, [finished_run(specs[1], 0.9), finished_run(specs[0], 0.7)], sweep.METRICS)
    assert recorded(path) == {spec.asked_id for spec in specs}
    play = sweep.run_ids("scales", cell)
    assert Records.read(path).final(play, "offline_win_rate") == {0: 0.7, 1: 0.6}
    assert Records.read(path).final(play, "online_win_rate") == {}
    assert "2 seeds" in analysis.results(Records.read(path))


def test_an_average_weighs_every_window_by_its_labels_and_leaves_none_out() -> None:
    """The first window of an online win rate is the one in which a reward model knows nothing: it counts."""
    nan = float("nan")
    labels = [0.0, 100.0, 250.0, 300.0]
    run = {"labels": labels, "online_win_rate": [nan, 0.4, 0.6, 0.9], "offline_win_rate": [0.5, 0.6, nan, 0.8]}
    records = Records({"a": run, "b": run | {"online_win_rate": [nan] * 4}})
    online = records.average(("a", "b", "never played"), "online_win_rate")
    assert online == {0: pytest.approx((100 * 0.4 + 150 * 0.6 + 50 * 0.9) / 300)}
    assert records.average(("a",), "offline_win_rate") == {0: pytest.approx((100 * 0.6 + 50 * 0.8) / 150)}
