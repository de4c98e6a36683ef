"""``duelbench sweep`` as a user meets it, and the engines against each other."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from journals import journal_of

from duelbench.cli.main import main
from duelbench.records.answers.entries import Answer
from duelbench.records.record import load_runs
from duelbench.records.spec import RunSpec
from duelbench.runs.engines import make_engine
from duelbench.runs.execute import execute
from duelbench.runs.recording.run_folder import RunFolder
from duelbench.study.sweep_files import load_sweep

TEN_LINES = """
from duelbench.study.sweep import AgentSetting, EnvSetting, Sweep

sweep = Sweep(
    title="Small and quick",
    envs=[EnvSetting("LLMDuelPool-v0", options={{"task": {task!r}, "oracle": {oracle!r}{more}}})],
    agents=["online", AgentSetting("sea", {{"candidates": 4, "posterior.samples": 8}})],
    seeds={seeds},
    labels=64,
)
"""


@pytest.fixture
def file(tmp_path: Path, task_file: str, oracles: str) -> Path:
    path = tmp_path / "small.py"
    path.write_text(TEN_LINES.format(task=task_file, oracle=f"{oracles}:Worth", more="", seeds=2))
    return path


def call(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["sweep", *argv])
    return ended.value.code  # type: ignore[return-value]


def contents(out: Path) -> dict[str, tuple[bytes, bytes, list[Answer]]]:
    """What every run measured, said and bought, by its folder."""
    found = {}
    for folder in sorted((out / "runs").iterdir()):
        journal = journal_of(folder)
        found[folder.name] = (
            (folder / "metrics.jsonl").read_bytes(),
            (folder / "samples.json").read_bytes(),
            journal.answers(),
        )
        journal.close()
    return found


def test_a_sweep_is_forecast_tried_played_and_then_left_alone(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    plain = (str(file), "--out", str(out), "--engine", "inline")
    assert call(*plain, "--dry-run") == 0
    assert "not measured yet" in capsys.readouterr().out and not out.exists()
    assert call(*plain, "--only", "smoke") == 0
    assert len(load_runs(out)) == 2
    assert call(*plain, "--dry-run") == 0
    forecast = capsys.readouterr().out
    assert "about" in forecast and "?" not in forecast
    assert call(*plain, "--json") == 0
    said = capsys.readouterr()
    assert "4 of 4 runs finished, 2 of them played now" in said.err
    assert set(json.loads(said.out)["agents"]) == {"online", "sea"}
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert call(*plain) == 0
    assert "0 of them played now" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert call(*plain, "--only", "onlin") == 2
    assert "did you mean 'online'" in capsys.readouterr().err


def test_a_failed_run_is_seen_stops_no_other_and_is_played_again_only_when_asked(
    tmp_path: Path, task_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    oracle, out = tmp_path / "shaky.py", tmp_path / "out"
    oracle.write_text(SHAKY)
    file = tmp_path / "small.py"
    file.write_text(TEN_LINES.format(task=task_file, oracle=f"{oracle}:Shaky", more="", seeds=2))
    assert call(str(file), "--out", str(out), "--engine", "inline") == 1
    said = capsys.readouterr().err
    assert "the judge tripped" in said and "1 failed" in said and "--retry-failed" in said
    assert "the judge tripped" in (out / "report.html").read_text()
    assert [run.finished for run in load_runs(out)].count(False) == 1
    assert call(str(file), "--out", str(out), "--engine", "inline") == 1  # still failed, and not tried again
    assert "0 of them played now" in capsys.readouterr().err
    assert call(str(file), "--out", str(out), "--engine", "inline", "--retry-failed") == 0
    assert all(run.finished and run.error is None for run in load_runs(out))


@pytest.mark.slow
def test_engines_write_the_same_records_and_a_killed_worker_loses_nothing(tmp_path: Path, task_file: str) -> None:
    oracle, log = tmp_path / "mortal.py", tmp_path / "log"
    oracle.write_text(MORTAL)
    more = f', "oracle_kwargs": {{"log": {str(log)!r}}}'
    file = tmp_path / "small.py"
    file.write_text(TEN_LINES.format(task=task_file, oracle=f"{oracle}:Mortal", more=more, seeds=2))
    specs = [run.spec for run in load_sweep(str(file))[1].plan("small").runs]
    (tmp_path / "log.died").touch()
    inline = execute(specs, tmp_path / "inline", engine=make_engine("inline"))
    asked = len(log.read_text().splitlines())
    log.unlink()
    (tmp_path / "log.died").unlink()
    several = execute(specs, tmp_path / "process", workers=2, engine=make_engine("process"))
    assert (tmp_path / "log.died").exists()
    assert not [outcome.error for outcome in (*inline, *several) if outcome.error]
    assert [outcome.spec for outcome in several] == specs
    assert contents(tmp_path / "process") == contents(tmp_path / "inline")
    assert all(len(answers) == 64 for _, _, answers in contents(tmp_path / "process").values())
    assert len(log.read_text().splitlines()) == asked  # it died before it answered: nothing was bought twice


@pytest.mark.slow
def test_a_run_that_takes_every_worker_with_it_is_given_up(tmp_path: Path, task_file: str) -> None:
    oracle = tmp_path / "deadly.py"
    oracle.write_text(DEADLY)
    spec = RunSpec("LLMDuelPool-v0", "online", 0, 32, env_kwargs={"task": task_file, "oracle": f"{oracle}:Deadly"})
    (outcome,) = execute([spec], tmp_path, workers=1, engine=make_engine("process"))
    assert outcome.error and "3 worker processes died" in outcome.error and "-9" in outcome.error
    assert RunFolder.at(tmp_path, spec).failed
    (run,) = load_runs(tmp_path)
    assert run.error == outcome.error


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path: Path, file: Path) -> None:
    """Otherwise they would eat both cores for nobody, and hold the locks of their runs."""
    from multiprocessing import get_context

    parent = get_context("spawn").Process(target=play_slowly, args=(str(file), tmp_path / "out"))
    parent.start()
    children = wait_for(lambda: _children(parent.pid), 60)
    os.kill(parent.pid or 0, signal.SIGKILL)
    parent.join()
    wait_for(lambda: all(not Path(f"/proc/{child}").exists() for child in children), 60)


def play_slowly(file: str, out: Path) -> None:
    specs = [run.spec for run in load_sweep(file)[1].plan("small").runs]
    execute(specs, out, workers=2, engine=make_engine("process"))


def _children(pid: int | None) -> list[int]:
    """Processes that were spawned by a process and are not its resource tracker."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(word) for word in path.read_text().split()] if path.exists() else []
    return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_for(condition: object, seconds: float) -> list[int]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():  # type: ignore[operator]
            return found  # type: ignore[no-any-return]
        time.sleep(0.02)
    raise AssertionError("it did not happen")


@pytest.fixture(autouse=True)
def _linux_only(request: pytest.FixtureRequest) -> Iterator[None]:
    if "parent_is_killed" in request.node.name and not sys.platform.startswith("linux"):
        pytest.skip("looks for child processes under /proc")
    yield


_WORTH = """
import os, signal
from pathlib import Path
import numpy as np
from scipy.special import expit

def worths(responses):
    return np.array([float(text.rpartition(" ")[2]) for text in responses])

class Worth:
    name = "worth"  # and knows no utilities, so that it is asked for every duel
    def preference(self, prompts, firsts, seconds):
        return expit(worths(firsts) - worths(seconds))
"""
SHAKY = (
    _WORTH
    + '''
class Shaky(Worth):
    """Trips once."""
    def preference(self, prompts, firsts, seconds):
        grave = Path(__file__).with_name("tripped")
        if not grave.exists():
            grave.touch()
            raise RuntimeError("the judge tripped")
        return super().preference(prompts, firsts, seconds)
'''
)
MORTAL = (
    _WORTH
    + '''
class Mortal(Worth):
    """Kills its process once, in the middle of a run; lists every call that it answered."""
    def __init__(self, log):
        self.log, self.grave = Path(log), Path(f"{log}.died")
    def preference(self, prompts, firsts, seconds):
        if self.log.exists() and len(self.log.read_text().splitlines()) == 3 and not self.grave.exists():
            self.grave.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with self.log.open("a") as file:
            file.write("asked\\n")
        return super().preference(prompts, firsts, seconds)
'''
)
DEADLY = (
    _WORTH
    + """
class Deadly(Worth):
    def preference(self, prompts, firsts, seconds):
        os.kill(os.getpid(), signal.SIGKILL)
"""
)
