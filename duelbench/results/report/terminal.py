"""The result of a folder of runs as a table for a terminal: who ended where, and who is ahead of the baseline."""

from __future__ import annotations

import io
from collections import Counter

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from duelbench.results.report.comparison.section import Section
from duelbench.results.report.comparison.words.findings import (
    VERDICTS,
    baseline_name,
    compare,
    headline_metric,
    notes,
    ranked,
)
from duelbench.results.report.comparison.words.wording import signed
from duelbench.results.report.grids import NOTHING, interval
from duelbench.results.report.parts.origins import progress
from duelbench.results.report.subject import Subject
from duelbench.results.statistics.estimates import mean_interval

WIDTH = 80
"""Columns of a line where nobody says how many there are."""

SHOWN_ANSWERS = 3
SHOWN_CHARACTERS = 200


def terminal(subject: Subject, width: int = WIDTH) -> str:
    """One table per task: each agent's final headline value with its 95 % interval, the verdict, and how many runs.

    Args:
        subject: what there is to tell of.
        width: columns of a line.
    """
    buffer = io.StringIO()
    console = Console(file=buffer, width=width, force_terminal=False, color_system=None, highlight=False)
    for section in subject.sections:
        console.print(_table(section, baseline_name(section, subject.baseline)))
        for note in notes(section):
            console.print(f"{escape(note)}\n")
        console.print(_answers(section), end="")
    console.print(f"{escape(progress(subject))}.")
    lines = [line.rstrip() for line in buffer.getvalue().splitlines()]
    return "\n".join(lines) + "\n"


def _answers(section: Section) -> str:
    """A few held-out prompts, answered by the agent that ended highest before its first label and after its last."""
    agent = next(iter(ranked(section)), None)
    run = next((run for run in section.agents[agent] if run.samples), None) if agent is not None else None
    if run is None:
        return ""
    lines = [f"Held-out prompts before and after {agent}, seed {run.spec['seed']}:"]
    for sample in run.samples[:SHOWN_ANSWERS]:
        lines.append(f"  {_one_line(sample['prompt'])}")
        for name in ("before", "after"):
            utility = sample.get(f"utility_{name}")
            told = "" if utility is None else f" ({signed(utility)})"
            lines.append(f"    {name}{told}: {_one_line(sample[name])}")
    if any("utility_before" in sample for sample in run.samples):
        lines.append("  In brackets: utility to the oracle.")
    return escape("\n".join(lines) + "\n\n")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return (line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…") or "(nothing)"


def _table(section: Section, baseline: str) -> Table:
    metric = headline_metric(section)
    title = section.metric(metric).title if metric else "result"
    found = compare(section, baseline)
    verdicts = {c.agent: VERDICTS[c.verdict] for c in found}
    unfinished = Counter(agent for agent, _ in section.unfinished)
    shown = Table(
        box=box.SIMPLE_HEAD,
        title=f"{escape(section.name)}, after {section.end:,.0f} labels",
        title_justify="left",
        title_style="",
    )
    shown.add_column("agent", overflow="fold")
    shown.add_column(f"{title} [95 %]".replace("[", r"\["), justify="right")
    shown.add_column(f"against {escape(baseline)}" + (f" (Holm, of {len(found)})" if len(found) > 1 else ""))
    shown.add_column("runs", justify="right")
    for agent in ranked(section):
        values = list(section.final(agent, metric).values()) if metric else []
        told = "baseline" if agent == baseline and values else verdicts.get(agent, NOTHING)
        runs = f"{len(section.agents[agent]):,}"
        runs += f" (+{unfinished[agent]:,} unfinished)" if unfinished[agent] else ""
        value = interval(mean_interval(values)) if values else NOTHING
        shown.add_row(escape(agent), escape(value), told, runs)
    return shown
