"""Odd files: each is read right, or refused with the file and the line."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from duelbench.envs.text.tasks import Task, load_task

WHOLE = {"heldout": 0}
ANSWERS = {**WHOLE, "reference": "answer"}


def written(tmp_path: Path, name: str, content: str | bytes) -> str:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(tmp_path / name)


def rows(task: Task) -> dict[str, list[str]]:
    return dict(zip(task.prompts, task.references.tolist(), strict=True))


LINES = "".join(json.dumps({"prompt": prompt, "answer": answer}) + "\n" for prompt, answer in (("é", "a"), ("b", "ß")))
CELLS = 'prompt,answer\né,a\nb,"ß"\n'
READ = {"é": ["a"], "b": ["ß"]}


@pytest.mark.parametrize(("name", "text"), [("t.jsonl", LINES), ("t.csv", CELLS), ("T.CSV", CELLS), ("t.JSONL", LINES)])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-8 crlf", "utf-8 blank lines"])
def test_unicode_files_of_any_kind_are_read(name: str, text: str, encoding: str, tmp_path: Path) -> None:
    encoding, _, lines = encoding.partition(" ")
    text = text.replace("\n", {"crlf": "\r\n", "blank lines": "\n\n"}.get(lines, "\n"))
    assert rows(load_task(written(tmp_path, name, text.encode(encoding)), ANSWERS)) == READ


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_are_told_by_the_header(delimiter: str, tmp_path: Path) -> None:
    text = CELLS.replace(",", delimiter).replace("é", "é, or e")
    assert rows(load_task(written(tmp_path, "t.csv", text), ANSWERS)) == {"é, or e": ["a"], "b": ["ß"]}
    tabs = CELLS.replace(",", "\t")
    assert rows(load_task(written(tmp_path, "t.tsv", tabs), ANSWERS)) == READ


def test_a_cell_may_be_long_and_hold_lines(tmp_path: Path) -> None:
    limit, prompt = csv.field_size_limit(), "long\n" * 30_000
    task = load_task(written(tmp_path, "t.csv", f'prompt,answer\n"{prompt}",a\n'), ANSWERS)
    assert rows(task) == {prompt: ["a"]} and csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", "prompt,answer\na,b\nWrite a line, and more,Good\n", r"t\.csv:3: 3 cells where the header has 2"),
        ("t.csv", 'prompt,answer\n"two\nlines",b\nc\n', r"t\.csv:4: 1 cells where the header has 2"),
        ("t.csv", 'prompt,answer\na,"never closed\nb,c\n', r"t\.csv:2: unexpected end of data"),
        ("t.csv", 'prompt,answer\na,"b" c\n', r"t\.csv:2: .*expected after"),
        ("t.csv", "prompt,answer\na,b\nc,É\n".encode("latin-1"), r"t\.csv:3: byte 0xc9 is no UTF-8: save the file as"),
        ("t.jsonl", LINES.encode() + b'{"prompt": "\xe9"}', r"t\.jsonl:3: byte 0xe9 is no UTF-8"),
        (
            "t.csv",
            "prompt,answer\na,b\n".encode("utf-16-le"),
            r"t\.csv:1: NUL characters, as of UTF-16",
        ),
        ("t.csv", "prompt,answer,answer\na,b,c\n", r"t\.csv has 2 columns 'answer'"),
        ("t.csv", "", r"t\.csv is empty"),
        ("t.jsonl", "\n \n", r"t\.jsonl is empty"),
        ("t.jsonl", '{"prompt": "a", "answer": "b"}\n{"prompt": "c"}\n', r"t\.jsonl:2 has no column 'answer'"),
        ("t.jsonl", '[{"prompt": "a", "answer": "b"}]\n', r"t\.jsonl:1: expected one JSON object per line"),
        ("t.jsonl", "[" * 100_000, r"t\.jsonl:1: expected one JSON object per line"),
        ("t.json", "[]", r"t\.json: expected a file that ends in \.npz, \.jsonl, \.csv, .*got '\.json'"),
        ("t.csv.gz", "", r"expected a file that ends in .*got '\.gz'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(
    name: str, content: str | bytes, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        load_task(written(tmp_path, name, content), ANSWERS)


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"prompt": [f"prompt {i}" for i in range(500)]}), path, compression="snappy")
    content = bytearray(path.read_bytes())
    for damaged in (content[: len(content) // 2], content[:40] + os.urandom(400) + content[440:], b""):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"t\.parquet is no Parquet file, or a damaged one: "):
            load_task(str(path), WHOLE)


def test_a_folder_may_have_brackets_in_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    for number in (1, 2):
        folder = tmp_path / f"ds [v{number}] *é" / "data"
        folder.mkdir(parents=True)
        written(folder, "train-00000-of-00001.jsonl", f'{{"prompt": "of {number}", "answer": "a"}}\n')
    for number in (1, 2):
        assert rows(load_task(str(tmp_path / f"ds [v{number}] *é"), ANSWERS)) == {f"of {number}": ["a"]}


# ---- prompts that are left out, and rows that say their split themselves


def test_what_is_left_out_is_counted_in_the_card(tmp_path: Path) -> None:
    prompts = ["a", "b", "a", "", "  ", "c", "b", "too long"]
    lines = "".join(json.dumps({"prompt": prompt, "answer": "x"}) + "\n" for prompt in prompts)
    task = load_task(written(tmp_path, "t.jsonl", lines), {**ANSWERS, "longest": 3})
    assert sorted(task.prompts) == ["a", "b", "c"]
    assert task.card["left_out"] == {"repeated": 2, "blank": 2, "longer": 1}


def test_of_few_prompts_one_is_held_out(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"prompt": prompt, "answer": "x"}) + "\n" for prompt in "abc")
    task = load_task(written(tmp_path, "t.jsonl", lines), {"reference": "answer"})
    assert (task.n_duel, len(task.heldout_ids)) == (2, 1)


def native(*prompts: tuple[str, str]) -> str:
    return "".join(
        json.dumps({"prompt": prompt, "references": ["x", "y"], "split": split}) + "\n" for prompt, split in prompts
    )


def test_lines_that_say_their_split_can_be_cut(tmp_path: Path) -> None:
    name = written(tmp_path, "t.jsonl", native(("a", "train"), ("b", "heldout"), ("c", "train"), ("d", "heldout")))
    task = load_task(name, {"limit": 1, "heldout": 1})
    assert task.prompts == ("a", "b") and task.n_duel == 1 and task.references.tolist() == [["x", "y"]] * 2
    assert load_task(name).prompts == ("a", "c", "b", "d")


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_a_prompt_that_comes_twice_names_both_lines(split: str, tmp_path: Path) -> None:
    name = written(tmp_path, "t.jsonl", native(("a", "train"), ("b", "heldout"), ("a", split)))
    with pytest.raises(ValueError, match=r"t\.jsonl:3: the prompt 'a' is that of .*t\.jsonl:1 too: remove one"):
        load_task(name)


def test_lines_of_prompts_alone_are_a_bare_set(tmp_path: Path) -> None:
    name = written(tmp_path, "t.jsonl", "".join(json.dumps({"prompt": f"p{i}"}) + "\n" for i in range(20)))
    task = load_task(name)
    assert (task.n_duel, task.references.shape) == (18, (20, 0))


def test_a_folder_that_changed_is_read_anew(tmp_path: Path) -> None:
    for text in ("one", "two"):
        name = written(tmp_path, "t.csv", f"prompt,answer\np,{text}\n")
        assert rows(load_task(name, ANSWERS)) == {"p": [text]}
