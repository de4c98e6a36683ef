"""Disks that are full, folders that cannot be written to, clocks that jump, records of older versions."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from duelbench.errors import explain
from duelbench.records.answers.journal import RESERVE_BYTES
from duelbench.records.files import write_atomic
from duelbench.records.record import SCHEMA_VERSION, load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.engines.outcome import play_one
from duelbench.runs.policy_loop import run


def spec_of(task_file: str, oracles: str, log: Path | None = None, seed: int = 0) -> RunSpec:
    oracle = {"oracle": f"{oracles}:Judge", "oracle_kwargs": {"log": str(log)} if log else {}}
    return RunSpec(
        "LLMDuelPool-v0",
        "online",
        seed,
        96,
        batch=8,
        judging=Judging(every=32, repeats=1),
        env_kwargs={"task": task_file} | oracle,
    )


def tell(name: str, labels: int) -> None:
    pass


def test_on_a_full_disk_no_label_is_bought_and_later_the_run_goes_on(
    task_file: str, oracles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(task_file, oracles)
    whole = run(spec, tmp_path / "whole")
    usage, calls = shutil.disk_usage(tmp_path), 0

    def filling(path: object) -> object:
        nonlocal calls
        calls += 1
        return usage._replace(free=RESERVE_BYTES - 1 if calls > 6 else usage.free)

    with monkeypatch.context() as patch:
        patch.setattr("duelbench.records.answers.journal.shutil.disk_usage", filling)
        outcome = play_one(spec, tmp_path / "full", "", tell)
    assert outcome.error is not None and outcome.error.startswith("The run could not write its records")
    assert "no more labels are bought" in outcome.error and "\n" not in outcome.error
    folder = run(spec, tmp_path / "full")
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


LIMITED = """
import json, resource, signal, sys
from pathlib import Path
from duelbench.runs.engines.outcome import play_one
from duelbench.records.spec import RunSpec
spec, out, limit = RunSpec.from_json(json.loads(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit is then an error
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
print(play_one(spec, out, "", lambda name, labels: None).error)
"""


@pytest.mark.parametrize("limit", [2_000, 20_000, 60_000])
def test_a_write_that_fails_anywhere_leaves_a_folder_that_goes_on(
    limit: int, task_file: str, oracles: str, tmp_path: Path
) -> None:
    """Files that may not grow beyond a few kilobytes: manifest, journal and checkpoint fail one after the other."""
    spec = spec_of(task_file, oracles, seed=1)
    whole = run(spec, tmp_path / "whole")
    command = [sys.executable, "-c", LIMITED, json.dumps(spec.to_json()), str(tmp_path / "out"), str(limit)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("The run could not write its records"), said
    assert not list((tmp_path / "out").rglob("*.tmp"))
    folder = run(spec, tmp_path / "out")
    for name in ("metrics.jsonl", "samples.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A folder that this process may not write to, even if it runs as root."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o555)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    yield path
    os.seteuid(was)
    path.chmod(0o755)
    shutil.rmtree(path)


def test_a_read_only_folder_is_one_clear_line(read_only: Path, task_file: str, oracles: str) -> None:
    outcome = play_one(spec_of(task_file, oracles), read_only, "", tell)
    assert outcome.error is not None and "Permission denied" in outcome.error and "--out" in outcome.error
    assert "Traceback" not in outcome.error and not list(read_only.iterdir())


def test_a_file_in_the_way_of_the_folder_is_one_clear_line(tmp_path: Path, task_file: str, oracles: str) -> None:
    (tmp_path / "out").write_text("not a folder")
    outcome = play_one(spec_of(task_file, oracles), tmp_path / "out", "", tell)
    assert outcome.error is not None and "could not write" in outcome.error
    assert (tmp_path / "out").read_text() == "not a folder"


def test_a_clock_that_jumps_changes_no_record(
    task_file: str, oracles: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, now = spec_of(task_file, oracles), 2e9
    whole = run(spec, tmp_path / "whole")

    def jumping() -> float:
        nonlocal now
        now -= 86_400.0
        return now

    monkeypatch.setattr(time, "time", jumping)
    folder = run(spec, tmp_path / "out")
    assert (folder / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    seconds = [json.loads(line)["wall_seconds"] for line in (folder / "timing.jsonl").read_text().splitlines()]
    assert seconds == sorted(seconds) and seconds[0] >= 0


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomic(path, "new")
    assert path.read_text() == "old" and [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert "Make room" in explain(caught.value)


def test_a_record_of_the_first_schema_is_read_as_one_of_today(task_file: str, oracles: str, tmp_path: Path) -> None:
    folder = run(spec_of(task_file, oracles), tmp_path)
    (now,) = load_runs(tmp_path)
    assert now.manifest["schema"] == SCHEMA_VERSION and now.manifest["machine"]["system"]
    old = json.loads((folder / "manifest.json").read_text()) | {"schema": 1}
    del old["machine"]
    (folder / "manifest.json").write_text(json.dumps(old))
    (then,) = load_runs(tmp_path)
    assert then.manifest == now.manifest | {"machine": {}}
    assert (then.rows, then.timing, then.spec) == (now.rows, now.timing, now.spec)
