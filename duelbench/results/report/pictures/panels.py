"""One panel of a picture: the curves of all agents on one metric, and the guides that they are read against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from duelbench.duels.guides import BEST_AGAINST_UNIFORM
from duelbench.metrics import PICTURED, SECOND_WIN_RATES, WIN_RATES, cumulative_regret
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.pictures.styles import FAINT, GUIDE, MUTED, Style
from duelbench.results.statistics.curves import Curves
from duelbench.results.statistics.estimates import BAND_MIN_RUNS, Floats, mean_band


@dataclass(frozen=True, slots=True)
class Panel:
    """What a panel shows.

    Attributes:
        metric: the metric.
        log_labels: labels on a logarithmic axis, from the first label on.
        log_values: the metric too.
        closer: leave out of view who has learned little: who ends above the guide ``BEST_AGAINST_UNIFORM``, or, on a
            metric without that guide, above half of what uniform pairs end at.
    """

    metric: str
    log_labels: bool = False
    log_values: bool = False
    closer: bool = False


_CROWD = 8  # agents beyond whom lines are thinner and bands fainter


@dataclass(frozen=True, slots=True)
class Drawn:
    """One agent's curve as it is drawn: single runs, their mean (Q,), and a band (Q,) if they are enough."""

    agent: str
    seeds: list[int]
    curves: Curves
    mean: Floats
    band: tuple[Floats, Floats] | None


def default_panels(section: Section, log_labels: bool = False) -> tuple[Panel, ...]:
    """The overview of a task; where responses are judged, with labels on a logarithmic axis if asked for.

    For arms that is regret twice, the second time against ln T, where a rate of c ln T is a straight line of slope
    c; then what only the better arm loses; then the arm that would be deployed.
    """
    if not section.numeric:
        pairs = (WIN_RATES, SECOND_WIN_RATES)  # where a judge only compares, there is a probability in place of a rate
        instead = {rate: probability for rate, probability in pairs if rate not in section.metrics}
        return tuple(Panel(instead.get(metric, metric), log_labels=log_labels) for metric in PICTURED)
    kind = "average" if cumulative_regret("average") in section.metrics else "copeland"
    regret, other = cumulative_regret(kind), {"average": "weak", "copeland": "borda"}[kind]
    return (
        Panel(regret),
        Panel(regret, log_labels=True, closer=True),
        Panel(cumulative_regret(other), closer=True),
        Panel("simple_regret", log_labels=True),
    )


def further_panels(section: Section) -> tuple[Panel, ...]:
    """What is worth a picture besides the overview of a task with arms; other metrics are in the leaderboard only."""
    shown = {panel.metric for panel in default_panels(section)}
    regrets = [cumulative_regret(kind) for kind in ("copeland", "borda", "von_neumann")]
    found = [Panel(metric) for metric in regrets if metric not in shown]
    found += [Panel("best_arm_rate", log_labels=True), Panel("parameter_error", log_labels=True, log_values=True)]
    return tuple(panel for panel in found if panel.metric in section.metrics)


def drawn_curves(section: Section, metric: str) -> list[Drawn]:
    """What a picture of this metric shows; agents that never recorded it are left out."""
    found = []
    for agent in section.agents:
        curves = section.curves(agent, metric)
        if curves is None:
            continue
        band = mean_band(curves.values) if len(curves) >= BAND_MIN_RUNS else None
        seeds = list(section.final(agent, metric))
        found.append(Drawn(agent, seeds, curves, curves.values.mean(axis=0), band))
    return found


def draw_panel(axes: Axes, section: Section, panel: Panel, drawn: list[Drawn]) -> None:
    """Draw a panel with its title and its axes."""
    look, shown = section.metric(panel.metric), section.looks
    if look.chance is not None:
        axes.axhline(look.chance, color=FAINT, linewidth=1.0, zorder=1)
    if panel.log_labels:
        drawn = [_from_first_label(d) for d in drawn]
    crowd = len(drawn) > _CROWD
    bands = [(d.curves.labels, *d.band, shown[d.agent][0]) for d in drawn if d.band is not None]
    draw_bands(axes, bands, alpha=0.06 if crowd else 0.13)
    for d in drawn:
        _draw_curve(axes, d, shown[d.agent], width=1.5 if crowd else 2.0)
    end = max(float(d.curves.labels[-1]) for d in drawn)
    note = _note(section, panel, drawn, end)
    axes.text(0, 1.012, note, transform=axes.transAxes, fontsize=8, color=MUTED, va="bottom")
    axes.set_title(look.title[0].upper() + look.title[1:], pad=18)
    axes.set_xlabel("oracle labels, logarithmic" if panel.log_labels else "oracle labels")
    axes.set_ylabel(f"{look.title} vs reference" if look.chance is not None else look.title)
    _frame(axes, panel, drawn, end)
    if panel.closer and (top := _closer(section, panel, drawn, end)) is not None:
        axes.set_ylim(-0.03 * top, top)
    _draw_guides(axes, section, panel.metric, end)


def _from_first_label(d: Drawn) -> Drawn:
    """Without what cannot be seen on a logarithmic axis, so that it does not move the limits of the other."""
    known = d.curves.labels > 0
    band = None if d.band is None else (d.band[0][known], d.band[1][known])
    return Drawn(d.agent, d.seeds, Curves(d.curves.labels[known], d.curves.values[:, known]), d.mean[known], band)


def guide_styles(section: Section, metrics: Sequence[str]) -> dict[str, Style]:
    """Line style of each guide of some metrics, by its name; a name looks the same in all pictures of a task."""
    names = list(dict.fromkeys(guide.name for metric in section.metrics for guide in section.guides(metric)))
    known = {name: GUIDE[i % len(GUIDE)] for i, name in enumerate(names)}
    return {guide.name: known[guide.name] for metric in metrics for guide in section.guides(metric)}


def draw_bands(axes: Axes, bands: Sequence[tuple[Floats, Floats, Floats, str]], alpha: float) -> None:
    """Fill between low and high, all bands as one artist; each is x, low, high, (Q,) each, and a colour."""
    if bands:
        outlines = [
            np.concatenate([np.stack([x, low], -1), np.stack([x, high], -1)[::-1]]) for x, low, high, _ in bands
        ]
        colors = [color for *_, color in bands]
        axes.add_collection(PolyCollection(outlines, facecolors=colors, alpha=alpha, linewidths=0, zorder=2))


def _draw_curve(axes: Axes, d: Drawn, style: Style, width: float) -> None:
    color, line = style
    if d.band is None and len(d.curves) > 1:
        axes.plot(d.curves.labels, d.curves.values.T, color=color, linewidth=0.7, alpha=0.35, zorder=2)
    alone = "o" if len(d.curves.labels) == 1 else None  # one point makes no line
    axes.plot(d.curves.labels, d.mean, color=color, linestyle=line, linewidth=width, marker=alone, zorder=3)


def _draw_guides(axes: Axes, section: Section, metric: str, end: float) -> None:
    """Draw guides where the curves left room: they do not move the limits."""
    view, shown = (axes.get_xlim(), axes.get_ylim()), guide_styles(section, [metric])
    labels = np.geomspace(1.0, end, 400)
    for guide in section.guides(metric):
        color, line = shown[guide.name]
        axes.plot(labels, guide.value(labels), color=color, linestyle=line, linewidth=1.1, zorder=2.5)
    axes.set_xlim(*view[0])
    axes.set_ylim(*view[1])


def _note(section: Section, panel: Panel, drawn: list[Drawn], end: float) -> str:
    look = section.metric(panel.metric)
    better = {True: "higher is better", False: "lower is better", None: ""}[look.higher_is_better]
    closer = "zoomed in" if panel.closer and _closer(section, panel, drawn, end) is not None else ""
    meaning = look.meaning_of_arms if section.numeric else look.meaning
    return " · ".join(text for text in (meaning, better, closer) if text)


def _closer(section: Section, panel: Panel, drawn: list[Drawn], end: float) -> float | None:
    """Top of the view without those who have learned little; None if there is nobody to leave out, or to see."""
    halves = [g.coefficient * end for g in section.guides(panel.metric) if g.name == BEST_AGAINST_UNIFORM]
    halves += [float(d.mean[-1]) / 2 for d in drawn if d.agent == section.floor]
    level = next(iter(halves), np.inf)
    inside = [d for d in drawn if 0 < d.mean[-1] < level and d.agent != section.floor]
    if not inside or len(inside) == len([d for d in drawn if d.mean[-1] > 0]):
        return None
    return 1.15 * max(float((d.mean if d.band is None else d.band[1])[-1]) for d in inside)


def _frame(axes: Axes, panel: Panel, drawn: list[Drawn], end: float) -> None:
    if panel.log_labels:
        start = min(float(d.curves.labels[0]) for d in drawn)
        decades = 10.0 ** np.arange(np.ceil(np.log10(start)), np.log10(end) + 1e-9)
        if len(decades) < 2:  # so few would not tell how the axis runs
            steps = np.concatenate([decade * np.array([1.0, 2.0, 5.0]) for decade in 10.0 ** np.arange(9)])
            decades = steps[(steps >= start) & (steps <= end)]
        axes.set_xscale("log")
        axes.set_xlim(start, end)
        axes.set_xticks([*decades, end] if end >= 2 * max(decades, default=start) else decades)
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.set_xlim(0, end)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    if panel.log_values:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        return
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    if axes.get_ylim()[1] >= 1000:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))


COLUMNS = ("metric", "agent", "series", "labels", "value")


def table_of(section: Section, shown: dict[str, list[Drawn]]) -> Iterator[tuple[str, str, str, float, float]]:
    """Every point of a picture: series is ``mean``, ``low``, ``high``, ``seed N``, or ``guide`` after the agents."""
    for metric, drawn in shown.items():
        for d in drawn:
            series = {"mean": d.mean}
            if d.band is not None:
                series |= {"low": d.band[0], "high": d.band[1]}
            else:
                series |= {f"seed {s}": v for s, v in zip(d.seeds, d.curves.values, strict=True)}
            for name, values in series.items():
                for x, y in zip(d.curves.labels.tolist(), values.tolist(), strict=True):
                    yield metric, d.agent, name, x, y
        labels = max((d.curves.labels for d in drawn), key=lambda grid: float(grid[-1]))
        for guide in section.guides(metric):
            for x, y in zip(labels.tolist(), guide.value(labels).tolist(), strict=True):
                if np.isfinite(y):
                    yield metric, guide.name, "guide", x, y
