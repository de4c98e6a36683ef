"""What ``duelbench new`` writes is played by the command that it holds."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from command_line import call

from duelbench.records.record import load_runs


@pytest.mark.parametrize(
    ("kind", "shown"), [("agent", "QuickWinner"), ("env", "rucb"), ("oracle", "online"), ("sweep", "sea")]
)
def test_what_is_written_passes_its_own_run(
    kind: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("new", kind, "quick_winner") == 0
    text = Path("quick_winner.py").read_text()
    (line,) = re.findall(r"^ +(duelbench .*)$", text, re.M)
    assert line in capsys.readouterr().err and "ine" not in re.findall(r"\bm?M?ine\b", text)
    words = shlex.split(line)[1:]
    assert call(*words, "--workers", "1", *(["--out", "out"] if "--out" not in words else [])) == 0
    (folder,) = {manifest.parents[2] for manifest in tmp_path.rglob("manifest.json")}
    runs = load_runs(folder)
    assert all(run.finished and run.manifest["about"] for run in runs) and shown in {run.spec["agent"] for run in runs}


@pytest.mark.parametrize("name", ["two words", "1st", "class", "../up", "a-b", ""])
def test_a_name_must_be_one_of_python(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("new", "agent", name) == 2
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("mine")
    assert call("new", "agent", "mine") == 2
    assert "mine.py exists already" in capsys.readouterr().err and Path("mine.py").read_text() == "mine"
