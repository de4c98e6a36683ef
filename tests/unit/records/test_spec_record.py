"""What a run is (its specification and id) and what it leaves on disk."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelbench.records.files import write_atomic
from duelbench.records.record import SCHEMA_VERSION, RecordError, Run, load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.recording.run_folder import RunFolder

SPEC = RunSpec("LLMDuelPool-v0", "sea", 3, 96, env_kwargs={"oracle": "reader", "flip": 0.1}, learner={"beta": 0.1})


def test_equal_specifications_are_the_same_run_whatever_the_order_of_their_keys() -> None:
    turned = dataclasses.replace(SPEC, env_kwargs={"flip": 0.1, "oracle": "reader"})
    assert turned.run_id == SPEC.run_id
    assert RunSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


CHANGES: dict[str, Any] = {
    "env": "LLMDuel-v0",
    "agent": "sea-ee",
    "seed": 4,
    "labels": 97,
    "batch": 31,
    "judging": Judging(every=65, repeats=3),
    "env_kwargs": {"oracle": "reader", "flip": 0.2},
    "agent_options": {"candidates": 8},
    "learner": {"beta": 0.2},
    "policy": {"hidden": 8},
    "threads": 2,
    "lockstep": 20,
    "resolved": {"agent": {"candidates": 3}},
    "content": {"agent": "0123"},
    "old_id": "0123456789ab",
}


def test_every_field_changes_the_run_id() -> None:
    assert set(CHANGES) == {field.name for field in dataclasses.fields(RunSpec)} - {"task"}
    ids = {dataclasses.replace(SPEC, **{name: value}).run_id for name, value in CHANGES.items()}
    assert len(ids | {SPEC.run_id}) == len(CHANGES) + 1


def test_the_name_of_a_suites_task_is_kept_and_decides_nothing() -> None:
    named = dataclasses.replace(SPEC, task="basic")
    assert named.run_id == SPEC.run_id and RunSpec.from_json(named.to_json()) == named
    assert "task" not in SPEC.to_json()


def test_a_resolved_specification_goes_by_what_was_resolved_and_not_by_what_was_asked() -> None:
    resolved = dataclasses.replace(SPEC, resolved={"agent": {"candidates": 16}}, content={"agent": "ab"})
    for name in ("env_kwargs", "agent_options", "learner", "policy"):
        assert dataclasses.replace(resolved, **{name: {"x": 1}}).run_id == resolved.run_id
    moved = dataclasses.replace(resolved, agent="/elsewhere/mine.py:sea", env="mine:LLMDuelPool-v0")
    assert moved.run_id == resolved.run_id
    for change in ({"resolved": {"agent": {"candidates": 17}}}, {"content": {"agent": "ac"}}, {"seed": 4}):
        assert dataclasses.replace(resolved, **change).run_id != resolved.run_id


def test_a_run_of_an_older_version_keeps_the_id_it_had() -> None:
    old = {
        "env": "LLMDuelPool-v0",
        "agent": "sea",
        "seed": 3,
        "labels": 96,
        "batch": 32,
        "evaluate_every": 64,
        "evaluation_repeats": 2,
        "env_kwargs": {},
        "agent_options": {},
        "learner": {},
        "policy": {},
        "threads": 1,
        "version": 1,
    }
    read = RunSpec.from_json(old)
    assert read.run_id == read.asked_id == RunSpec("LLMDuelPool-v0", "sea", 3, 96).asked_id == "fd2a296d04cf"
    assert read.judging == Judging(every=64, repeats=2)
    assert RunSpec.from_json(read.to_json()).run_id == "fd2a296d04cf"


@pytest.mark.parametrize("name", ["labels", "batch", "threads"])
def test_counts_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        dataclasses.replace(SPEC, **{name: 0})


@pytest.mark.parametrize(
    ("agent", "label"),
    [
        ("sea", "sea"),
        ("my.package.agents:Mine", "Mine"),
        ("/some/where/file.py:Mine", "Mine"),
        ("C:/x.py:Mine", "Mine"),
    ],
)
def test_a_folder_is_one_level_deep_and_named_for_people(agent: str, label: str) -> None:
    spec = dataclasses.replace(SPEC, agent=agent, env="space/LLMDuel-v0")
    assert spec.agent_label == label
    assert "/" not in spec.folder_name
    assert spec.folder_name.endswith(f"LLMDuel-v0-{label}-3-{spec.run_id}")


@settings(max_examples=25)
@given(st.text(), st.text())
def test_write_atomic_replaces_the_whole_file(tmp_path_factory: pytest.TempPathFactory, old: str, new: str) -> None:
    path = tmp_path_factory.getbasetemp() / "file.txt"
    for text in (old, new):
        write_atomic(path, text)
        assert path.read_bytes().decode() == text
        assert not list(path.parent.glob(".file*"))


def test_write_atomic_takes_bytes_and_makes_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "picture.png"
    write_atomic(path, b"\x89PNG\r\n")
    assert path.read_bytes() == b"\x89PNG\r\n"


def make_folder(out: Path, spec: RunSpec = SPEC, rows: int = 3) -> RunFolder:
    folder = RunFolder(out / "runs" / spec.folder_name, spec)
    folder.write_manifest("duelbench run", {"comparator": "the pool", "judge": "a reader"})
    for k in range(rows):
        folder.append({"labels": 32 * k, "offline_win_rate": 0.1 + 0.2 * k}, {"labels": 32 * k, "wall_seconds": 0.5})
    return folder


def only_run(out: Path) -> Run:
    (run,) = load_runs(out)
    return run


def test_what_a_run_wrote_is_what_is_loaded(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    unfinished = only_run(tmp_path)
    assert not unfinished.finished and unfinished.samples == [] and unfinished.error is None
    samples = [{"prompt": "naïve 🙂\u2028", "before": "a\nb", "after": ""}]
    folder.fail("Traceback …")
    assert only_run(tmp_path).error == "Traceback …"
    folder.finish(samples)
    run = only_run(tmp_path)
    assert run.finished and run.samples == samples and run.error is None and folder.finished
    assert run.run_id == SPEC.run_id
    assert run.spec == SPEC.to_json()
    assert [row["labels"] for row in run.rows] == [row["labels"] for row in run.timing] == [0, 32, 64]
    assert run.rows[1]["offline_win_rate"] == 0.1 + 0.2
    assert run.manifest["comparator"] == "the pool" and run.manifest["versions"]["numpy"]


def test_the_first_start_keeps_the_manifest(tmp_path: Path) -> None:
    make_folder(tmp_path).write_manifest("another command", {})
    assert only_run(tmp_path).manifest["command"] == "duelbench run"


@pytest.mark.parametrize("file", ["metrics.jsonl", "timing.jsonl"])
def test_a_line_torn_by_a_kill_is_left_out(tmp_path: Path, file: str) -> None:
    path = make_folder(tmp_path).path / file
    path.write_bytes(path.read_bytes()[:-5])
    run = only_run(tmp_path)
    assert [row["labels"] for row in run.rows] == [row["labels"] for row in run.timing] == [0, 32]


def test_a_torn_line_inside_the_file_is_not_hidden(tmp_path: Path) -> None:
    path = make_folder(tmp_path).path / "metrics.jsonl"
    path.write_text('{"labels": 0}\n{"lab\n{"labels": 64}\n')
    with pytest.raises(RecordError, match=r"metrics\.jsonl cannot be read: it is cut off or damaged"):
        load_runs(tmp_path)


@pytest.mark.parametrize("n", [0, 2, 3])
def test_rewind_keeps_the_first_rows_of_both_files(tmp_path: Path, n: int) -> None:
    folder = make_folder(tmp_path)
    before = {name: (folder.path / name).read_text().splitlines(True) for name in ("metrics.jsonl", "timing.jsonl")}
    folder.rewind(n)
    for name, lines in before.items():
        assert (folder.path / name).read_text() == "".join(lines[:n])
    folder.append({"labels": 7}, {"labels": 7})
    assert only_run(tmp_path).rows[-1] == {"labels": 7} and len(only_run(tmp_path).rows) == n + 1


def test_rewind_drops_a_torn_last_line(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write('{"labels": 9')
    folder.rewind(3)
    folder.append({"labels": 96}, {"labels": 96})
    assert [row["labels"] for row in only_run(tmp_path).rows] == [0, 32, 64, 96]


def test_runs_are_loaded_in_the_order_of_their_names(tmp_path: Path) -> None:
    for seed in (2, 0, 1):
        make_folder(tmp_path, dataclasses.replace(SPEC, seed=seed))
    assert [run.spec["seed"] for run in load_runs(tmp_path)] == [0, 1, 2]


def test_a_folder_without_runs_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no runs"):
        load_runs(tmp_path)


def test_an_agent_given_by_path_is_shown_by_its_class(tmp_path: Path) -> None:
    make_folder(tmp_path, dataclasses.replace(SPEC, agent="some/file.py:Mine"))
    assert only_run(tmp_path).spec["agent"] == "Mine"


def test_a_newer_record_is_refused(tmp_path: Path) -> None:
    path = make_folder(tmp_path).path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": SCHEMA_VERSION + 1}))
    with pytest.raises(RuntimeError, match=f"record schema {SCHEMA_VERSION + 1}"):
        load_runs(tmp_path)


@pytest.mark.parametrize(
    ("env", "agent", "role", "arms"),
    [
        ("MatrixDuel-v0", "uniform", "floor", True),
        ("MatrixDuel-v0", "oracle", "ceiling", True),
        ("LLMDuelPool-v0", "mine.py:Mine", "rival", False),
        ("duelbench:LLMDuel-v0", "sea", "rival", False),
    ],
)
def test_an_old_manifest_is_told_what_only_names_said_then(
    tmp_path: Path, env: str, agent: str, role: str, arms: bool
) -> None:
    folder = tmp_path / "runs" / "old"
    folder.mkdir(parents=True)
    spec = dataclasses.replace(SPEC, env=env, agent=agent)
    old = {"schema": 2, "run_id": spec.run_id, "spec": spec.to_json(), "machine": {}}
    (folder / "manifest.json").write_text(json.dumps(old))
    (run,) = load_runs(tmp_path)
    assert (run.role, run.arms) == (role, arms)
