"""What labels cost in compute: the headline metric against wall seconds and against generated tokens.

An agent may buy its labels' worth with candidates, reward models and time; a curve over labels alone hides the price.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from duelbench.results.report.comparison.section import Section
from duelbench.results.report.comparison.words.findings import headline_metric
from duelbench.results.report.pictures.drawing import caption, save_csv, save_png
from duelbench.results.report.pictures.legends import legend
from duelbench.results.report.pictures.panels import Drawn, draw_bands, drawn_curves
from duelbench.results.report.pictures.styles import FAINT, MUTED, Style
from duelbench.results.statistics.curves import align
from duelbench.results.statistics.estimates import Floats

_COSTS = {"wall_seconds": "wall seconds of a run", "generated_tokens": "generated tokens of a run"}


@dataclass(frozen=True, slots=True)
class Priced:
    """One agent's mean curve of the headline metric with what it had cost by then, (Q,) each."""

    curve: Drawn
    cost: Floats


def priced_curves(section: Section, cost: str) -> list[Priced]:
    """Every agent's mean curve against its mean cost at the same labels; without agents whose runs recorded none."""
    metric = headline_metric(section)
    found = []
    for drawn in drawn_curves(section, metric) if metric else ():
        timing = [run.timing for run in section.agents[drawn.agent] if run.timing and cost in run.timing[-1]]
        if not timing or not any(rows[-1][cost] for rows in timing):
            continue
        curves = align([[t["labels"] for t in rows] for rows in timing], [[t[cost] for t in rows] for rows in timing])
        if len(curves.labels) > 1:
            found.append(Priced(drawn, np.interp(drawn.curves.labels, curves.labels, curves.values.mean(0))))
    return found


def compute(section: Section, path: Path) -> Path | None:
    """The headline metric against each cost that was recorded; None (and nothing written) where none was."""
    shown = {cost: found for cost in _COSTS if (found := priced_curves(section, cost))}
    if not shown:
        return None
    metric, looks = headline_metric(section) or "", section.looks

    def draw(figure: Figure) -> None:
        places = figure.subplots(1, len(shown), squeeze=False)[0]
        for axes, (cost, found) in zip(places, shown.items(), strict=True):
            _draw(axes, section, metric, cost, found, looks)
        present = {p.curve.agent for found in shown.values() for p in found}
        legend(figure, {agent: style for agent, style in looks.items() if agent in present})
        caption(figure, f"{section.name} · both axes: means over seeds; all agents used the same labels")

    save_png(path, (10.2 if len(shown) > 1 else 6.6, 4.2), draw)
    rows = [
        (cost, p.curve.agent, *values)
        for cost, found in shown.items()
        for p in found
        for values in zip(p.curve.curves.labels.tolist(), p.cost.tolist(), p.curve.mean.tolist(), strict=True)
    ]
    save_csv(path.with_suffix(".csv"), ("cost", "agent", "labels", "spent", metric), rows)
    return path


def _draw(axes: Axes, section: Section, metric: str, cost: str, found: list[Priced], looks: dict[str, Style]) -> None:
    look = section.metric(metric)
    if look.chance is not None:
        axes.axhline(look.chance, color=FAINT, linewidth=1.0, zorder=1)
    bands = [
        (p.cost[p.cost > 0], p.curve.band[0][p.cost > 0], p.curve.band[1][p.cost > 0], looks[p.curve.agent][0])
        for p in found
        if p.curve.band is not None
    ]
    draw_bands(axes, bands, alpha=0.1)
    for p in found:
        (color, line), spent = looks[p.curve.agent], p.cost > 0
        axes.plot(p.cost[spent], p.curve.mean[spent], color=color, linestyle=line, linewidth=1.8, zorder=3)
        axes.plot(p.cost[-1:], p.curve.mean[-1:], "o", color=color, markersize=5, zorder=4)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,g}" if x < 1e6 else f"{x / 1e6:g} M"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title(f"{look.title[0].upper()}{look.title[1:]} for {_COSTS[cost].rpartition(' of')[0]}", pad=18)
    better = "higher" if look.higher_is_better else "lower"
    note = f"further left is cheaper · {better} is better · dot: last label"
    axes.text(0, 1.012, note, transform=axes.transAxes, fontsize=8, color=MUTED, va="bottom")
    axes.set_xlabel(f"{_COSTS[cost]}, logarithmic")
    axes.set_ylabel(look.title)
