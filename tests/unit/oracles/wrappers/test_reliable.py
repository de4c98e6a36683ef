"""An oracle that fails, hangs or is too busy costs the questions in flight, and no answer that has come."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_server import chat_server, completion
from journals import journal_of
from numpy.typing import NDArray

from duelbench.oracles import FunctionOracle, OracleError, make_oracle, reliable
from duelbench.protocols import Oracle, UtilityOracle
from duelbench.records.answers.journal import Journal
from duelbench.records.answers.journaled_oracle import journaled
from duelbench.records.content import object_digest
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.policy_loop import run


class Moody:
    """Does as it is told, call by call, and notes what it was asked."""

    name = "moody"
    portion = 4

    def __init__(self, *moods: Callable[[list[str]], Any]) -> None:
        self.moods, self.asked = list(moods), list[list[str]]()

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        self.asked.append(list(firsts))
        mood = self.moods.pop(0) if self.moods else right
        return mood(list(firsts))


def right(firsts: list[str]) -> Any:
    return [float(first) for first in firsts]


def busy(firsts: list[str]) -> Any:
    raise ConnectionError("busy")


TEXTS = [["p"] * 3, ["0.1", "0.2", "0.3"], ["x"] * 3]


def test_a_call_that_fails_is_tried_again() -> None:
    inner = Moody(busy, busy)
    assert reliable(inner, retries=2, pause=0).preference(*TEXTS).tolist() == [0.1, 0.2, 0.3]
    assert inner.asked == [TEXTS[1]] * 3


def test_what_still_fails_has_no_answer_and_the_reason_is_told(caplog: pytest.LogCaptureFixture) -> None:
    inner = Moody(busy, busy, busy)
    assert np.isnan(reliable(inner, retries=2, pause=0).preference(*TEXTS)).all()
    assert "no answer to 3 of 3 questions: ConnectionError('busy')" in caplog.text
    assert reliable(inner, retries=0).preference(*TEXTS).tolist() == [0.1, 0.2, 0.3]


def test_of_a_batch_answered_in_part_only_the_rest_is_asked_again() -> None:
    inner = Moody(lambda firsts: [0.9, np.nan, np.nan], busy, lambda firsts: [np.nan, 0.8])
    found = reliable(inner, retries=2, pause=0).preference(*TEXTS)
    np.testing.assert_array_equal(found, [0.9, np.nan, 0.8])
    assert inner.asked == [["0.1", "0.2", "0.3"], ["0.2", "0.3"], ["0.2", "0.3"]]


def test_a_call_that_hangs_is_left_behind_and_its_late_answer_is_taken() -> None:
    gone, done = threading.Event(), threading.Event()

    def late(firsts: list[str]) -> Any:
        gone.wait(30)
        return [0.7] * len(firsts)

    def meanwhile(firsts: list[str]) -> Any:
        gone.set()
        done.wait(30)  # hangs until the test is over, long after the first call has its answer
        return right(firsts)

    inner = Moody(late, meanwhile)
    try:
        assert reliable(inner, timeout=0.2, retries=3, pause=0).preference(*TEXTS).tolist() == [0.7] * 3
        assert len(inner.asked) == 2  # there was nothing left to ask a third time
    finally:
        done.set()


def test_a_call_that_never_ends_has_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    inner = Moody(lambda firsts: done.wait(30))
    try:
        assert np.isnan(reliable(inner, timeout=0.05, retries=0).preference(*TEXTS)).all()
        assert "no answer within 0.05 s" in caplog.text
    finally:
        done.set()


def test_a_timeout_of_the_oracle_itself_is_told_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    def slow(firsts: list[str]) -> Any:
        raise TimeoutError("its own")

    assert np.isnan(reliable(Moody(slow), timeout=30, retries=0).preference(*TEXTS)).all()
    assert "its own" in caplog.text


@pytest.mark.parametrize("wrong", ["abc", [0.5], [["a"], ["b"], ["c"]], None])
def test_an_answer_of_the_wrong_form_is_an_error_and_not_asked_again(wrong: Any) -> None:
    inner = Moody(lambda firsts: wrong)
    with pytest.raises(OracleError, match="oracle 'moody': expected 3 probabilities"):
        reliable(inner, pause=0).preference(*TEXTS)
    assert len(inner.asked) == 1


def test_an_interrupt_is_no_failure() -> None:
    def interrupted(firsts: list[str]) -> Any:
        raise KeyboardInterrupt

    for timeout in (None, 30.0):
        with pytest.raises(KeyboardInterrupt):
            reliable(Moody(interrupted), timeout=timeout, pause=0).preference(*TEXTS)


def test_calls_keep_to_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, began = [100.0], list[float]()
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("time.sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))

    @reliable(rate=4)
    def worth(prompt: str, response: str) -> float:
        began.append(clock[0])
        return 1.0

    for _ in range(3):
        worth("p", "r")
    clock[0] += 10
    worth("p", "r")
    worth("p", "r")
    assert began == [100.0, 100.25, 100.5, 110.5, 110.75]


def test_pauses_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    reliable(Moody(*[busy] * 9), retries=8, pause=1.0).preference(*TEXTS)
    for pause, least in zip(slept, (1, 2, 4, 8, 16, 32, 60, 60), strict=True):
        assert least <= pause <= least + 1


class Lengths:
    """Knows utilities."""

    free, prefers_by_utility = True, True

    def __init__(self, name: str = "lengths", fails: int = 0) -> None:
        self.name, self.fails = name, fails

    def utilities(self, prompts: Sequence[str], responses: Sequence[str]) -> NDArray[np.float64]:
        if self.fails:
            self.fails -= 1
            raise OSError("not yet")
        return np.array([float(len(text)) for text in responses])

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        return np.full(len(prompts), 0.5)


PatientLengths = reliable(pause=0)(Lengths)


def test_a_class_stays_a_class_and_an_oracle_what_it_is() -> None:
    made = make_oracle(PatientLengths, fails=2, name="mine")  # type: ignore[arg-type]
    for oracle in (made, reliable(Lengths("mine", fails=2), pause=0)):
        assert isinstance(oracle, Oracle) and isinstance(oracle, UtilityOracle)
        assert oracle.name == "mine" and oracle.free and oracle.prefers_by_utility  # type: ignore[attr-defined]
        assert oracle.utilities(["p"], ["four"]).tolist() == [4.0]
    assert not isinstance(reliable(Moody()), UtilityOracle) and reliable(Moody()).portion == 4
    assert PatientLengths.__doc__ == Lengths.__doc__
    with pytest.raises(OracleError, match="wrong"):
        make_oracle(PatientLengths, wrong=1)  # type: ignore[arg-type]


def test_a_function_stays_a_function_and_free_is_kept() -> None:
    def worth(prompt: str, response: str) -> float:
        """Of gold."""
        return 2.0

    worth.free = True  # type: ignore[attr-defined]
    patient = reliable(worth)
    assert patient("p", "r") == 2.0 and patient.__doc__ == "Of gold." and patient.__name__ == "worth"
    made = make_oracle(patient)
    assert isinstance(made, FunctionOracle) and made.free and made.portion == 1 and made.name == "worth"
    assert not FunctionOracle(lambda prompt, response: 1.0).free


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"timeout": 0}, "timeout must be"),
        ({"timeout": float("nan")}, "timeout must be"),
        ({"rate": -1}, "rate must be"),
        ({"retries": -1}, "retries must be"),
        ({"retries": 1.5}, "retries must be"),
        ({"pause": 61}, "pause must be"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        reliable(Moody(), **arguments)
    with pytest.raises(TypeError, match="expected a function"):
        reliable(3)  # type: ignore[type-var]


FILE = """
from duelbench.oracles import reliable


@reliable(retries=1, pause=0)
def worth(prompt, response):
    return float(len(response))


class Plain:
    name = "plain"

    def preference(self, prompts, firsts, seconds):
        return [0.5] * len(prompts)


Patient = reliable(Plain)
oracle = reliable(Plain())
"""


@pytest.mark.parametrize("name", ["worth", "Patient", "oracle"])
def test_the_code_behind_it_is_known(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"

    def run_id(text: str) -> str:
        path.write_text(text)
        return resolve(RunSpec("LLMDuelPool-v0", "online", 0, 64, env_kwargs={"oracle": f"{path}:{name}"})).run_id

    assert run_id(FILE) == run_id(FILE) != run_id(FILE.replace("float(len(response))", "1.0").replace("0.5", "0.4"))


def test_code_that_has_no_file_is_known_too() -> None:
    made = []
    for value in ("1.0", "1.0", "2.0"):
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(f"def worth(prompt, response):\n    return {value}", namespace)
        made.append(object_digest(reliable(namespace["worth"])))
    assert made[0] == made[1] != made[2]


def test_a_run_against_a_real_server_that_stumbles_loses_no_label(task_file: str, tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(number: int, body: dict[str, Any]) -> tuple[int, bytes] | None:
        text = body["messages"][0]["content"]
        if number % 3 == 0:
            return None if number % 2 else (429, b"busy")
        asked.append(text)
        return 200, completion(text.rpartition(" ")[2])

    def ask(prompt: str, response: str) -> float:
        body = json.dumps({"messages": [{"content": f"{prompt}|{response}"}]}).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(server.url, body), timeout=30) as reply:
                return float(json.loads(reply.read())["choices"][0]["message"]["content"])
        except urllib.error.HTTPError as error:
            with error:
                raise ConnectionError(str(error)) from None

    with chat_server(answer) as server:
        result = run_of(reliable(ask, retries=2, pause=0, timeout=30), task_file, tmp_path)
    journal = journal_of(result)
    answers = journal.answers()
    journal.close()
    assert len(answers) == 16 and all(answer.probability is not None for answer in answers)
    assert len(asked) == len(set(asked))  # each text once, however often it had to be asked


def run_of(oracle: Any, task_file: str, out: Path) -> Path:
    from duelbench.plugins import name_of

    kwargs = {"task": task_file, "oracle": name_of(oracle)}
    return run(RunSpec("LLMDuelPool-v0", "online", 0, 16, batch=4, judging=Judging(every=16), env_kwargs=kwargs), out)


def test_what_an_oracle_says_of_itself_is_said_by_its_wrappers(tmp_path: Path) -> None:
    class Judge:
        name, free, gives_verdicts, portion = "judge", True, True, 3

        def preference(self, prompts: Any, firsts: Any, seconds: Any) -> Any:
            return np.full(len(prompts), 0.5)

        def flips(self, prompts: Any, firsts: Any, seconds: Any) -> Any:
            return np.array([first == "a" for first in firsts])

    journal = Journal(tmp_path / "journal.sqlite", "run")
    for wrapped in (reliable(Judge()), reliable(Judge)(), journaled(reliable(Judge()), journal)):
        assert wrapped.gives_verdicts is True
        assert wrapped.flips(["p", "p"], ["a", "b"], ["b", "a"]).tolist() == [True, False]
    assert (wrapped.oracle.portion, wrapped.oracle.free) == (3, True)  # type: ignore[attr-defined]
    assert reliable(lambda prompt, text: 0.0, retries=0).__name__ == "<lambda>"
