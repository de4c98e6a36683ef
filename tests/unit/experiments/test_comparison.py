"""Studies that compare agents: what is run, that parts share runs, and that what is told follows from the records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from duelbench.experiments.comparison.define import METRICS, Comparison, Part
from duelbench.experiments.comparison.results import PICTURE, draw, results
from duelbench.experiments.ladder.sweep import LADDER_STUDY
from duelbench.experiments.pool_study.sweep import POOL_STUDY
from duelbench.experiments.records import Records, add_records
from duelbench.records.record import Run
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.resolve import resolve


def finished_run(spec: RunSpec, end: float) -> Run:
    wins = {0.0: 0.5, 128.0: 0.5 + (end - 0.5) / 3, 512.0: 0.5 + (end - 0.5) / 1.5, 1024.0: end}
    rows = [{"labels": labels, "offline_win_rate": rate} for labels, rate in wins.items()]
    timing = [{"labels": row["labels"], "wall_seconds": 1.0, "generated_tokens": 10.0} for row in rows]
    manifest = {"run_id": spec.run_id, "spec": spec.to_json()}
    return Run(spec.run_id, {"seed": spec.seed}, rows, timing, [], True, manifest, None)


@pytest.mark.parametrize("study", [LADDER_STUDY, POOL_STUDY], ids=lambda study: study.folder.name)
def test_every_run_of_a_study_resolves_and_is_on_a_reporting_seed(study: Comparison) -> None:
    specs = {spec.asked_id: spec for part in study.parts for spec in study.specs(part, 1)}
    assert all(spec.seed < 1000 and resolve(spec).resolved for spec in specs.values())
    assert len({resolve(spec).run_id for spec in specs.values()}) == len(specs)


def test_parts_share_what_is_the_same() -> None:
    assert [spec.seed for spec in LADDER_STUDY.specs("reader, warm", 2)] == [0] * 4 + [1] * 4
    whole = POOL_STUDY.specs("reader, warm", 2)
    ablation = {spec.asked_id for spec in POOL_STUDY.specs("ablation (reader, warm)", 2)}
    assert len({spec.asked_id for spec in whole} & ablation) == 4  # ide and online_rm


def test_what_is_told_follows_from_the_records(tmp_path: Path) -> None:
    world = replace(LADDER_STUDY.parts["reader, warm"], limit="")
    study = replace(LADDER_STUDY, folder=tmp_path, parts={"reader, warm": world, "other": Part({}, picture=False)})
    ends = {"online": 0.62, "ide": 0.92}
    runs = [finished_run(study.spec("reader, warm", name, s), ends[name] + s / 500) for name in ends for s in range(5)]
    add_records(study.records, runs, METRICS)
    records = Records.read(study.records)
    run_id = study.ids("reader, warm", "ide")[0]
    told = {"accuracy": 0.8, "log_loss": 0.61, "log_loss_floor": 0.56, "coverage": 0.95}
    beliefs = {run_id: told | {"calibration_error": 0.02, "rank_correlation": -0.25}}
    text = results(study, records, beliefs)
    assert "| ide | 0.800 | 0.610 | 0.560 | 0.95 | 0.020 | −0.25 |" in text
    assert "## reader, warm: 0 to 5 seeds (incomplete); differences to `online`" not in text
    assert "5 seeds" in text and "**+0.300 [+0.300, +0.300]**†" in text and "## other\n\nNot played yet." in text
    assert "Labels of `online` for one of `ide`, by win rate: 0.55: 4." in text and "online_rm" not in text
    draw(study, records)
    assert (tmp_path / PICTURE).stat().st_size > 10_000
