"""Checkpoints: what goes in comes out, bit for bit, or the one before it does."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from duelbench.records import checkpoint
from duelbench.records.checkpoint import load_checkpoint, save_checkpoint


def same(one: Any, two: Any) -> bool:
    """Equality of type, dtype, shape and every bit; a tuple may come back as a list."""
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and one.dtype == two.dtype and same(one.numpy(), two.numpy())
    if isinstance(one, np.ndarray):
        return (
            isinstance(two, np.ndarray)
            and (one.dtype, one.shape) == (two.dtype, two.shape)
            and one.tobytes() == two.tobytes()
        )
    if isinstance(one, dict):
        return isinstance(two, dict) and list(one) == list(two) and all(same(one[k], two[k]) for k in one)
    if isinstance(one, list | tuple):
        return isinstance(two, list) and len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and repr(one) == repr(two)


STATE = {
    "rng": np.random.default_rng(3).bit_generator.state,
    "big": 2**127 + 1,
    "float": 0.1 + 0.2,
    "special": [float("nan"), float("inf"), -float("inf"), -0.0, 5e-324],
    "none": None,
    "flags": (True, False),
    "text": "naïve 🙂\n",
    "empty": {"dict": {}, "list": []},
    "steps": torch.tensor(7.0),
    "weights": {"0": torch.randn(3, 4, generator=torch.manual_seed(0)), "1": torch.arange(6).reshape(2, 3)},
    "turned": torch.arange(6.0).reshape(2, 3).T,
    "mask": torch.tensor([True, False]),
    "nothing": torch.empty(0, 5),
    "arrays": [np.arange(5, dtype=np.int64), np.array([np.nan, -0.0]), np.empty((0, 4), np.float32)],
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "scalar array": np.array(2.5),
    "bool array": np.array([True, False]),
    "a/b": torch.ones(2),
    "a": {"b": torch.zeros(2)},
}


def test_a_nested_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", STATE)
    loaded = load_checkpoint(tmp_path / "checkpoint")
    assert loaded is not None
    for key in STATE:
        assert same(STATE[key], loaded[key]), key
    assert list(loaded) == list(STATE)


def test_numpy_scalars_come_back_as_numbers(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", {"a": np.float64(0.1), "b": np.int64(3), "c": np.bool_(True)})
    assert same(load_checkpoint(tmp_path / "c"), {"a": 0.1, "b": 3, "c": True})


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(-100, 100), max_size=3).map(lambda v: np.array(v, np.int32)),
    st.lists(st.floats(width=32), max_size=3).map(torch.tensor),
)
keys = st.text("ab/.0", max_size=3)
trees = st.dictionaries(
    keys,
    st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)),
    max_size=4,
)


@settings(max_examples=40)
@given(trees)
def test_any_nesting_comes_back(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any]) -> None:
    folder = tmp_path_factory.mktemp("any") / "c"
    save_checkpoint(folder, tree)
    assert same(tree, load_checkpoint(folder))
    shutil.rmtree(folder.parent)


def test_a_newer_checkpoint_replaces_the_older_and_leaves_no_scraps(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    assert load_checkpoint(folder) is None
    for k in range(3):
        save_checkpoint(folder, {"k": k, "array": np.full(k, k)})
        assert same(load_checkpoint(folder), {"k": k, "array": np.full(k, k)})
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from duelbench.records.checkpoint import save_checkpoint
from duelbench.errors import explain
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit is then an error
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_checkpoint(Path(sys.argv[1]), {"k": 1, "weights": np.ones(100_000)})
except OSError as error:
    print(explain(error))
"""


def test_a_checkpoint_that_cannot_be_written_is_one_clear_line_and_the_old_one_stays(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", {"k": 0})
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "checkpoint")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith("The run could not write its records: [Errno 27] File too large") and said.count("\n") == 1
    assert load_checkpoint(tmp_path / "checkpoint") == {"k": 0}
    assert not list(tmp_path.rglob("*.safetensors.*")) and len(list(tmp_path.rglob("*.safetensors"))) == 1


class Killed(BaseException):
    """Stands for SIGKILL: no cleanup runs in the library."""


@pytest.mark.parametrize("moment", range(7))
def test_a_kill_at_any_step_of_saving_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    folder, calls = tmp_path / "checkpoint", 0
    save_checkpoint(folder, {"k": 0, "array": np.zeros(2)})

    def dying(function: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            if calls == moment:
                raise Killed
            calls += 1
            return function(*args, **kwargs)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying(os.replace))
        patch.setattr(shutil, "rmtree", dying(shutil.rmtree))
        patch.setattr(checkpoint, "save_file", dying(checkpoint.save_file))
        patch.setattr(checkpoint, "write_atomic", dying(checkpoint.write_atomic))
        try:
            save_checkpoint(folder, {"k": 1, "array": np.ones(2)})
        except Killed:
            assert calls == moment
    loaded = load_checkpoint(folder)
    assert loaded is not None and loaded["k"] in (0, 1)
    assert np.array_equal(loaded["array"], np.full(2, float(loaded["k"])))
    save_checkpoint(folder, {"k": 2})
    assert load_checkpoint(folder) == {"k": 2}


def test_a_kill_between_the_two_renames_brings_the_old_one_back(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    save_checkpoint(folder, {"k": 0})
    folder.rename(folder.with_suffix(".old"))
    assert load_checkpoint(folder) == {"k": 0}
    assert load_checkpoint(folder) == {"k": 0}


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", {"k": 0})
    file = tmp_path / "c" / "state.json"
    file.write_text(file.read_text().replace('"schema": 1', '"schema": 99'))
    with pytest.raises(RuntimeError, match="checkpoint schema 99"):
        load_checkpoint(tmp_path / "c")


def test_nothing_is_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("pickle was used")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    save_checkpoint(tmp_path / "c", {"tensor": torch.ones(2), "array": np.ones(2)})
    load_checkpoint(tmp_path / "c")
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["arrays.safetensors", "state.json"]


def test_what_cannot_be_kept_is_an_error_and_keeps_the_old(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "c", {"k": 0})
    for bad in (object(), {1, 2}, np.array([object()])):
        with pytest.raises(Exception):  # noqa: B017  the type is that of json or safetensors
            save_checkpoint(tmp_path / "c", {"bad": bad})
    assert load_checkpoint(tmp_path / "c") == {"k": 0}
