"""Calibration of the agents with a posterior, as the report shows it: a table and a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from duelbench.results.report.comparison.section import Section
from duelbench.results.report.grids import NOTHING
from duelbench.results.report.parts.tables import agent_name, anchor, estimate
from duelbench.results.report.pictures.drawing import caption, save_csv, save_png
from duelbench.results.report.pictures.legends import legend
from duelbench.results.report.pictures.styles import FAINT, MUTED, Style
from duelbench.results.report.rendering import Table, link
from duelbench.results.statistics import reliability as calibration
from duelbench.results.statistics.estimates import BAND_MIN_RUNS, mean_interval
from duelbench.results.statistics.reliability import Binned, Predictions

_COLUMNS = {
    "accuracy": "accuracy",
    "calibration_error": "calibration error",
    "brier": "Brier score",
    "brier_floor": "lowest possible",
    "coverage": "two-sd coverage",
    "rank_correlation": "spread with error",
}
Found = dict[str, list[Predictions]]

NOTE = (
    "Each run’s posterior predicted held-out duels between two samples of the reference policy: the mean over its "
    "members of P(first preferred), and their standard deviation. The truth is the known probability of an answer. "
    "Calibration error (ECE): mean distance between prediction and truth over ten bins of equal width. Brier score: "
    "expected squared distance to an answer, and beside it what the truth itself would score. Two-sd coverage: how "
    "often the truth lies within two of the members’ standard deviations of the prediction. Spread with error: "
    "Spearman’s rank correlation of the members’ standard deviation with |truth − prediction|; positive where the "
    "posterior knows where it errs. Means over runs with 95 % Student t intervals."
)


def predictions(section: Section) -> Found:
    """What the finished runs of each agent predicted; only agents of which some did."""
    found = {
        agent: [p for run in runs if (p := calibration.read_predictions(run)) is not None and len(p.truth)]
        for agent, runs in section.agents.items()
    }
    return {agent: runs for agent, runs in found.items() if runs}


def calibration_table(section: Section, found: Found) -> Table:
    """One row of numbers for each agent."""
    rows = []
    for agent, runs in found.items():
        scores = [calibration.scores(run) for run in runs]
        cells = [_mean([score[name] for score in scores]) for name in _COLUMNS]
        seeds = link(f"#{anchor(section, agent)}", str(len(runs)))
        duels = f"{sum(len(run.truth) for run in runs):,}"
        rows.append([agent_name(section, agent), seeds, duels, *cells])
    return Table(["agent", "seeds", "duels", *_COLUMNS.values()], rows)


def draw_calibration(section: Section, found: Found, path: Path) -> Path:
    """Reliability with the number of duels in each bin, and error by spread; writes ``path`` and the CSV beside it."""
    reliable = {agent: calibration.reliability(runs) for agent, runs in found.items()}
    doubt = {agent: calibration.uncertainty(runs) for agent, runs in found.items()}
    looks = {agent: style for agent, style in section.looks.items() if agent in found}

    def draw(figure: Figure) -> None:
        places = figure.subplot_mosaic([["reliable", "doubt"], ["count", "doubt"]], height_ratios=[3.4, 1])
        _reliability(places["reliable"], reliable, looks)
        _counts(places["count"], reliable, looks)
        _doubt(places["doubt"], doubt, looks)
        legend(figure, looks)
        few = min(map(len, found.values())) < BAND_MIN_RUNS
        bars = "" if few else ", bars: 95 % intervals over runs"
        caption(figure, f"{section.name} · held-out duels of reference samples{bars}")

    save_png(path, (10.2, 5.0), draw)
    rows = [
        (what, agent, *values)
        for what, binned in (("reliability", reliable), ("spread", doubt))
        for agent, b in binned.items()
        for values in zip(*(column.tolist() for column in (b.count, b.x, b.y, b.low, b.high)), strict=True)
    ]
    save_csv(path.with_suffix(".csv"), ("bins", "agent", "duels", "x", "y", "low", "high"), rows)
    return path


def _reliability(axes: Axes, found: dict[str, Binned], looks: dict[str, Style]) -> None:
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.2, zorder=1)
    _lines(axes, found, looks)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_title("Reliability", pad=18)
    note = "on the line: calibrated · flatter: overconfident"
    axes.text(0, 1.012, note, transform=axes.transAxes, fontsize=8, color=MUTED, va="bottom")
    axes.set_ylabel("known probability, mean")
    axes.tick_params(labelbottom=False)


def _counts(axes: Axes, found: dict[str, Binned], looks: dict[str, Style]) -> None:
    edges = np.linspace(0.0, 1.0, calibration.BINS + 1)
    for agent, b in found.items():
        axes.stairs(b.count, edges, color=looks[agent][0], linewidth=1.5)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, None)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
    axes.set_xlabel("predicted probability that the first is preferred")
    axes.set_ylabel("duels")


def _doubt(axes: Axes, found: dict[str, Binned], looks: dict[str, Style]) -> None:
    _lines(axes, found, looks)
    axes.set_ylim(0, None)
    axes.set_xlim(0, None)
    axes.set_title("Uncertainty against error", pad=18)
    note = "rising: the posterior knows where it errs"
    axes.text(0, 1.012, note, transform=axes.transAxes, fontsize=8, color=MUTED, va="bottom")
    axes.set_xlabel("members’ standard deviation, bins of equally many duels")
    axes.set_ylabel("mean |known − predicted probability|")


def _lines(axes: Axes, found: dict[str, Binned], looks: dict[str, Style]) -> None:
    for agent, b in found.items():
        (color, line), seen = looks[agent], b.count > 0
        axes.plot(b.x[seen], b.y[seen], color=color, linestyle=line, linewidth=1.6, marker="o", markersize=4, zorder=3)
        known = seen & np.isfinite(b.low)
        axes.vlines(b.x[known], b.low[known], b.high[known], color=color, linewidth=1.6, alpha=0.55, zorder=2)


def _mean(values: list[float]) -> str:
    known = [value for value in values if np.isfinite(value)]
    return estimate(mean_interval(known)) if known else NOTHING
