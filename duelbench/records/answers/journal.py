"""The journal: every oracle answer, durable before anyone learns from it.

An answer is kept under (run, duel index) in SQLite with write-ahead logging and full synchronisation. A run that
is killed and started again finds its answers here, so no label is lost and none is bought twice.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from duelbench.records.answers.entries import Answer, Purpose, Question, Texts
from duelbench.types import Verdict

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    run TEXT NOT NULL, duel INTEGER NOT NULL,
    prompt TEXT NOT NULL, first TEXT NOT NULL, second TEXT NOT NULL,
    probability REAL, verdict INTEGER NOT NULL,
    PRIMARY KEY (run, duel)
) WITHOUT ROWID
"""
_QUESTIONS = """
CREATE TABLE IF NOT EXISTS questions (
    run TEXT NOT NULL, role TEXT NOT NULL, number INTEGER NOT NULL, purpose TEXT NOT NULL,
    prompt TEXT NOT NULL, first TEXT NOT NULL, second TEXT, value REAL,
    PRIMARY KEY (run, role, number)
) WITHOUT ROWID
"""
_UNFINISHED = """
CREATE TABLE IF NOT EXISTS unfinished (
    run TEXT NOT NULL, prompt TEXT NOT NULL, response TEXT NOT NULL,
    PRIMARY KEY (run, prompt, response)
) WITHOUT ROWID
"""
_FLIPS = """
CREATE TABLE IF NOT EXISTS flips (
    run TEXT NOT NULL, prompt TEXT NOT NULL, first TEXT NOT NULL, second TEXT NOT NULL,
    PRIMARY KEY (run, prompt, first, second)
) WITHOUT ROWID
"""
_TEXTS = "CREATE INDEX IF NOT EXISTS texts ON questions (run, role, first)"
"""Finds a question by its texts; of a prompt and its responses the latter are longer, but hardly ever come twice."""
SCHEMA_VERSION = 2
"""1 had answers to duels alone."""
RESERVE_BYTES = 32 * 2**20


class JournalMismatchError(RuntimeError):
    """The journal holds an answer to a different duel than the one proposed now."""


class JournalDamagedError(RuntimeError):
    """The file is no SQLite database any more."""


class Journal:
    """The answers of one run.

    Args:
        path: SQLite file, made if absent. Several runs may share it.
        run: the run's id.
        any_thread: whether other threads than this may use it; they must take turns.
    """

    def __init__(self, path: Path, run: str, *, any_thread: bool = False) -> None:
        self.path, self.run = Path(path), run
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=not any_thread)
        try:
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            self._db.close()
            if isinstance(error, sqlite3.OperationalError):
                raise
            raise JournalDamagedError(
                f"{path} is damaged ({error}): `sqlite3 {path} .recover` may find its answers; move it away to start "
                "the run afresh"
            ) from error
        if version > SCHEMA_VERSION:
            self._db.close()
            raise RuntimeError(
                f"{path} was written with journal schema {version}; this version reads up to {SCHEMA_VERSION}. "
                "Upgrade duelbench, or choose another --out folder."
            )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(_SCHEMA)
        self._db.execute(_QUESTIONS)
        self._db.execute(_TEXTS)
        self._db.execute(_UNFINISHED)
        self._db.execute(_FLIPS)
        self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def __len__(self) -> int:
        """Number of answers of this run."""
        (count,) = self._db.execute("SELECT count(*) FROM answers WHERE run = ?", (self.run,)).fetchone()
        return int(count)

    def recall(self, duels: Sequence[int]) -> dict[int, Answer]:
        """The answers already held for some duel indices."""
        if not len(duels):
            return {}
        rows = self._db.execute(
            "SELECT duel, prompt, first, second, probability, verdict FROM answers "
            "WHERE run = ? AND duel BETWEEN ? AND ?",
            (self.run, int(min(duels)), int(max(duels))),
        )
        wanted = {int(duel) for duel in duels}
        return {row[0]: _answer(row) for row in rows if row[0] in wanted}

    def check_room(self) -> None:
        """Raise ``OSError`` (no space left) while an answer could not be kept any more: better not to buy it.

        A reserve is demanded, since others write to the disk as well.
        """
        if shutil.disk_usage(self.path.parent).free < RESERVE_BYTES:
            raise OSError(
                errno.ENOSPC,
                f"less than {RESERVE_BYTES // 2**20} MiB free, so no more labels are bought",
                str(self.path),
            )

    def append(self, answers: Iterable[Answer]) -> None:
        """Make answers durable, all or none. A duel that has an answer already is an error."""
        answers = list(answers)
        if not answers:
            return
        with self._whole():
            self._keep(answers)

    def keep_unfinished(self, responses: Iterable[tuple[str, str]]) -> None:
        """Mark responses, each with its prompt, that were cut off at the length limit before they ended."""
        rows = [(self.run, prompt, response) for prompt, response in responses]
        if rows:
            with self._whole():
                self._db.executemany("INSERT OR IGNORE INTO unfinished VALUES (?, ?, ?)", rows)

    def unfinished(self) -> set[tuple[str, str]]:
        """The prompts and responses that were marked so."""
        rows = self._db.execute("SELECT prompt, response FROM unfinished WHERE run = ?", (self.run,))
        return {(prompt, response) for prompt, response in rows}

    def keep_flips(self, duels: Sequence[tuple[str, str, str]], flipped: Sequence[bool]) -> None:
        """Mark the duels whose verdict turned round with the order of the responses; the others are not marked."""
        rows = [(self.run, *duel) for duel in duels]
        with self._whole():
            self._db.executemany("DELETE FROM flips WHERE run = ? AND prompt = ? AND first = ? AND second = ?", rows)
            marked = [row for row, turned in zip(rows, flipped, strict=True) if turned]
            self._db.executemany("INSERT OR IGNORE INTO flips VALUES (?, ?, ?, ?)", marked)

    def flips(self, before: int) -> int:
        """How many of the duels with a smaller number are ties since the verdict turned round with the order."""
        (count,) = self._db.execute(
            "SELECT count(*) FROM answers JOIN flips USING (run, prompt, first, second) "
            "WHERE run = ? AND verdict = ? AND duel < ?",
            (self.run, int(Verdict.TIE), before),
        ).fetchone()
        return int(count)

    def questions(self, role: str) -> list[Question]:
        """All questions about texts that an oracle in this role has answered, in their order."""
        rows = self._db.execute(
            "SELECT number, purpose, prompt, first, second, value FROM questions WHERE run = ? AND role = ? "
            "ORDER BY number",
            (self.run, role),
        )
        return [Question(*row) for row in rows]

    def recall_questions(self, role: str, texts: Iterable[Texts]) -> dict[Texts, Question]:
        """Those among some questions about texts that an oracle in this role has answered."""
        found = {}
        for text in texts:
            row = self._db.execute(
                "SELECT number, purpose, prompt, first, second, value FROM questions INDEXED BY texts "
                "WHERE run = ? AND role = ? AND first = ? AND prompt = ? AND second IS ?",
                (self.run, role, text[1], text[0], text[2]),
            ).fetchone()
            if row is not None:
                found[text] = Question(*row)
        return found

    def last_question(self, role: str) -> int:
        """Number of the latest question about texts that an oracle in this role has answered; 0 if there is none."""
        (last,) = self._db.execute(
            "SELECT coalesce(max(number), 0) FROM questions WHERE run = ? AND role = ?", (self.run, role)
        ).fetchone()
        return int(last)

    def keep_questions(
        self, role: str, purpose: Purpose, texts: Sequence[Texts], values: Sequence[float | None]
    ) -> list[Question]:
        """Make answers to questions about texts durable, all or none, and number them."""
        last = self.last_question(role)
        kept = [
            Question(number, purpose, *text, value)
            for number, (text, value) in enumerate(zip(texts, values, strict=True), start=last + 1)
        ]
        rows = [(self.run, role, q.number, q.purpose, q.prompt, q.first, q.second, q.value) for q in kept]
        with self._whole():
            self._db.executemany("INSERT INTO questions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        return kept

    def forget_failed_questions(self, role: str) -> None:
        """Drop the questions about texts that failed after the last good answer, so that they are asked again."""
        self._db.execute(
            "DELETE FROM questions WHERE run = :run AND role = :role AND value IS NULL AND number > coalesce("
            "(SELECT max(number) FROM questions WHERE run = :run AND role = :role AND value IS NOT NULL), 0)",
            {"run": self.run, "role": role},
        )

    def _keep(self, answers: Iterable[Answer]) -> None:
        rows = [(self.run, int(a.duel), a.prompt, a.first, a.second, a.probability, int(a.verdict)) for a in answers]
        self._db.executemany("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """All that is written within becomes durable, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def forget_trailing_failures(self) -> None:
        """Drop the failed answers after the last good one, so that an oracle that is back again is asked again.

        The tie of two identical responses is no answer of the oracle's.
        """
        self._db.execute(
            "DELETE FROM answers WHERE run = :run AND verdict = :failed AND duel > coalesce("
            "(SELECT max(duel) FROM answers WHERE run = :run AND verdict != :failed AND first != second), -1)",
            {"run": self.run, "failed": int(Verdict.INVALID)},
        )

    def answers(self) -> list[Answer]:
        """All answers of this run, by duel index."""
        rows = self._db.execute(
            "SELECT duel, prompt, first, second, probability, verdict FROM answers WHERE run = ? ORDER BY duel",
            (self.run,),
        )
        return [_answer(row) for row in rows]

    def close(self) -> None:
        """Close the file. Answers are durable already."""
        self._db.close()


@contextmanager
def copied(path: Path, run: str) -> Iterator[Journal]:
    """A run's journal, read without writing to its folder: a copy, with the part that is not merged yet.

    Raises:
        JournalDamagedError: it is no journal any more, or one of a newer version.
        OSError: it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="duelbench-") as scratch:
        for part in (path, path.with_name(f"{path.name}-wal")):
            if part.exists():
                shutil.copyfile(part, Path(scratch) / part.name)
        try:
            journal = Journal(Path(scratch) / path.name, run)
            try:
                yield journal
            finally:
                journal.close()
        except (sqlite3.DatabaseError, RuntimeError) as error:
            raise JournalDamagedError(str(error).replace(scratch, str(path.parent))) from error


def _answer(row: tuple[int, str, str, str, float | None, int]) -> Answer:
    duel, prompt, first, second, probability, verdict = row
    return Answer(duel, prompt, first, second, probability, Verdict(verdict))


def check_same_duel(answer: Answer, prompt: str, first: str, second: str) -> None:
    """Raise ``JournalMismatchError`` unless a recalled answer is to exactly this duel."""
    if (answer.prompt, answer.first, answer.second) != (prompt, first, second):
        raise JournalMismatchError(
            f"duel {answer.duel} was answered for {answer.prompt!r}: {answer.first!r} against {answer.second!r}, "
            f"but the resumed run proposes {prompt!r}: {first!r} against {second!r}. The run did not repeat itself: "
            "code, versions or thread count changed since it began. Choose another --out folder to start afresh."
        )
