"""Pairs that are there already: people say which response is better, and nobody learns from it meanwhile."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from duelbench.envs.text.tasks.layouts import PREFERENCE, Layout, read_row
from duelbench.envs.text.tasks.table_files import READERS
from duelbench.errors import UsageError
from duelbench.label.asking.checking import Checks
from duelbench.label.asking.desk import Desk
from duelbench.label.questionnaire import Questionnaire
from duelbench.records.answers.votes import Posed, Votes
from duelbench.records.content import digest_text
from duelbench.records.files import as_json_lines, write_atomic
from duelbench.results.exports.preferences import Preferences, decided
from duelbench.results.report.parts.people import write_page

_SIDES = (("first", "second"), PREFERENCE)


class ReadyPairs(Questionnaire):
    """Every pair is asked as often as there are annotators for it, in the order of the table.

    ``close`` writes what has been answered so far.

    Args:
        pairs: what is asked.
        out: output folder; the answers in it are taken up.
        annotators: how many people judge each pair.
        lease: seconds after which a pair that is not answered goes to somebody else.
        checks: hidden repeats and gold pairs.

    Attributes:
        labels: every pair with its verdict, and how often each was said: JSON lines.
        preferences: the decided pairs as ``prompt``, ``chosen`` and ``rejected``: JSON lines.
        report: page about the people who answered.
    """

    def __init__(
        self,
        pairs: Sequence[Posed],
        out: Path,
        *,
        annotators: int = 1,
        lease: float = 600.0,
        checks: Checks | None = None,
    ) -> None:
        super().__init__()
        out.mkdir(parents=True, exist_ok=True)
        self.budget = len(pairs)
        self.labels, self.preferences, self.report = (
            out / n for n in ("labels.jsonl", "preferences.jsonl", "report.html")
        )
        votes = Votes(out / "journal.sqlite", content_of(pairs))
        self._open.callback(votes.close)
        self.desk = Desk(votes, annotators=annotators, lease=lease, checks=checks)
        self.desk.pose(pairs)

    @property
    def due(self) -> bool:
        """Nothing ever is: all pairs are there."""
        return False

    @property
    def complete(self) -> bool:
        """Whether every pair has its answer."""
        return not self.desk.outstanding

    def go_on(self) -> None:
        """Nothing is to be done."""

    def close(self) -> None:
        """Write labels and report, and close the journal."""
        answers, said = self.desk.answers(), self.desk.said()
        rows = []
        for answer in answers:
            votes = dict(Counter(vote.said for vote in self.desk.votes_on(answer.duel)))
            texts = {"prompt": answer.prompt, "first": answer.first, "second": answer.second}
            rows.append(texts | {"verdict": answer.verdict.name.lower(), "votes": votes})
        better = [{name: row[name] for name in ("prompt", *PREFERENCE)} for row in decided(answers, Preferences())]
        write_atomic(self.labels, as_json_lines(rows))
        write_atomic(self.preferences, as_json_lines(better))
        done = f"{len(answers):,} of {self.budget:,} pairs have their label"
        write_page(self.report, "Labels", done, "All labels", said)
        super().close()


def read_pairs(path: Path) -> list[Posed]:
    """The pairs of a table with the columns ``prompt``, ``first`` and ``second``, or ``prompt`` and a preference set's.

    A pair that comes twice is asked once, and one of two identical responses is not asked.

    Raises:
        UsageError: there is no such file, it is of another form, or holds nothing to ask about.
    """
    if not path.is_file() or path.suffix.lower() not in READERS:
        raise UsageError(f"expected a table of pairs, a file that ends in {', '.join(READERS)}, got {path}")
    try:
        table = READERS[path.suffix.lower()](path, _layout)
        rows = [read_row(table.layout, row, at) for at, row in table.rows]
    except ValueError as error:
        raise UsageError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    found = list(dict.fromkeys(_different(rows)))
    if not found:
        raise UsageError(f"{path} holds no two different responses to a prompt")
    return [Posed(number, prompt, first, second) for number, (prompt, first, second) in enumerate(found)]


def content_of(pairs: Sequence[Posed]) -> str:
    """What the pairs are known by."""
    texts = [(pair.prompt, pair.first, pair.second) for pair in pairs]
    return digest_text(json.dumps(texts))


def _layout(there: Sequence[str]) -> Layout:
    sides = next((pair for pair in _SIDES if {"prompt", *pair} <= set(there)), None)
    if sides is None:
        raise ValueError(
            f"expected the columns prompt, first and second, or prompt, chosen and rejected, got {[*there]}"
        )
    return Layout("prompt", sides)


def _different(rows: Sequence[tuple[str, tuple[str, ...]]]) -> Iterator[tuple[str, str, str]]:
    """Pairs of different responses; one that came with its sides exchanged is the one that came before."""
    seen = set[tuple[str, str, str]]()
    for prompt, (first, second) in rows:
        if first != second and (prompt, second, first) not in seen:
            seen.add((prompt, first, second))
            yield prompt, first, second
