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
        for features in task.features.values():
            assert features.shape[:2] == task.references.shape and features.dtype == np.float32
            assert np.isfinite(features).all()
    assert "short-writing" in task_names()


def steps(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Features that a byte holds exactly."""
    drawn = np.random.default_rng(1).integers(-127, 128, shape)
    return drawn.astype(np.float32) * np.float32(FEATURE_BOUND / 127)


@pytest.mark.parametrize("features", [True, False])
def test_npz_round_trip(tmp_path: Path, features: bool) -> None:
    rng = np.random.default_rng(0)
    task = Task(
        "naïve 🙂",
        ("one", "two\u2028", ""),
        2,
        np.array([["a\n", ""], ["\x00b", "ç"], ["d", "e"]], dtype=object),
        {"lm": steps((3, 2, 4)), "my own": steps((3, 2, 1))} if features else {},
        rng.standard_normal((3, 2)).astype(np.float32) if features else None,
        {"reader": np.arange(6.0).reshape(3, 2) / 4} if features else {},
        {"made": [1, None]},
    )
    task.save(tmp_path / "task.npz")
    loaded = load_task(str(tmp_path / "task.npz"))
    for name in ("name", "prompts", "n_duel", "card"):
        assert getattr(loaded, name) == getattr(task, name)
    assert loaded.references.tolist() == task.references.tolist()
    one, two = task.lm_log_probs, loaded.lm_log_probs
    assert two is None if one is None else (np.array_equal(one, two) and one.dtype == two.dtype)
    assert loaded.features.keys() == task.features.keys()
    for name, array in task.features.items():
        assert np.array_equal(loaded.features[name], array) and loaded.features[name].dtype == np.float32
    assert loaded.content == task.content
    assert loaded.utilities.keys() == task.utilities.keys()
    for name, utilities in task.utilities.items():
        assert np.array_equal(loaded.utilities[name], utilities) and loaded.utilities[name].dtype == np.float64


def features_task(features: NDArray[Any]) -> Task:
    return Task("t", ("p", "q"), 1, np.array([["a", "b"]] * 2, dtype=object), {"mine": features})


def test_features_are_kept_to_half_a_step_and_never_wrap_round(tmp_path: Path) -> None:
    features = np.random.default_rng(0).uniform(-FEATURE_BOUND, FEATURE_BOUND, (2, 2, 50)).astype(np.float32)
    features[0, 0, :2] = -FEATURE_BOUND, FEATURE_BOUND
    features[1, :, 3] *= 20  # this component alone takes larger steps
    features_task(features).save(tmp_path / "a.npz")
    loaded = load_task(str(tmp_path / "a.npz"))
    largest = np.maximum(np.abs(features).max((0, 1)), FEATURE_BOUND)
    assert (np.abs(loaded.features["mine"] - features) <= 0.501 * largest / 127).all()
    loaded.save(tmp_path / "again.npz")
    np.testing.assert_allclose(load_task(str(tmp_path / "again.npz")).features["mine"], loaded.features["mine"], 1e-5)
    features[1, 1, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        features_task(features).save(tmp_path / "b.npz")


def test_a_file_of_schema_1_holds_its_language_models_features(tmp_path: Path) -> None:
    task = features_task(steps((2, 2, 5)))
    header = {"schema": 1, "name": "t", "n_duel": 1, "card": {}, "prompts": task.prompts}
    header["references"] = task.references.tolist()
    stored = np.round(task.features["mine"] * 127 / FEATURE_BOUND).astype(np.int8)
    packed = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(tmp_path / "old.npz", header=packed, features=stored)
    loaded = load_task(str(tmp_path / "old.npz"))
    assert list(loaded.features) == ["lm"]
    assert np.array_equal(loaded.features["lm"], task.features["mine"])


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
    assert task.features == {} and task.name == "task"


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
