"""Tasks come back as they were saved; bad files say where they are bad."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from duelbench.envs.text.tasks import Task, load_task, task_names
from duelbench.envs.text.tasks.task import FEATURE_BOUND


def test_a_packaged_task_is_whole() -> None:
    for name in task_names():
        task = load_task(name)
        n = len(task.prompts)
        assert 0 < task.n_duel < n and task.references.shape[0] == n
        assert len(set(task.prompts)) == n  # no held-out prompt is also a duel prompt
        assert task.heldout_ids.tolist() == list(range(task.n_duel, n))
        assert all(isinstance(text, str) for text in task.references.ravel())
        if task.features is not None:
            assert task.features.shape[:2] == task.references.shape and task.features.dtype == np.float32
            assert np.isfinite(task.features).all()
    assert "short-writing" in task_names()


@pytest.mark.parametrize("features", [True, False])
def test_npz_round_trip(tmp_path: Path, features: bool) -> None:
    rng = np.random.default_rng(0)
    task = Task(
        "naïve 🙂",
        ("one", "two\u2028", ""),
        2,
        np.array([["a\n", ""], ["\x00b", "ç"], ["d", "e"]], dtype=object),
        rng.integers(-127, 128, (3, 2, 4)).astype(np.float32) * np.float32(FEATURE_BOUND / 127) if features else None,
        rng.standard_normal((3, 2)).astype(np.float32) if features else None,
        {"reader": np.arange(6.0).reshape(3, 2) / 4} if features else {},
        {"made": [1, None]},
    )
    task.save(tmp_path / "task.npz")
    loaded = load_task(str(tmp_path / "task.npz"))
    for name in ("name", "prompts", "n_duel", "card"):
        assert getattr(loaded, name) == getattr(task, name)
    assert loaded.references.tolist() == task.references.tolist()
    for name in ("features", "lm_log_probs"):
        one, two = getattr(task, name), getattr(loaded, name)
        assert two is None if one is None else (np.array_equal(one, two) and one.dtype == two.dtype)
    assert loaded.utilities.keys() == task.utilities.keys()
    for name, utilities in task.utilities.items():
        assert np.array_equal(loaded.utilities[name], utilities) and loaded.utilities[name].dtype == np.float64


def features_task(features: NDArray[Any]) -> Task:
    return Task("t", ("p", "q"), 1, np.array([["a", "b"]] * 2, dtype=object), features)


def test_features_are_kept_to_half_a_step_and_never_wrap_round(tmp_path: Path) -> None:
    features = np.random.default_rng(0).uniform(-FEATURE_BOUND, FEATURE_BOUND, (2, 2, 50)).astype(np.float32)
    features[0, 0, :2] = -FEATURE_BOUND, FEATURE_BOUND
    features_task(features).save(tmp_path / "a.npz")
    loaded = load_task(str(tmp_path / "a.npz")).features
    assert loaded is not None and np.abs(loaded - features).max() <= 0.501 * FEATURE_BOUND / 127
    for bad in (1.01 * FEATURE_BOUND, np.nan):
        features[1, 1, 1] = bad
        with pytest.raises(ValueError, match="features must lie in"):
            features_task(features).save(tmp_path / "b.npz")


def lines(tmp_path: Path, *rows: Any, name: str = "task.jsonl") -> str:
    path = tmp_path / name
    text = "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return str(path)


GOOD = {"prompt": "one", "references": ["a", "b"]}
HELD = {"prompt": "held", "references": ["c", "d"], "split": "heldout"}


def test_jsonl_puts_held_out_prompts_last(tmp_path: Path) -> None:
    strange = {"prompt": "two\u2028lines\x85", "references": ["", "🙂"], "split": "train"}
    task = load_task(lines(tmp_path, GOOD, HELD, strange))
    assert task.prompts == ("one", "two\u2028lines\x85", "held")
    assert task.n_duel == 2 and task.heldout_ids.tolist() == [2]
    assert task.references.tolist() == [["a", "b"], ["", "🙂"], ["c", "d"]]
    assert task.features is None and task.name == "task"


@pytest.mark.parametrize(
    "bad",
    [
        "{not json",
        "[1, 2]",
        {"prompt": "x"},
        {"references": ["a", "b"]},
        {"prompt": "x", "references": "ab"},
        {"prompt": "x", "references": ["a", 3]},
        {"prompt": 7, "references": ["a", "b"]},
        {"prompt": "x", "references": ["a", "b"], "split": "test"},
    ],
)
def test_a_bad_line_is_named_by_file_and_number(tmp_path: Path, bad: Any) -> None:
    with pytest.raises(ValueError, match=r"task\.jsonl:2: expected (one JSON object|.*\"prompt\": str)"):
        load_task(lines(tmp_path, GOOD, bad, HELD))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([GOOD, {"prompt": "x", "references": ["a"]}, HELD], r"reference counts \[1, 2\]"),
        ([{"prompt": "x", "references": []}], r"reference counts \[0\]"),
        ([HELD], "at least one train prompt"),
        ([], r"task\.jsonl is empty"),
    ],
)
def test_a_task_needs_prompts_and_equally_many_references(tmp_path: Path, rows: list[Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_task(lines(tmp_path, *rows))


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'short-writing'"):
        load_task("short-writting")
    with pytest.raises(ValueError, match=r"unknown task 'nowhere\.npz': expected one of"):
        load_task("nowhere.npz")


def test_a_file_that_is_no_task_says_so(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "other.npz", a=np.ones(2))
    np.savez(tmp_path / "pickled.npz", header=np.array([{"schema": 1}], dtype=object))
    np.savez(tmp_path / "bare.npz", header=np.frombuffer(b'{"schema": 1}', np.uint8))
    for name in ("text", "other", "pickled", "bare"):
        with pytest.raises(ValueError, match=rf"{name}\.npz is not a task file"):
            load_task(str(tmp_path / f"{name}.npz"))


def test_a_newer_task_is_refused(tmp_path: Path) -> None:
    header = np.frombuffer(json.dumps({"schema": 99}).encode(), np.uint8)
    np.savez(tmp_path / "new.npz", header=header)
    with pytest.raises(ValueError, match="task schema 99"):
        load_task(str(tmp_path / "new.npz"))
