"""``duelbench suite`` as a user meets it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from command_line import call

from duelbench.study.suite import TASKS, select


def test_the_smoke_subset_is_played_scored_and_drawn_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "suite"
    command = [
        "suite",
        "--smoke",
        "--seeds",
        "3",
        "--labels",
        "48",
        "--workers",
        "1",
        "--out",
        str(out),
        "--agent",
        "double_ts",
        "--agent",
        "online",
    ]
    assert call(*command, "--json") == 0
    said = json.loads(capsys.readouterr().out)  # and nothing else
    names = [task.name for task in select(smoke=True)]
    scores = {(row["task"], row["agent"]): row for row in said["scores"]}
    assert list(scores) == [(task, agent) for task in names for agent in ("double_ts", "online")]
    assert scores["delay", "online"]["score"] is None and "late" in scores["delay", "online"]["reason"]
    for (task, agent), row in scores.items():
        if (task, agent) != ("delay", "online"):
            assert len(row["values"]) == row["seeds"] == 3 and 0.0 <= row["score"] <= 1.0
    assert json.loads((out / "scores.json").read_text()) == said["scores"]
    table = list(csv.DictReader((out / "scores.csv").read_text().splitlines()))
    assert [float(row["score"]) for row in table if row["score"]] == pytest.approx(
        [row["score"] for row in said["scores"] if row["seeds"]]
    )
    assert sorted(path.name for path in out.glob("*.png")) == ["radar-double_ts.png", "radar-online.png", "radar.png"]

    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")}
    assert call(*command) == 0
    printed = capsys.readouterr().out
    assert "double_ts" in printed and "—: answers come late" in printed
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")} == before


def test_the_tasks_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("suite", "--list") == 0
    said = capsys.readouterr().out
    assert all(task.name in said for task in TASKS)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--tag", "timings"], "unknown tag"),
        (["--agent", "double_tss"], "did you mean"),
        (["--seeds", "0"], "seeds must be at least 1"),
        (["--labels", "0"], "labels must be at least 1"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_two(
    argv: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("suite", *argv, "--out", str(tmp_path / "out")) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
