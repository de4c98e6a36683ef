"""What was asked and what was said, durable: a ranking is killed at any moment and goes on."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from duelbench.errors import UsageError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS contest (content TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS asked (
    number INTEGER PRIMARY KEY, first INTEGER NOT NULL, second INTEGER NOT NULL, prompt INTEGER NOT NULL,
    chance REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS votes (
    number INTEGER PRIMARY KEY REFERENCES asked, place INTEGER NOT NULL UNIQUE, said TEXT NOT NULL,
    annotator TEXT NOT NULL, seconds REAL
);
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question.

    Attributes:
        number: from 0.
        first: item on the first side.
        second: item on the second.
        prompt: what both answer; 0 where there are no prompts.
        chance: with which the first was expected to win when the pair was chosen.
    """

    number: int
    first: int
    second: int
    prompt: int
    chance: float


@dataclass(frozen=True, slots=True)
class Vote:
    """What was said: ``first``, ``second``, ``tie``, ``both_bad``, ``skip`` or ``failed``."""

    asked: Asked
    said: str
    annotator: str
    seconds: float | None


class Ballots:
    """Questions and votes in one SQLite file.

    Args:
        path: made if absent.
        content: hash of the items; votes on others are refused.

    Raises:
        UsageError: the file holds votes on other items.
    """

    def __init__(self, path: Path, content: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)
        held = self._db.execute("SELECT content FROM contest").fetchone()
        if held is None:
            self._db.execute("INSERT INTO contest VALUES (?)", (content,))
        elif held[0] != content:
            self._db.close()
            raise UsageError(f"{path} holds votes on other items or prompts: choose another --out folder")

    def asked(self) -> list[Asked]:
        """All questions, in their order."""
        return [Asked(*row) for row in self._db.execute("SELECT * FROM asked ORDER BY number")]

    def votes(self) -> list[Vote]:
        """All votes, in the order in which they came."""
        rows = self._db.execute(
            "SELECT number, first, second, prompt, chance, said, annotator, seconds FROM votes "
            "JOIN asked USING (number) ORDER BY place"
        )
        return [Vote(Asked(*row[:5]), *row[5:]) for row in rows]

    def ask(self, asked: Asked) -> None:
        """Keep a question before anybody sees it."""
        self._db.execute(
            "INSERT INTO asked VALUES (?, ?, ?, ?, ?)",
            (asked.number, asked.first, asked.second, asked.prompt, asked.chance),
        )

    def keep(self, vote: Vote) -> None:
        """Keep a vote before anybody learns from it."""
        self._db.execute(
            "INSERT INTO votes VALUES (?, (SELECT coalesce(max(place) + 1, 0) FROM votes), ?, ?, ?)",
            (vote.asked.number, vote.said, vote.annotator, vote.seconds),
        )

    def remove(self, number: int) -> None:
        """Take a vote back; its question stays."""
        self._db.execute("DELETE FROM votes WHERE number = ?", (number,))

    def close(self) -> None:
        """Close the file."""
        self._db.close()
