"""The journal: durable, all or none, and never two answers to one duel."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from duelbench.records.answers.entries import Answer
from duelbench.records.answers.journal import SCHEMA_VERSION, Journal, JournalMismatchError, check_same_duel
from duelbench.types import Verdict


def answer(duel: int, verdict: Verdict = Verdict.FIRST, probability: float | None = 0.25) -> Answer:
    return Answer(duel, f"prompt {duel} 🙂", "first\x00\n", "", probability, verdict)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite", "run")
    yield journal
    journal.close()


def test_answers_come_back_as_they_went_in_even_after_reopening(tmp_path: Path, journal: Journal) -> None:
    answers = [
        answer(7, Verdict.TIE, 0.1 + 0.2),
        answer(0, Verdict.INVALID, None),
        answer(2**40, Verdict.SECOND),
    ]
    journal.append(answers)
    for held in (journal, Journal(tmp_path / "journal.sqlite", "run")):
        assert held.answers() == sorted(answers, key=lambda a: a.duel)
        assert len(held) == 3
        assert held.recall([0, 1, 7]) == {0: answers[1], 7: answers[0]}
        assert held.recall([]) == {} and held.recall([5]) == {}
        held.close()


def test_runs_share_a_file_without_seeing_each_other(tmp_path: Path, journal: Journal) -> None:
    other = Journal(tmp_path / "journal.sqlite", "other")
    journal.append([answer(0), answer(1)])
    other.append([answer(0, Verdict.SECOND)])
    assert (len(journal), len(other)) == (2, 1)
    assert other.recall([0, 1]) == {0: answer(0, Verdict.SECOND)}
    other.close()


def test_a_second_answer_to_a_duel_is_refused_and_takes_its_whole_batch_with_it(journal: Journal) -> None:
    journal.append([answer(3)])
    with pytest.raises(sqlite3.IntegrityError):
        journal.append([answer(2), answer(3, Verdict.SECOND), answer(4)])
    assert journal.answers() == [answer(3)]
    journal.append([answer(4)])  # the failed batch holds no lock
    assert len(journal) == 2


def test_a_batch_that_breaks_half_way_leaves_nothing(journal: Journal) -> None:
    def broken() -> Iterator[Answer]:
        yield answer(0)
        raise RuntimeError("the oracle died")

    with pytest.raises(RuntimeError, match="died"):
        journal.append(broken())
    with pytest.raises(sqlite3.Error):
        journal.append([answer(0), Answer(1, "p", "a", None, 0.5, Verdict.FIRST)])  # type: ignore[arg-type]
    assert len(journal) == 0
    journal.append([])
    assert len(journal) == 0


def test_a_tie_of_identical_responses_is_no_sign_that_the_oracle_is_back(journal: Journal) -> None:
    good, failed = [answer(k) for k in range(3)], [answer(k, Verdict.INVALID, None) for k in (3, 5, 6)]
    tie = Answer(4, "prompt", "same", "same", 0.5, Verdict.TIE)
    journal.append([*good, *failed, tie])
    journal.forget_trailing_failures()
    assert [a.duel for a in journal.answers()] == [0, 1, 2, 4]


def test_a_recalled_answer_must_be_to_the_same_duel() -> None:
    held = Answer(5, "prompt", "one", "two", 0.5, Verdict.FIRST)
    check_same_duel(held, "prompt", "one", "two")
    for changed in (("prompt!", "one", "two"), ("prompt", "two", "two"), ("prompt", "one", "one")):
        with pytest.raises(JournalMismatchError, match=r"duel 5 .* did not repeat itself"):
            check_same_duel(held, *changed)


def test_a_newer_journal_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(RuntimeError, match=f"journal schema {SCHEMA_VERSION + 1}.*Upgrade duelbench"):
        Journal(path, "run")
    assert path.read_bytes() == before


def test_it_is_written_with_full_synchronisation_and_a_write_ahead_log(journal: Journal) -> None:
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)


WRITER = """
import sys
from pathlib import Path
from duelbench.records.answers.journal import Journal
from duelbench.records.answers.entries import Answer
from duelbench.types import Verdict
journal = Journal(Path(sys.argv[1]), "run")
for k in range(len(journal) // 3, 10**6):
    journal.append(Answer(3 * k + i, "p" * 500, "a", "b", 0.5, Verdict.FIRST) for i in range(3))
    print(k, flush=True)  # what is said here is committed
"""


def test_sigkill_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    path, rng = tmp_path / "journal.sqlite", random.Random(0)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            said = [int(writer.stdout.readline())]
            time.sleep(rng.uniform(0.0, 0.05))
            os.kill(writer.pid, signal.SIGKILL)
            said += [int(line) for line in writer.stdout.read().splitlines()]
        journal = Journal(path, "run")
        duels = [a.duel for a in journal.answers()]
        journal.close()
        assert duels == list(range(len(duels)))  # no holes
        assert len(duels) % 3 == 0  # whole batches only
        assert len(duels) >= 3 * (said[-1] + 1)  # everything that was said to be there
