"""The tables of the README, from the committed records: ``python -m duelbench.experiments.rank.tables``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binom

RECORDS = Path(__file__).parent / "records"


def tables(folder: Path = RECORDS) -> str:
    """Votes to settle the best, how many fewer than random pairs take, and how often the best was put out: Markdown."""
    played = {path: _read(path) for path in folder.glob("votes-*.jsonl")}
    found = sorted(played.values(), key=lambda rows: (rows[0]["items"], rows[0]["by"]))
    header = (
        "| items | pairs by | rankings | settled | votes, median (95 % interval) | estimate right from | best put out |"
    )
    lines = [header, "|---|---|---|---|---|---|---|"]
    for rows in found:
        items, by, settled = rows[0]["items"], rows[0]["by"], sum(row["settled"] for row in rows)
        put_out = sum(row["best_put_out"] for row in rows)
        lines.append(
            f"| {items:,} | {by} | {len(rows)} | {settled} | {_median([_votes(row) for row in rows], rows)} "
            f"| {_median([_right(row) for row in rows], rows)} | {put_out} |"
        )
    lines += [
        "",
        "| items | pairs by | rankings | random pairs take so many times the votes: median (95 % interval) | until the "
        "estimate is right |",
        "|---|---|---|---|---|",
    ]
    lines += [_against_random(rows, found) for rows in found if rows[0]["by"] != "random"]
    lines += [
        "",
        "| ties | advantage of the first place | looks | rankings | best ever put out |",
        "|---|---|---|---|---|",
    ]
    for row in _read(folder / "errors.jsonl"):
        share = row["put_out"] / row["rankings"]
        lines.append(f"| {row['ties']:g} | {row['place']:g} | {row['votes']:,} | {row['rankings']:,} | {share:.2%} |")
    return "\n".join(lines)


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """The median, and order statistics between which the true one lies at least so often, whatever the distribution.

    With n values the true median lies below the k-th smallest with the probability that a fair coin falls at most k − 1
    times of n on one side. With fewer than six values no two of them do for 95 %: then the ends are infinite.

    >>> median_interval([3, 1, 4, 1, 5, 9, 2, 6])
    (3.5, 1.0, 9.0)
    """
    ordered = sorted(map(float, values))
    n = len(ordered)
    k = int(binom.ppf((1.0 - confidence) / 2.0, n, 0.5))
    while k > 0 and binom.cdf(k - 1, n, 0.5) > (1.0 - confidence) / 2.0:
        k -= 1
    low, high = (ordered[k - 1], ordered[n - k]) if k > 0 else (-np.inf, np.inf)
    with np.errstate(invalid="ignore"):
        return float(np.median(ordered)), low, high


def _against_random(rows: list[dict[str, Any]], found: list[list[dict[str, Any]]]) -> str:
    """How many times more votes random pairs take on the same items: where they did not settle it, at least so many."""
    items, by = rows[0]["items"], rows[0]["by"]
    other = next((o for o in found if (o[0]["items"], o[0]["by"]) == (items, "random")), [])
    random = {row["seed"]: row for row in other}
    both = [(row, random[row["seed"]]) for row in rows if row["seed"] in random]
    # a ranking that was not settled took at least the votes that it was given, so the ratio is at least that
    votes = [r["votes"] / row["votes"] for row, r in both if row["settled"]]
    right = [
        (r["votes"] if r["sure_from"] is None else max(1, r["sure_from"])) / max(1, row["sure_from"])
        for row, r in both
        if row["sure_from"] is not None
    ]
    cut = "≥ " if any(not r["settled"] for _, r in both) else ""
    return f"| {items:,} | {by} | {len(both)} | {cut}{_ratio(votes)} | {_ratio(right)} |"


def _ratio(values: list[float]) -> str:
    if not values:
        return "not played"
    median, low, high = median_interval(values)
    interval = f" ({low:.1f} to {high:.1f})" if np.isfinite(low) else ""
    return f"{median:.1f}{interval}"


def _votes(row: dict[str, Any]) -> float:
    return row["votes"] if row["settled"] else np.inf


def _right(row: dict[str, Any]) -> float:
    return np.inf if row["sure_from"] is None else row["sure_from"]


def _median(values: list[float], rows: list[dict[str, Any]]) -> str:
    median, low, high = median_interval(values)
    most = max(row["votes"] for row in rows)
    shown = [f"{value:,.0f}" if value < np.inf else f"> {most:,}" for value in (median, low, high)]
    return f"{shown[0]} ({shown[1]} to {shown[2]})" if np.isfinite(low) or low == np.inf else shown[0]


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


if __name__ == "__main__":
    print(tables())
