"""A table of what a sweep would play and what it would cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from duelbench.runs.progress import duration

if TYPE_CHECKING:
    from duelbench.study.costs import Forecast

_UNKNOWN = "?: not measured yet, --only smoke measures it"


def table(title: str, lines: Sequence[Forecast], workers: int) -> Table:
    """One row per kind of run, and their sum. ~: estimated from other runs on the environment; ?: nothing measured."""
    shown = Table("environment", "agent", box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for column in ("runs", "to play", "labels", "tokens", "one core"):
        shown.add_column(column, justify="right")
    for line in lines:
        *where, agent = line.kind
        shown.add_row(
            " ".join(filter(None, where)), agent, str(line.runs), str(line.to_play), f"{line.labels:,}", *_costs(line)
        )
    shown.add_section()
    counts = [f"{sum(getattr(line, name) for line in lines):,}" for name in ("runs", "to_play", "labels")]
    tokens, seconds = (sum(getattr(line, name) for line in lines) for name in ("tokens", "seconds"))
    unknown = not all(line.known for line in lines)
    if unknown and not seconds:
        shown.add_row("all", "", *counts, "?", "?")
        shown.caption = _UNKNOWN
        return shown
    shown.add_row("all", "", *counts, f"{tokens:,.0f}", duration(seconds))
    guess = f"{duration(seconds / workers)} with {workers} workers"
    shown.caption = f"at least {guess}; {_UNKNOWN}" if unknown else f"about {guess}"
    return shown


def _costs(line: Forecast) -> tuple[str, str]:
    """Tokens and time."""
    if not line.known:
        return "?", "?"
    guess = "" if line.cost is None or line.cost.own else "~"
    return f"{guess}{line.tokens:,.0f}", guess + duration(line.seconds)
