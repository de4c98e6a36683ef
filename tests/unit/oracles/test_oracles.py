"""Oracles by name, rules of one's own, reward models and LM judges on tiny random networks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duelbench.oracles import ORACLES, FunctionOracle, OracleError, make_oracle
from duelbench.oracles.checks import ask_preference, ask_utilities
from duelbench.protocols import Oracle, UtilityOracle

PROMPTS = ["Write a happy sentence about a fox.", "Describe a quiet beach.", "Write an ad for a hat.", "Hm?"]
FIRSTS = ["The fox laughed in the rain.", "Still.", "This hat is warm, and you will love it!", ""]
SECONDS = ["A fox.", "The beach is still at dawn, and one gull sleeps.", "Hat hat hat hat.", "🦊"]


@pytest.mark.parametrize("name", [name for name in ORACLES if ":" not in name and name != "ifeval"])  # a download
def test_every_plain_name_makes_an_oracle_of_that_name(name: str) -> None:
    oracle = make_oracle(name)
    assert isinstance(oracle, Oracle) and oracle.name == name
    assert isinstance(oracle, UtilityOracle) == (name != "people")


def test_people_are_not_asked_by_a_run() -> None:
    with pytest.raises(OracleError, match="people answer on the page of `duelbench label`"):
        make_oracle("people").preference(["?"], ["a"], ["b"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("readr-hard", r"unknown oracle 'readr-hard'.*did you mean 'reader-hard'\?"),
        ("reward-modle", r"did you mean 'reward-model:MODEL'\?"),
        ("judge", r"did you mean 'judge:MODEL'\?"),
        ("no.such.module:Name", r"cannot be imported: No module named 'no'"),
        ("absent.py:rule", r"no file absent\.py"),
        ("duelbench.oracles.function:FunctionOracel", r"did you mean 'FunctionOracle'\?"),
        ("pathlib:Path", r"without name and preference"),
    ],
)
def test_unknown_names_are_one_clear_error(spec: str, message: str) -> None:
    with pytest.raises(OracleError, match=message):
        make_oracle(spec)


def test_an_oracle_of_ones_own_by_file_and_by_dotted_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n"
        "def brevity(prompt, response):\n    return -len(response.split())\n"
        "class Always:\n    name = 'always'\n    def __init__(self, p=0.5):\n        self.p = p\n"
        "    def preference(self, prompts, firsts, seconds):\n        return np.full(len(prompts), self.p)\n"
        "ready = Always(0.25)\n"
    )
    rule = make_oracle(f"{file}:brevity")
    assert isinstance(rule, FunctionOracle) and rule.name == "brevity"
    assert rule.preference(["x"], ["a"], ["a b c"])[0] > 0.85
    assert make_oracle(f"{file}:Always", p=0.75).preference(["x"], ["a"], ["b"])[0] == 0.75
    assert make_oracle(f"{file}:ready").preference(["x"], ["a"], ["b"])[0] == 0.25
    assert make_oracle("duelbench.oracles.reader.reader:Reader", preset="reader-easy").name == "reader-easy"


def test_an_oracle_is_also_given_as_the_object_itself() -> None:
    ready = FunctionOracle(lambda x, y: len(y), name="length")
    assert make_oracle(ready) is ready
    assert make_oracle(FunctionOracle, function=len, name="f").name == "f"
    assert make_oracle(lambda x, y: 0.0, name="flat").preference(["x"], ["a"], ["b"])[0] == 0.5
    with pytest.raises(OracleError, match="is made already"):
        make_oracle(ready, name="other")
    with pytest.raises(OracleError, match=r"cannot be made with the arguments .'preest': 1."):
        make_oracle("reader", preest=1)


def test_installed_packages_announce_oracles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_of_oracles.py").write_text("def brevity(prompt, response):\n    return -len(response)\n")
    info = tmp_path / "shop-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[duelbench.oracles]\nbrief = shop_of_oracles:brevity\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert make_oracle("brief").name == "brevity"


def test_the_built_in_rules_are_free_and_others_are_not() -> None:
    assert make_oracle("reader-hard").free is True  # type: ignore[attr-defined]
    assert not getattr(FunctionOracle(lambda x, y: 0.0), "free", False)


class Says:
    """Answers every batch with what it was made with."""

    name = "says"

    def __init__(self, answers: Any) -> None:
        self.answers = answers

    def preference(self, *texts: Any) -> Any:
        if isinstance(self.answers, Exception):
            raise self.answers
        return self.answers

    utilities = preference


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (None, "without numbers: 'None'"),
        ("yes", "without numbers: 'yes'"),
        (["0.5", "1"], "without numbers"),
        ([None, 0.5], "without numbers"),
        ([0.5], r"expected 2 .*got shape \(1,\)"),
        ([0.5] * 3, r"got shape \(3,\)"),
        (0.5, r"got shape \(\)"),
        ([[0.5], [0.5]], r"got shape \(2, 1\)"),
        ([[0.5], [0.5, 1]], "ragged list"),
        ([0.5, np.inf], "inf"),
        (KeyError("quota"), "failed: KeyError: 'quota'"),
    ],
)
def test_what_is_no_answer_is_one_clear_error(answers: Any, message: str) -> None:
    for ask in (
        lambda o: ask_preference(o, ["x"] * 2, ["a"] * 2, ["b"] * 2),
        lambda o: ask_utilities(o, ["x"] * 2, ["a"] * 2),
    ):
        with pytest.raises(OracleError, match=f"oracle 'says'.*{message}"):
            ask(Says(answers))


@pytest.mark.parametrize("answer", [1.01, -0.2])
def test_a_probability_out_of_range_is_an_error_and_nan_is_not(answer: float) -> None:
    with pytest.raises(OracleError, match=f"oracle 'says': probability 1 is {answer:g}: return a number from 0 to 1"):
        ask_preference(Says([0.5, answer]), ["x"] * 2, ["a"] * 2, ["b"] * 2)
    np.testing.assert_array_equal(ask_preference(Says([np.nan, True]), ["x"] * 2, ["a"] * 2, ["b"] * 2), [np.nan, 1.0])


@pytest.mark.parametrize("value", [None, "3", b"3", [1, 2], {}])
def test_a_function_that_gives_no_number_gives_no_answer(value: Any) -> None:
    assert np.isnan(FunctionOracle(lambda x, y: value, name="odd").utilities(["x"], ["y"])[0])


def test_importing_the_oracles_loads_no_network_library() -> None:
    code = (
        "import sys, duelbench.oracles as o; o.make_oracle('reader').utilities(['a'], ['b']); "
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- rules


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=5))
def test_function_oracle_mirrors_when_swapped(duels: list[tuple[str, str, str]]) -> None:
    oracle: Oracle = FunctionOracle(lambda x, y: len(y) - 0.1 * len(x), name="length")
    prompts, firsts, seconds = ([duel[i] for duel in duels] for i in range(3))
    p = oracle.preference(prompts, firsts, seconds)
    np.testing.assert_allclose(p + oracle.preference(prompts, seconds, firsts), 1.0)


def test_a_failing_part_of_a_batch_is_nan_alone(caplog: pytest.LogCaptureFixture) -> None:
    oracle = FunctionOracle(lambda x, y: 1 / len(y), name="inverse")
    p = oracle.preference(["x", "x"], ["a", ""], ["bb", "cc"])
    assert p[0] > 0.5 and np.isnan(p[1])
    assert "no utility for 1 of 4 texts, first: ZeroDivisionError" in caplog.text


def test_infinite_utilities_and_wrong_lengths_are_errors() -> None:
    oracle = FunctionOracle(lambda x, y: float("inf"), name="endless")
    with pytest.raises(OracleError, match="endless: utility 0 is infinite"):
        oracle.utilities(["x"], ["y"])
    with pytest.raises(OracleError, match="got 2 prompts, 1 responses"):
        oracle.utilities(["x", "x"], ["y"])


# ---- reward models
