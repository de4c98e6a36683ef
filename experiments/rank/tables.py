"""The tables of the README, from the committed records: ``python -m duelbench.experiments.rank.tables``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

RECORDS = Path(__file__).parent / "records"


def tables(folder: Path = RECORDS) -> str:
    """Votes to settle the best, and how often the best was put out, as Markdown."""
    lines = [
        "| items | pairs by | rankings | settled | votes: median (range) | best put out |",
        "|---|---|---|---|---|---|",
    ]
    for path in sorted(folder.glob("votes-*.jsonl"), key=lambda path: (int(path.stem.split("-")[1]), path.stem)):
        rows = _read(path)
        votes = [row["votes"] if row["settled"] else np.inf for row in rows]
        shown = f"{_votes(np.median(votes), rows)} ({_votes(min(votes), rows)} to {_votes(max(votes), rows)})"
        right = np.median([np.inf if row["sure_from"] is None else row["sure_from"] for row in rows])
        settled, out = sum(row["settled"] for row in rows), sum(row["best_put_out"] for row in rows)
        lines.append(
            f"| {rows[0]['items']:,} | {rows[0]['by']} | {len(rows)} | {settled} | {shown} "
            f"| {_votes(right, rows)} | {out} |"
        )
    lines += [
        "",
        "| ties | advantage of the first place | looks | rankings | best ever put out |",
        "|---|---|---|---|---|",
    ]
    for row in _read(folder / "errors.jsonl"):
        share = row["put_out"] / row["rankings"]
        lines.append(f"| {row['ties']:g} | {row['place']:g} | {row['votes']:,} | {row['rankings']:,} | {share:.2%} |")
    return "\n".join(lines)


def _votes(value: float, rows: list[dict[str, Any]]) -> str:
    return f"{value:,.0f}" if np.isfinite(value) else f"> {max(row['votes'] for row in rows):,}"


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


if __name__ == "__main__":
    print(tables())
