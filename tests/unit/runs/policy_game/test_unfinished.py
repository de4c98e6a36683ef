"""Responses that were cut off at the length limit are marked wherever they are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from duelbench.records.answers.journal import Journal
from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.results.exports.preferences import collect
from duelbench.runs.policy_loop import run

SIDES = ("chosen", "rejected")


@pytest.mark.parametrize("most", [3, 12])
def test_samples_and_preferences_say_which_responses_were_cut_off(
    llama: Path, task_file: str, oracles: str, tmp_path: Path, most: int
) -> None:
    spec = RunSpec(
        "LLMDuel-v0",
        "uniform",
        0,
        24,
        batch=8,
        judging=Judging(every=12, repeats=1),
        env_kwargs={"task": task_file, "oracle": f"{oracles}:Worth"},
        policy={"model": str(llama), "max_new_tokens": most, "dtype": "float32"},
    )
    folder = run(spec, tmp_path)
    rows = collect(tmp_path, load_runs(tmp_path)).rows
    marks = {(r["prompt"][0]["content"], r[s][0]["content"]): r[f"{s}_unfinished"] for r in rows for s in SIDES}
    assert {True, False} == {*marks.values()} and len(marks) > 20
    samples = json.loads((folder / "samples.json").read_text())
    flags = [sample.get(f"{when}_unfinished", False) for sample in samples for when in ("before", "after")]
    assert any(flags) and not all(flags)


def test_marks_are_of_a_run_and_given_once(tmp_path: Path) -> None:
    one, other = (Journal(tmp_path / "j.sqlite", name) for name in ("one", "other"))
    one.keep_unfinished([("x", "y"), ("x", "z")])
    one.keep_unfinished([("x", "y")])
    one.keep_unfinished([])
    assert one.unfinished() == {("x", "y"), ("x", "z")} and not other.unfinished()
