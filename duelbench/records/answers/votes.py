"""What people said of duels: every question that was shown to somebody and every vote, in the run's journal.

Votes are only ever appended: one that was taken back stays, marked. What they come to, one answer per duel, stands in
the journal's own table, written in the transaction of the vote that decided it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from duelbench.records.answers.entries import Answer
from duelbench.records.answers.journal import Journal

Kind = Literal["duel", "repeat", "gold"]
"""Why somebody is asked: for a label, for the second time to see whether they agree with themselves, or to see whether
they know the answer that is known."""
Said = Literal["first", "second", "tie", "both_bad", "skip"]
"""What can be said of two responses: which is better, neither, neither as both are bad, or nothing."""
SAID = get_args(Said)

_TABLES = """
CREATE TABLE IF NOT EXISTS posed (
    run TEXT NOT NULL, number INTEGER NOT NULL, prompt TEXT NOT NULL, first TEXT NOT NULL, second TEXT NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shown (
    run TEXT NOT NULL, id TEXT NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, annotator TEXT NOT NULL,
    swapped INTEGER NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (run, id)
);
CREATE TABLE IF NOT EXISTS votes (
    place INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, id TEXT NOT NULL, said TEXT NOT NULL, seconds REAL,
    at TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Posed:
    """A duel that people are asked about.

    Attributes:
        number: number of the duel within its run; negative for a gold pair, whose ``first`` is known to be better.
        prompt: what the responses answer.
        first: the agent's first response.
        second: its second.
    """

    number: int
    prompt: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A duel that is shown to somebody.

    Attributes:
        id: id of this showing.
        number: number of the duel.
        kind: why it was shown.
        annotator: who saw it.
        swapped: whether the agent's second response stood first.
    """

    id: str
    number: int
    kind: Kind
    annotator: str
    swapped: bool


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote on a duel that was shown.

    Attributes:
        shown: to whom, and how.
        said: in terms of the agent's first and second response, whichever stood first.
        seconds: how long it took, None where nobody measured.
        at: when, UTC.
        taken_back: whether it was undone later.
    """

    shown: Shown
    said: Said
    seconds: float | None
    at: str
    taken_back: bool = False


class Votes(Journal):
    """The journal of a run whose oracle is people. Several threads may use it, one at a time.

    Args:
        path: SQLite file, made if absent.
        run: the run's id.
    """

    def __init__(self, path: Path, run: str) -> None:
        super().__init__(path, run, any_thread=True)
        self._db.executescript(_TABLES)

    def pose(self, duels: Sequence[Posed]) -> None:
        """Keep the texts of duels; those that are kept already stay."""
        rows = [(self.run, d.number, d.prompt, d.first, d.second) for d in duels]
        with self._whole():
            self._db.executemany("INSERT OR IGNORE INTO posed VALUES (?, ?, ?, ?, ?)", rows)

    def show(self, shown: Shown) -> None:
        """Keep that a duel is put before somebody."""
        row = (self.run, shown.id, shown.number, shown.kind, shown.annotator, int(shown.swapped), _now())
        self._db.execute("INSERT INTO shown VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def vote(self, shown: Shown, said: Said, seconds: float | None, decided: Answer | None = None) -> Vote:
        """Make a vote durable, and the answer that it decides."""
        at = _now()
        with self._whole():
            self._say(shown.id, said, seconds, at)
            if decided is not None:
                self._keep([decided])
        return Vote(shown, said, seconds, at)

    def take_back(self, shown: Shown, reopened: int | None = None) -> None:
        """Mark the last vote on a showing as taken back, and remove the answer of the duel that it had decided."""
        with self._whole():
            self._say(shown.id, "undo", None, _now())
            if reopened is not None:
                self._db.execute("DELETE FROM answers WHERE run = ? AND duel = ?", (self.run, reopened))

    def posed(self) -> dict[int, Posed]:
        """The texts of all duels, by number."""
        query = "SELECT number, prompt, first, second FROM posed WHERE run = ? ORDER BY number"
        return {row[0]: Posed(*row) for row in self._db.execute(query, (self.run,))}

    def shown(self) -> dict[str, Shown]:
        """Everything that was shown, by id, in its order."""
        query = "SELECT id, number, kind, annotator, swapped FROM shown WHERE run = ? ORDER BY rowid"
        rows = self._db.execute(query, (self.run,))
        return {row[0]: Shown(row[0], row[1], row[2], row[3], bool(row[4])) for row in rows}

    def votes(self) -> list[Vote]:
        """All votes in their order, those that were taken back among them."""
        shown, found, last = self.shown(), list[Vote](), dict[str, int]()
        for name, said, seconds, at in self._db.execute(
            "SELECT id, said, seconds, at FROM votes WHERE run = ? ORDER BY place", (self.run,)
        ):
            if said == "undo":
                vote = found[last[name]]
                found[last[name]] = Vote(vote.shown, vote.said, vote.seconds, vote.at, taken_back=True)
            else:
                last[name] = len(found)
                found.append(Vote(shown[name], said, seconds, at))
        return found

    def _say(self, name: str, said: str, seconds: float | None, at: str) -> None:
        statement = "INSERT INTO votes (run, id, said, seconds, at) VALUES (?, ?, ?, ?, ?)"
        self._db.execute(statement, (self.run, name, said, seconds, at))


def has_votes(path: Path) -> bool:
    """Whether people answered in the run of this journal; nothing is made where there is no file."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'votes'").fetchone()
        return found is not None and db.execute("SELECT 1 FROM votes LIMIT 1").fetchone() is not None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
