"""The people behind a run's labels, as the report shows them: how much, how fast, how well they agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from markupsafe import Markup

from duelbench.records.answers.votes import Vote, Votes, has_votes
from duelbench.records.files import write_atomic
from duelbench.records.record import Run
from duelbench.results.people import summary
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.rendering import Table, joined, render

_COLUMNS = {
    "labels": "labels",
    "ties": "ties",
    "both_bad": "both bad",
    "skips": "skips",
    "median_seconds": "seconds, median",
    "outliers": "fast / slow outliers",
    "left": "prefers the side shown first",
    "alpha": "α with the others",
    "repeats": "repeats answered the same",
    "gold": "gold pairs answered right",
}
NOTE = (
    "α is Krippendorff’s for nominal data: 1 for perfect agreement, 0 for that of chance; of a person, over the duels "
    "that they judged. A tie and two bad responses are different answers to it. Outliers: modified z-score of the "
    "logarithm of the time above 3.5. Sides were drawn at random, so that the share of decided answers for the side "
    "shown first is 50 % for somebody who reads both. “–”: nothing tells."
)


def people(section: Section) -> Markup:
    """A table for each run that people answered; empty where there is none."""
    return joined(
        [of_votes(f"{run.spec['agent']}, seed {run.spec['seed']}", votes) for run, votes in _answered(section)]
    )


def of_votes(about: str, votes: Sequence[Vote]) -> Markup:
    """A table of the people behind some votes, all of which count, under a line that says what they were about."""
    found = summary(votes)
    rows = [[name, *map(_cell, _COLUMNS, [one] * len(_COLUMNS))] for name, one in found["people"].items()]
    alpha = "–" if found["alpha"] is None else f"{found['alpha']:.2f}"
    many = f"{len(rows)} {'person' if len(rows) == 1 else 'people'}"
    said = f"{about}: {many}; Krippendorff’s α over the {found['doubly']:,} duels with several labels: {alpha}."
    return Markup('<p class="quiet">{}</p>\n{}').format(said, Table(["person", *_COLUMNS.values()], rows))


def write_page(path: Path, title: str, subtitle: str, about: str, votes: Sequence[Vote]) -> None:
    """Write a page that tells of the people alone."""
    note = Markup('<p class="quiet">{}</p>').format(NOTE)
    body = joined([Markup("<h2>The people who answered</h2>"), of_votes(about, votes), note])
    write_atomic(path, render("page.html", title=title, subtitle=subtitle, body=body))


def _answered(section: Section) -> Iterator[tuple[Run, list[Vote]]]:
    for run in section.runs:
        path = run.folder / "journal.sqlite" if run.folder else None
        if path is not None and run.spec["env_kwargs"].get("oracle") == "people" and has_votes(path):
            with closing(Votes(path, run.folder_id)) as votes:
                yield run, [vote for vote in votes.votes() if not vote.taken_back]


def _cell(column: str, one: dict[str, Any]) -> str:
    if column == "outliers":
        return f"{one['faster']} / {one['slower']}"
    if column in ("repeats", "gold"):
        share = one["same" if column == "repeats" else "right"]
        return "–" if share is None else Markup("{} % <small>of {}</small>").format(f"{100 * share:.0f}", one[column])
    value = one[column]
    if value is None:
        return "–"
    if column == "left":
        return f"{100 * value:.0f} %"
    return f"{value:.2f}" if column == "alpha" else f"{value:.1f}" if column == "median_seconds" else f"{value:,}"
