"""What a ranking found, as a page and as plain data."""

from __future__ import annotations

import json
from collections import Counter
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from duelbench.rank.ranking import WORTH, Ranking
from duelbench.records.files import write_atomic
from duelbench.streams import Streams

_WIDE = 260


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


def write_report(ranking: Ranking, folder: Path) -> Path:
    """Write ``ranking.html`` and ``ranking.json``; returns the page."""
    found = summary(ranking)
    write_atomic(folder / "ranking.json", json.dumps(found, indent=1) + "\n")
    page = Template(files("duelbench.rank").joinpath("page.html").read_text(encoding="utf-8")).substitute(
        title="Ranking",
        level=f"{1 - found['error']:.0%}",
        verdict=f"<p>{escape(verdict(found))}</p>",
        rows="\n".join(_rows(found["items"])),
        notes="\n".join(f'<p class="quiet">{escape(note)}</p>' for note in _notes(found)),
    )
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


def _rows(items: list[dict[str, Any]]) -> list[str]:
    low, high = min(row["low"] for row in items), max(row["high"] for row in items)
    rows = []
    for place, row in enumerate(items, 1):
        x = {name: 4 + (_WIDE - 8) * (row[name] - low) / max(1e-9, high - low) for name in ("low", "strength", "high")}
        picture = (
            f'<svg viewBox="0 0 {_WIDE} 18" role="img" aria-label="from {row["low"]:.2f} to {row["high"]:.2f}">'
            f'<line x1="{x["low"]:.1f}" x2="{x["high"]:.1f}" y1="9" y2="9" stroke="var(--bar)" stroke-width="2"/>'
            f'<circle cx="{x["strength"]:.1f}" cy="9" r="4" fill="var(--bar)"/></svg>'
        )
        numbers = "".join(f'<td class="n">{row[name]}</td>' for name in ("wins", "ties", "losses"))
        rows.append(
            f'<tr{" class=best" if row["may_be_best"] else ""}><td class="n">{place}</td><td>{escape(row["item"])}</td>'
            f'<td class="n">{row["strength"]:+.2f}</td><td class="n">{row["low"]:+.2f} to {row["high"]:+.2f}</td>'
            f"<td>{picture}</td>{numbers}</tr>"
        )
    return rows


def _notes(found: dict[str, Any]) -> list[str]:
    place, said = found["place"], found["said"]
    counts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in sorted(said.items(), key=lambda item: -item[1]))
    bias = f"{place['advantage']:+.2f} ± {1.96 * place['error']:.2f} logits (95 % interval)"
    return [
        f"Answers: {counts or 'none'}. Advantage of the item shown first: {bias}; the sides are drawn at random.",
        "Strengths are logits of a Bradley–Terry model with ties after Davidson and an advantage of the first place; "
        f"their mean is 0. Intervals hold for all items at once with probability {1 - found['error']:.0%}, as if the "
        "number of votes had been fixed beforehand.",
        "What is settled, and which items may be the best (shaded), does not rest on that model nor on a fixed number "
        "of votes: it is evidence by betting, valid at whatever moment one stops. It takes for granted that the best "
        "item loses no duel with more than even odds, and that sides were drawn by a fair coin.",
    ]
