"""The journal of a run's folder."""

from __future__ import annotations

from pathlib import Path

from duelbench.records.answers.journal import Journal


def journal_of(folder: Path) -> Journal:
    """The answers of the run that the folder is named after."""
    return Journal(folder / "journal.sqlite", folder.name.rpartition("-")[2])
