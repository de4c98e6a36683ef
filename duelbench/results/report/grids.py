"""The tables of a report as plain text, whatever format they are then written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from duelbench.metrics import QUESTIONS, SHORT_LEADERBOARD
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.comparison.standings import LOW, Overview
from duelbench.results.report.comparison.words.findings import (
    VERDICTS,
    WIN_RATE,
    baseline_name,
    compare,
    counted,
    headline,
    headline_metric,
    multiplier_curves,
    notes,
    ranked,
)
from duelbench.results.report.comparison.words.wording import multiplier_text, signed
from duelbench.results.report.subject import Subject
from duelbench.results.statistics.curves import Multiplier, labels_to_threshold
from duelbench.results.statistics.estimates import BAND_MIN_RUNS, Estimate, mean_interval
from duelbench.results.statistics.power_law import power_law

NOTHING = "–"
_MOST_METRICS = 4  # columns of a leaderboard that still fit on a page


@dataclass(frozen=True)
class Grid:
    """A table as plain text, the first column flush left.

    Attributes:
        title: heading, or caption.
        header: names of the columns.
        rows: their cells.
        note: what the numbers are.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def leaderboard(section: Section) -> Grid:
    """Final scores of a task with 95 % Student t intervals, best agent first."""
    metrics = [metric for metric in SHORT_LEADERBOARD if metric in section.metrics][:_MOST_METRICS]
    rows = [
        (agent, str(len(section.agents[agent])), *(_score(list(section.final(agent, m).values())) for m in metrics))
        for agent in ranked(section)
    ]
    titles = [section.metric(metric).title for metric in metrics]
    note = f"At {section.end:,.0f} oracle labels: mean over seeds with its 95 % Student t interval."
    note = " ".join([note, *notes(section)])
    return Grid(section.name, ("agent", "seeds", *titles), tuple(rows), note)


def questions(section: Section) -> Grid | None:
    """What was asked of the oracle, and how often there was nothing to ask; None where no run recorded it."""
    metrics = [name for name in QUESTIONS if name in section.metrics]
    if not metrics:
        return None
    rows = [
        (agent, *(_mean(name, list(section.final(agent, name).values())) for name in metrics))
        for agent in section.agents
    ]
    note = (
        "Means over seeds at the last label. A proposed duel of two identical responses is no question: it costs no "
        "label."
    )
    header = ("agent", *(section.metric(name).title for name in metrics))
    return Grid(f"{section.name}: questions to the oracle", header, tuple(rows), note)


def _mean(name: str, values: Sequence[float]) -> str:
    if not values:
        return NOTHING
    return f"{100 * np.mean(values):.1f} %" if name == "self_duel_share" else f"{np.mean(values):,.0f}"


def comparisons(section: Section, baseline: str) -> Grid | None:
    """Every agent against the baseline, paired by seed; None where there is nothing to compare."""
    baseline = baseline_name(section, baseline)
    found = compare(section, baseline)
    if not found:
        return None
    rows = [
        (
            c.agent,
            VERDICTS[c.verdict],
            _difference(c.final),
            _difference(c.area),
            _probability(c.improvement),
            str(c.n),
        )
        for c in found
    ]
    title = section.metric(headline_metric(section) or "").title
    header = ("agent", "verdict", "final", "whole curve", "ends better", "seeds")
    note = (
        f"{headline(section, baseline, found)} Differences in {title}, agent minus {baseline}, paired by seed, with "
        f"95 % Student t intervals. {counted(found)} Probability that a run ends better: Mann-Whitney, its interval "
        f"Newcombe’s from {BAND_MIN_RUNS} seeds on."
    )
    return Grid(f"{section.name} against {baseline}", header, tuple(rows), note)


def labels_needed(
    section: Section, baseline: str, thresholds: Sequence[float], ratios: dict[str, list[Multiplier]]
) -> Grid | None:
    """Labels until each agent's mean curve reaches each preset win rate, with the multiplier over the baseline.

    None where no offline win rate was recorded, or nobody reached any. ``ratios``: what ``multiplier_curves`` found.
    """
    rows = []
    for agent in ranked(section):
        if (curves := section.curves(agent, WIN_RATE)) is None:
            continue
        means, told = curves.values.mean(axis=0), ratios.get(agent)
        needed = [float(labels_to_threshold(curves.labels, means, t)) for t in thresholds]
        cells = [f"{n:,.0f}" if np.isfinite(n) else f"not in {curves.labels[-1]:,.0f}" for n in needed]
        if told is not None:
            said = [multiplier_text(m) for m in told]
            cells = [f"{cell}; {text}" if text else cell for cell, text in zip(cells, said, strict=True)]
        rows.append((agent, *cells))
    reached = [i for i in range(len(thresholds)) if any(not row[1 + i].startswith("not in") for row in rows)]
    if not reached:
        return None
    note = (
        "Oracle labels until the mean curve first reaches a win rate that was chosen in advance (those that nobody "
        f"reached are left out); after it how many times fewer labels than {baseline}, with a 95 % interval from "
        f"{BAND_MIN_RUNS} seeds on. “At least”: {baseline} may not get there within its labels, so only one end is "
        "known; “at most”: the agent may not."
    )
    header = ("agent", *(f"{thresholds[i]:g}" for i in reached))
    shown = tuple((row[0], *(row[1 + i] for i in reached)) for row in rows)
    title = f"{section.name}: labels needed to reach a win rate, and how many {baseline} needs for one"
    return Grid(title, header, shown, note)


def power_laws(section: Section) -> Grid | None:
    """The power law of each agent's offline win rates; None where no curve bears one."""
    rows = []
    for agent in ranked(section):
        curves = section.curves(agent, WIN_RATE)
        law = power_law(curves) if curves is not None else None
        if law is not None and law.exponent.value > 0:
            a = law.scale
            start = f"{a.value:,.3g}" + (f" [{a.low:,.3g}, {a.high:,.3g}]" if a.known else "")
            rows.append((agent, interval(law.exponent), start if a.known or law.exponent.separated else NOTHING))
    if not rows:
        return None
    note = (
        "The win rate w after n labels as w(n) = 1 − ½ (n / a)^(−b): a straight line through ln(2 (1 − w)) of each run "
        "after the start. b: how fast the distance to 1 falls; a: labels at which the law passes ½, with Fieller’s "
        "interval where b is separated from 0. 95 % intervals over seeds. Whether a law fits, the picture with "
        "logarithmic labels shows (duelbench report FOLDER --log-labels)."
    )
    return Grid(f"{section.name}: power laws of the win rates", ("agent", "b", "a"), tuple(rows), note)


def standings(overview: Overview) -> Grid:
    """All tasks together."""
    rows = []
    for s in overview.standings:
        numbers = (
            [NOTHING, NOTHING] if s.aggregate is None else [interval(s.aggregate.center), interval(s.aggregate.mean)]
        )
        better = NOTHING if s.improvement is None else _probability(s.improvement)
        rows.append((s.agent, f"{s.n:,}", *numbers, f"{100 * s.failed:.1f} %", better))
    header = ("agent", "runs", "IQM", "mean", "failed", "ends better")
    note = (
        f"Scores from 0 (uniform pairs) to 1 (cannot be beaten) on {len(overview.tasks)} tasks, with 95 % intervals "
        f"over seeds, of IQM and “ends better” from {BAND_MIN_RUNS} runs per task on. Failed: runs that score {LOW:g} "
        f"or less. Ends better: probability that a run scores above one of {overview.baseline}, averaged over tasks."
    )
    return Grid(overview.title, header, tuple(rows), note)


def grids(subject: Subject) -> list[Grid]:
    """All tables of a subject, in the order of the page."""
    found: list[Grid | None] = [standings(overview) for overview in subject.overviews if overview.tasks]
    for section in subject.sections:
        found += [leaderboard(section) if section.runs else None, comparisons(section, subject.baseline)]
        baseline = baseline_name(section, subject.baseline)
        bases = dict.fromkeys((baseline, *(name for name in subject.also_against if section.agents.get(name))))
        for base in bases:
            ratios = multiplier_curves(section, base, subject.thresholds)
            found.append(labels_needed(section, base, subject.thresholds, ratios))
        found += [power_laws(section), questions(section)]
    return [grid for grid in found if grid is not None]


def _score(values: Sequence[float]) -> str:
    return interval(mean_interval(values)) if values else NOTHING


def interval(e: Estimate) -> str:
    """A number with its interval, where there is one."""
    digits = 3 if abs(e.value) < 10 else 1
    text = [f"{x:,.{digits}f}".replace("-", "−") for x in (e.value, e.low, e.high)]
    return f"{text[0]} [{text[1]}, {text[2]}]" if np.isfinite(e.low) else text[0]


def _difference(e: Estimate | None) -> str:
    if e is None:
        return NOTHING
    return signed(e.value) + (f" [{signed(e.low)}, {signed(e.high)}]" if np.isfinite(e.low) else "")


def _probability(e: Estimate) -> str:
    return f"{e.value:.2f}" + (f" [{e.low:.2f}, {e.high:.2f}]" if e.known else "")
