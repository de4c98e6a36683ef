"""One run after the other in this process: the engine to debug with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from duelbench.records.spec import RunSpec
from duelbench.runs.engines.outcome import Outcome, Tell, play_one


class Inline:
    """Plays in this process."""

    def play(
        self, specs: Sequence[RunSpec], out: Path, *, workers: int | None, command: str, tell: Tell
    ) -> Iterator[Outcome]:
        """As ``Engine.play``; the number of workers does not matter."""
        for spec in specs:
            yield play_one(spec, out, command, tell)
