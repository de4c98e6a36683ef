"""Ready pairs: each asked once a person, whatever the table says twice; labels, preferences and a report come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from labelling import served

from duelbench.cli.label import LabelCommand, label
from duelbench.errors import UsageError
from duelbench.label.ready_pairs import ReadyPairs, read_pairs

TABLE = """prompt,first,second
Name a colour.,Red.,The colour of the sky.
Say hello.,Hi.,Hello there!
Say hello.,Hello there!,Hi.
Say hello.,Hi.,Good morning.
Say bye.,Bye.,Bye.
Say hello.,Hi.,Hello there!
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_each_pair_is_asked_once(table: Path) -> None:
    assert [(pair.prompt, pair.first, pair.second) for pair in read_pairs(table)] == [
        ("Name a colour.", "Red.", "The colour of the sky."),
        ("Say hello.", "Hi.", "Hello there!"),
        ("Say hello.", "Hi.", "Good morning."),
    ]


def test_labels_outlive_a_kill_and_are_written_in_the_order_of_the_table(table: Path, tmp_path: Path) -> None:
    pairs, out = read_pairs(table), tmp_path / "out"
    asked = ReadyPairs(pairs, out, annotators=2)
    for who in ("ann", "bob"):
        duels = asked.ask(2, annotator=who)
        for duel in duels:
            shorter = "first" if len(duel.first) < len(duel.second) else "second"
            asked.tell(duel.id, shorter if who == "ann" or "colour" in duel.prompt else "both_bad", seconds=2.0)
    del asked  # as if it had been killed: nothing was written but the journal
    asked = ReadyPairs(pairs, out, annotators=2)
    assert asked.state == "asking" and asked.status()["answered"] == 2
    for who in ("ann", "bob"):
        (duel,) = asked.ask(5, annotator=who)
        asked.tell(duel.id, "tie")
    assert asked.complete and not asked.finished
    assert asked.undo("bob") == duel and not asked.complete
    asked.tell(duel.id, "tie")
    assert asked.ask(1, annotator="ann") == [] and asked.finished
    asked.close()
    assert [(row["verdict"], row["votes"]) for row in rows(asked.labels)] == [
        ("first", {"first": 2}),
        ("first", {"first": 1, "both_bad": 1}),
        ("tie", {"tie": 2}),
    ]
    assert rows(asked.preferences)[0]["chosen"] == [{"role": "assistant", "content": "Red."}]
    assert len(rows(asked.preferences)) == 2
    page = asked.report.read_text("utf-8")
    assert "3 of 3 pairs have their label" in page and "ann" in page and "bob" in page


def test_a_page_serves_them(table: Path, tmp_path: Path) -> None:
    with served(lambda: ReadyPairs(read_pairs(table), tmp_path / "out")) as (client, asked):
        seen = set()
        while (duel := client.next("robot"))["id"]:
            seen.add((duel["prompt"], frozenset([duel["first"], duel["second"]])))
            assert client.answer(duel["id"], "robot")[0] == 200
    assert duel["state"] == "done" and len(seen) == 3 == len(rows(asked.labels))


def test_other_pairs_in_the_same_folder_are_other_labels(table: Path, tmp_path: Path) -> None:
    pairs = read_pairs(table)
    for some in (pairs, pairs[:2]):
        with ReadyPairs(some, tmp_path / "out") as asked:
            assert asked.desk.answered == 0
            for duel in asked.ask(5):
                asked.tell(duel.id, "first")
            assert asked.desk.answered == len(some)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "prompt,first\np,a\n", "a.csv: expected the columns prompt, first and second"),
        ("a.csv", "question,first,second\np,a,b\n", r"got \['question', 'first', 'second'\]"),
        ("a.csv", "prompt,first,second\np,a,a\n", "no two different responses"),
        ("a.txt", "", "expected a table of pairs"),
        ("a.jsonl", '{"prompt": "p", "first": 3, "second": "b"}\n', "a.jsonl:1"),
    ],
)
def test_tables_that_hold_no_pairs_are_named(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        read_pairs(tmp_path / name)


def test_the_command_says_what_does_not_go_together(table: Path) -> None:
    with pytest.raises(UsageError, match="leave out --agent, --judge-oracle"):
        label(LabelCommand(pairs=table, agent="online", judge_oracle="reader"), "")
    with pytest.raises(UsageError, match=r"--task questions\.csv for prompts, --pairs"):
        label(LabelCommand(), "")
