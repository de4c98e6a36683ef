"""The preference dataset holds the journals' decided duels, no more and no less."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from duelbench.records.record import load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.results.exports.preferences import Preferences, collect, write
from duelbench.runs.arms_loop import run_lockstep
from duelbench.runs.policy_loop import run
from duelbench.types import Verdict


@pytest.fixture(scope="module")
def folder(task_file: str, oracles: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of real duels, in which some answers are then made ties, failures and duels of one response."""
    out = tmp_path_factory.mktemp("out")
    kwargs = {"task": task_file, "oracle": f"{oracles}:Worth"}
    for seed in (0, 1):
        run(RunSpec("LLMDuelPool-v0", "online", seed, 64, judging=Judging(every=64), env_kwargs=kwargs), out)
    first = sorted(out.glob("runs/*/journal.sqlite"))[0]
    changes = [
        ("verdict = ?", int(Verdict.TIE), (3, 4)),
        ("verdict = ?, probability = NULL", int(Verdict.INVALID), (5,)),
        ("second = first, verdict = ?", int(Verdict.FIRST), (6,)),
        ("probability = ?", None, (7,)),
    ]
    db = sqlite3.connect(first)
    for change, value, duels in changes:
        for duel in duels:
            db.execute(f"UPDATE answers SET {change} WHERE duel = ?", (value, duel))
    db.commit()
    db.close()
    return out


def journaled(folder: Path) -> list[tuple[Any, ...]]:
    """(run, duel, prompt, first, second, probability, verdict) as SQLite has them."""
    rows = []
    for path in sorted(folder.glob("runs/*/journal.sqlite")):
        db = sqlite3.connect(path)
        rows += db.execute(
            "SELECT run, duel, prompt, first, second, probability, verdict FROM answers ORDER BY duel"
        ).fetchall()
        db.close()
    return rows


def by_hand(folder: Path) -> list[dict[str, Any]]:
    rows = []
    for run_id, duel, prompt, first, second, p, verdict in journaled(folder):
        if verdict in (0, 1) and first != second:
            chosen, rejected = (first, second) if verdict == 1 else (second, first)
            p = p if p is None or verdict == 1 else 1 - p
            row = {"prompt": prompt, "chosen": chosen, "rejected": rejected, "duel": duel, "probability": p}
            rows.append(row | {"run": run_id})
    return rows


def collected(folder: Path, **options: Any) -> Preferences:
    return collect(folder, load_runs(folder), **options)


def test_rows_are_the_decided_duels_and_the_rest_is_counted(folder: Path) -> None:
    found = collected(folder, plain=True)
    expected = by_hand(folder)
    assert [{name: row[name] for name in expected[0]} for row in found.rows] == expected
    verdicts = [(row[6], row[3] == row[4]) for row in journaled(folder)]
    assert found.ties == sum(verdict == Verdict.TIE for verdict, _ in verdicts) >= 2
    assert found.invalid == 1 and found.identical == 1 and found.runs == 2
    assert len(found.rows) + found.ties + found.invalid + found.identical == 128
    assert sum(row["probability"] is None for row in found.rows) == 1
    seeds = {row["run"]: row["seed"] for row in found.rows}
    assert sorted(seeds.values()) == [0, 1] and {row["agent"] for row in found.rows} == {"online"}
    assert f"{len(found.rows)} preferences of 2 runs; left out: {found.ties} ties, 1 invalid" in str(found)


def test_prompts_are_requests_so_the_usual_form_is_a_chat(folder: Path) -> None:
    for chat, plain in zip(collected(folder).rows, collected(folder, plain=True).rows, strict=True):
        assert chat["prompt"] == [{"role": "user", "content": plain["prompt"]}]
        for side in ("chosen", "rejected"):
            assert chat[side] == [{"role": "assistant", "content": plain[side]}]


@pytest.mark.parametrize("plain", [False, True])
def test_datasets_reads_what_was_written(plain: bool, folder: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    found = collected(folder, plain=plain)
    path = write(found, tmp_path / "out")
    read = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert read.to_list() == found.rows
    content = path.read_bytes()
    assert write(collected(folder, plain=plain), tmp_path / "out").read_bytes() == content  # again: the same file


def test_arms_have_no_texts(folder: Path, tmp_path: Path) -> None:
    spec = RunSpec("MatrixDuel-v0", "rucb", 5, 40, batch=1, env_kwargs={"matrix": "bt10"}, lockstep=3)
    run_lockstep(spec, tmp_path)
    with pytest.raises(ValueError, match="its runs duel arms, which have no texts; expected runs of LLMDuel-v0"):
        collected(tmp_path)
    mixed = collect(folder, load_runs(folder) + load_runs(tmp_path))
    assert mixed.rows == collected(folder).rows and mixed.no_texts == 3
