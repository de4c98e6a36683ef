"""Runs are removed when asked to, and never while another process plays them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import call

from duelbench.records.record import load_runs
from duelbench.runs.recording.remove import chosen

AGENT = """
import numpy as np
from duelbench.agents.arms.matrix.base import MatrixAgent

class Mine(MatrixAgent):
    def propose(self, observation):
        return tuple(np.full(self.setup.rows, arm) for arm in (0, 1))
"""
HOLD = """
import sys, time
from pathlib import Path
from duelbench.runs.recording.lock import hold

with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(AGENT)
    return path


def play(mine: Path, out: Path, *more: str) -> int:
    line = ["run", "--env", "MatrixDuel-v0", "-a", f"{mine}:Mine", "--seeds", "2", "--labels", "20", "--workers", "1"]
    return call(*line, "--out", str(out), *more)


def folders(out: Path) -> set[Path]:
    return set((out / "runs").iterdir())


def test_stale_runs_go_and_the_newest_version_stays(mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert play(mine, out) == 0
    (old,) = folders(out)
    time.sleep(1.1)  # manifests say when to the second
    mine.write_text(AGENT.replace("(0, 1)", "(2, 3)"))
    assert play(mine, out) == 0
    (new,) = folders(out) - {old}
    assert chosen(out, stale=True) == [old]
    assert call("rm", str(out), "--stale") == 0
    assert folders(out) == {new} and (out / "report.html").exists()
    assert call("rm", str(out), "--stale") == 0
    assert folders(out) == {new}


def test_a_run_goes_by_its_id_and_all_go_without_one(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert play(mine, out) == play(mine, out, "--set", "env.arms=6", "--preset", "bt") == 0
    first = load_runs(out)[0].folder_id
    assert call("rm", str(out), "--run", first[:-1]) == 2
    assert f"did you mean '{first}'" in capsys.readouterr().err
    assert call("rm", str(out), "--run", first) == 0
    assert first in capsys.readouterr().err
    assert [folder.name.endswith(first) for folder in folders(out)] == [False]
    assert call("rm", str(out)) == 0
    assert not folders(out) and not (out / "report.html").exists()
    assert call("rm", str(out)) == 2
    assert "holds no runs" in capsys.readouterr().err


def test_fresh_plays_the_same_runs_anew_and_says_so(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert play(mine, out) == 0
    (folder,) = folders(out)
    (folder / "mark").touch()
    assert play(mine, out) == 0
    assert (folder / "mark").exists()
    capsys.readouterr()
    assert play(mine, out, "--fresh") == 0
    assert f"Removed {folder}" in capsys.readouterr().err
    assert not (folder / "mark").exists() and (folder / "DONE").exists()


def test_a_run_that_another_process_plays_is_left_alone(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert play(mine, out) == 0
    (folder,) = folders(out)
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        assert call("rm", str(out)) == 1
        assert "another process is playing it" in capsys.readouterr().err
        assert play(mine, out, "--fresh") != 0
        assert "another process is playing" in capsys.readouterr().err
        other.kill()
    assert (folder / "DONE").exists()
