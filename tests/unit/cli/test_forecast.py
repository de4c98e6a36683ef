"""What a command will ask of an oracle that costs something is said before it is asked, and agreed to if it is much."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import call

ORACLE = """
from pathlib import Path

LOG = Path(__file__).with_suffix(".log")


def worth(prompt, response):
    with LOG.open("a") as file:
        file.write(response + "\\n")
    return float(len(response))
"""
SWEEP = """
from duelbench.study.sweep import EnvSetting, Sweep

sweep = Sweep("x", [EnvSetting("LLMDuelPool-v0", options={{"task": {task!r}, "oracle": {oracle!r}}})], ["online"],
              seeds=2, labels=8, batch=4)
"""


@pytest.fixture
def oracle(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(ORACLE)
    return f"{tmp_path / 'mine.py'}:worth"


def line_of(oracle: str, task_file: str, out: Path, labels: int) -> list[str]:
    line = ["run", "--env", "LLMDuelPool-v0", "--agent", "online", "--seeds", "1", "--labels", str(labels)]
    line += ["--workers", "1", "--batch", "4", "--out", str(out)]
    return [*line, "--set", f"env.oracle={oracle}", "--set", f"env.task={task_file}"]


def test_run_says_what_it_will_ask_and_what_is_finished_is_not_asked_again(
    oracle: str, task_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = line_of(oracle, task_file, tmp_path / "out", 8)
    assert call(*line) == 0
    said = capsys.readouterr().err
    assert "at most 16 questions for duels and 8 for judging." in said
    assert len((tmp_path / "mine.log").read_text().splitlines()) <= 24
    assert call(*line) == 0
    assert "questions for duels" not in capsys.readouterr().err


def test_sweep_says_it_too_before_and_in_a_dry_run(
    oracle: str, task_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sweep.py"
    file.write_text(SWEEP.format(task=task_file, oracle=oracle))
    expected = "at most 32 questions for duels and 16 for judging."
    assert call("sweep", str(file), "--dry-run", "--out", str(tmp_path / "out")) == 0
    assert expected in capsys.readouterr().out and not (tmp_path / "mine.log").exists()
    assert call("sweep", str(file), "--engine", "inline", "--out", str(tmp_path / "out")) == 0
    assert expected in capsys.readouterr().err


def test_an_oracle_that_is_free_needs_no_word(
    task_file: str, oracles: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*line_of(f"{oracles}:Worth", task_file, tmp_path / "out", 8)) == 0
    assert "questions for duels" not in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals on this system")
def test_at_a_terminal_many_questions_are_asked_about(oracle: str, task_file: str, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    line = line_of(oracle, task_file, tmp_path / "out", 100_000)
    process = subprocess.Popen(
        [sys.executable, "-m", "duelbench", *line], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    said = b""
    while b"Go on?" not in said:
        said += os.read(ours, 4096)
    assert b"at most 200,000 questions for duels and 100,000 for judging." in said
    os.write(ours, b"n\n")
    process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 1
    assert not (tmp_path / "out").exists() and not (tmp_path / "mine.log").exists()


def test_who_agrees_beforehand_is_not_asked(
    oracle: str, task_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[object] = []

    def no(text: str, **kwargs: object) -> bool:
        questions.append(text)
        return False

    monkeypatch.setattr("duelbench.runs.judging.forecast.MANY", 1)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("duelbench.cli.judging.Confirm.ask", no)
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    line = line_of(oracle, task_file, tmp_path / "out", 8)
    assert call(*line) == 1 and questions == ["Go on?"]
    assert not (tmp_path / "mine.log").exists()
    assert call(*line, "--yes") == 0 and len(questions) == 1
