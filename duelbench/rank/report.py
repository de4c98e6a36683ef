"""What a ranking found, as a page and as plain data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from duelbench.rank.ranking import WORTH, Ranking
from duelbench.records.answers.votes import Vote
from duelbench.records.files import write_atomic
from duelbench.results.report.parts.people import NOTE as PEOPLE_NOTE
from duelbench.results.report.parts.people import of_votes
from duelbench.results.report.rendering import Table, joined, render
from duelbench.streams import Streams

_WIDE = 200
_PICTURE = Markup(
    '<svg viewBox="0 0 {0} 18" width="{0}" height="18" role="img" aria-label="from {1:.2f} to {2:.2f}">'
    '<line x1="{3:.1f}" x2="{4:.1f}" y1="9" y2="9" stroke="currentColor" stroke-width="2"/>'
    '<circle cx="{5:.1f}" cy="9" r="4" fill="currentColor"/></svg>'
)


def summary(ranking: Ranking) -> dict[str, Any]:
    """The ranking as plain data: items best first, the group that may be the best, and whether the goal is reached."""
    found = ranking.strengths
    errors, low, high = found.intervals(ranking.error, Streams(0).generator("intervals"))
    record = _record(ranking)
    items = [
        {
            "item": ranking.contest.names[k],
            "strength": float(found.mean[k]),
            "error": float(errors[k]),
            "low": float(low[k]),
            "high": float(high[k]),
            "may_be_best": bool(ranking.evidence.left[k]),
            "wins": record[k, 1.0],
            "ties": record[k, 0.5],
            "losses": record[k, 0.0],
        }
        for k in ranking.order
    ]
    said = Counter(vote.said for vote in ranking.votes)
    remaining = ranking.remaining()
    return {
        "until": ranking.until,
        "error": ranking.error,
        "by": ranking.by,
        "settled": ranking.settled,
        "votes": ranking.answered,
        "remaining": remaining if np.isfinite(remaining) else None,
        "said": dict(said),
        "place": {"advantage": found.place, "error": found.place_error},
        "items": items,
    }


def write_report(ranking: Ranking, folder: Path, votes: Sequence[Vote] = ()) -> Path:
    """Write ``ranking.html`` and ``ranking.json``; returns the page.

    Args:
        ranking: what was ranked.
        folder: where to.
        votes: what people said, if people answered.
    """
    found = summary(ranking)
    write_atomic(folder / "ranking.json", json.dumps(found, indent=1) + "\n")
    notes = [Markup('<p class="quiet">{}</p>').format(note) for note in _notes(found)]
    parts: list[Any] = [_items(found), *notes]
    if votes:
        parts += [Markup("<h2>The people who answered</h2>"), of_votes("All pairs", votes)]
        parts += [Markup('<p class="quiet">{}</p>').format(PEOPLE_NOTE)]
    page = render("page.html", title="Ranking", subtitle=verdict(found), body=joined(parts))
    write_atomic(folder / "ranking.html", page)
    return folder / "ranking.html"


def verdict(found: dict[str, Any]) -> str:
    """In words: what is settled, and what is not."""
    best = [row["item"] for row in found["items"] if row["may_be_best"]]
    goal, votes = found["until"], f"{found['votes']:,} votes"
    if not best:
        return (
            f"After {votes} every item has been shown not to be the best: none wins at least half of its duels against "
            "each other, as in a circle, or the votes changed on the way."
        )
    text = f"{goal} is settled" if found["settled"] else f"{goal} is not settled yet"
    text += f" after {votes}, at an error rate of {found['error']:g}. "
    if len(best) == 1:
        text += f"The best is {best[0]}."
    else:
        shown = ", ".join(best[:10]) + (" …" if len(best) > 10 else "")
        text += f"{len(best)} items cannot be told apart from the best: {shown}."
    if not found["settled"] and found["remaining"] is not None:
        text += (
            f" It will probably take about {found['remaining']:,.0f} more votes, if the strengths are what they seem."
        )
    return text


def _record(ranking: Ranking) -> Counter[tuple[int, float]]:
    """Wins (1), ties (½) and losses (0) of each item."""
    record: Counter[tuple[int, float]] = Counter()
    for vote in ranking.votes:
        if (worth := WORTH.get(vote.said)) is not None:
            record[vote.asked.first, worth] += 1
            record[vote.asked.second, 1.0 - worth] += 1
    return record


def _items(found: dict[str, Any]) -> Table:
    """The items, best first, with pictures of their intervals beside each other."""
    items = found["items"]
    low, high = min(row["low"] for row in items), max(row["high"] for row in items)
    level = f"{1 - found['error']:.0%}"
    header = ("item", "may be the best", "strength", f"{level} interval", "beside the others", "wins", "ties", "losses")
    rows = []
    for place, row in enumerate(items, 1):
        x = {name: 4 + (_WIDE - 8) * (row[name] - low) / max(1e-9, high - low) for name in ("low", "strength", "high")}
        picture = _PICTURE.format(_WIDE, row["low"], row["high"], x["low"], x["high"], x["strength"])
        interval = f"{row['low']:+.2f} to {row['high']:+.2f}"
        name, best = f"{place}. {row['item']}", "yes" if row["may_be_best"] else "no"
        counts = [f"{row[count]:,}" for count in ("wins", "ties", "losses")]
        rows.append([name, best, f"{row['strength']:+.2f}", interval, picture, *counts])
    return Table(header, rows)


def _notes(found: dict[str, Any]) -> list[str]:
    place, said = found["place"], found["said"]
    counts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in sorted(said.items(), key=lambda item: -item[1]))
    bias = f"{place['advantage']:+.2f} ± {1.96 * place['error']:.2f} logits (95 % interval)"
    return [
        f"Answers: {counts or 'none'}. Advantage of the item shown first: {bias}; the sides are drawn at random.",
        "Strengths are logits of a Bradley–Terry model with ties after Davidson and an advantage of the first place; "
        f"their mean is 0. Intervals hold for all items at once with probability {1 - found['error']:.0%}, as if the "
        "number of votes had been fixed beforehand.",
        "What is settled, and which items may be the best, rests neither on that model nor on a fixed number "
        "of votes: it is evidence by betting, valid at whatever moment one stops. It takes for granted that the best "
        "item loses no duel with more than even odds, and that sides were drawn by a fair coin.",
    ]
