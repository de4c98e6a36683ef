"""The people behind a run's labels, as the report shows them: how much, how fast, how well they agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from markupsafe import Markup

from duelbench.records.record import Run
from duelbench.records.votes import Votes, has_votes
from duelbench.results.people import summary
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.rendering import Table, joined

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
    return joined([_of_run(run, found) for run, found in _answered(section)])


def _answered(section: Section) -> Iterator[tuple[Run, dict[str, Any]]]:
    for run in section.runs:
        path = run.folder / "journal.sqlite" if run.folder else None
        if path is not None and run.spec["env_kwargs"].get("oracle") == "people" and has_votes(path):
            with closing(Votes(path, run.folder_id)) as votes:
                yield run, summary([vote for vote in votes.votes() if not vote.taken_back])


def _of_run(run: Run, found: dict[str, Any]) -> Markup:
    rows = [[name, *map(_cell, _COLUMNS, [one] * len(_COLUMNS))] for name, one in found["people"].items()]
    who = f"{run.spec['agent']}, seed {run.spec['seed']}"
    alpha = "–" if found["alpha"] is None else f"{found['alpha']:.2f}"
    said = (
        f"{who}: {len(rows)} people; Krippendorff’s α over the {found['doubly']:,} duels with several labels: {alpha}."
    )
    return Markup('<p class="quiet">{}</p>\n{}').format(said, Table(["person", *_COLUMNS.values()], rows))


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
