"""An oracle that costs something: nothing is asked twice, everything is counted once, and nothing grows in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from duelbench.records.answers.journal import Journal
from duelbench.records.answers.journaled_oracle import JournaledUtilityOracle


class Lengths:
    """Utility: the length of the response; NaN for those that begin with ``?`` while it is ``down``."""

    name = "lengths"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.down = False

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> np.ndarray:
        self.asked += firsts
        return np.full(len(prompts), 0.5)

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> np.ndarray:
        self.asked += responses
        return np.array([np.nan if self.down and r.startswith("?") else float(len(r)) for r in responses])


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite", "run")
    yield journal
    journal.close()


def test_a_text_is_scored_once_whoever_asks(journal: Journal) -> None:
    asked = Lengths()
    oracle = JournaledUtilityOracle(asked, journal)
    assert oracle.utilities(["p", "p", "q"], ["a", "a", "a"]).tolist() == [1.0, 1.0, 1.0]
    again = JournaledUtilityOracle(asked, journal)
    assert again.utilities(["q", "p"], ["a", "bb"]).tolist() == [1.0, 2.0]
    with again.judging():  # a comparison is another question than a utility of the same text
        again.preference(["p"], ["a"], ["bb"])
        again.preference(["p"], ["a"], ["bb"])
    assert asked.asked == ["a", "a", "bb", "a"]
    assert oracle.calls == {"duel": 2, "judging": 0} and again.calls == {"duel": 2, "judging": 1}


def test_after_a_kill_each_question_is_counted_once_more_where_the_checkpoint_does_not_know_it(
    journal: Journal,
) -> None:
    oracle = JournaledUtilityOracle(Lengths(), journal)
    oracle.utilities(["p"] * 3, ["a", "b", "c"])
    state = oracle.state_dict()
    oracle.utilities(["p"] * 2, ["d", "e"])
    resumed = JournaledUtilityOracle(Lengths(), journal)
    resumed.load_state_dict(state)
    assert resumed.calls["duel"] == 3
    resumed.utilities(["p"] * 3, ["a", "d", "d"])
    resumed.utilities(["p"] * 3, ["d", "e", "f"])
    resumed.utilities(["p"] * 2, ["e", "f"])
    assert resumed.calls == {"duel": 6, "judging": 0}
    assert resumed.oracle.asked == ["f"]  # type: ignore[attr-defined]


def test_questions_that_failed_are_asked_and_counted_again_once(journal: Journal) -> None:
    first = JournaledUtilityOracle(Lengths(), journal)
    first.oracle.down = True  # type: ignore[attr-defined]
    first.utilities(["p"] * 3, ["a", "?b", "?c"])
    resumed = JournaledUtilityOracle(Lengths(), journal)
    resumed.forget_failures()
    for _ in range(2):
        assert resumed.utilities(["p"] * 2, ["?b", "?c"]).tolist() == [2.0, 2.0]
    assert resumed.calls["duel"] == 2 and resumed.oracle.asked == ["?b", "?c"]  # type: ignore[attr-defined]


def test_nothing_in_memory_grows_with_the_questions(journal: Journal) -> None:
    oracle = JournaledUtilityOracle(Lengths(), journal)
    held = {name: len(value) for name, value in vars(oracle).items() if hasattr(value, "__len__")}
    for k in range(40):
        oracle.utilities(["p"] * 25, [f"response {k} {i}" for i in range(25)])
    assert {name: len(value) for name, value in vars(oracle).items() if hasattr(value, "__len__")} == held
    assert oracle.state_dict()["number"] == oracle.calls["duel"] == 1000
