"""The pictures: learning curves against oracle labels, and label multipliers against win rate.

From ``BAND_MIN_RUNS`` seeds on, a curve is a mean in a 95 % band of whole-run resamples; with fewer, every
run is a thin line of its own and the mean is bold. Every picture is written with a CSV of what it shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from duelbench.comparison import Section
from duelbench.curves import Curves, Multiplier, curve_band, multipliers
from duelbench.drawing import (
    FAINT,
    MUTED,
    Style,
    caption,
    end_labels,
    legend,
    save_csv,
    save_png,
    styles,
)
from duelbench.stats import BAND_MIN_RUNS, Floats, center_name
from duelbench.streams import Streams

OVERVIEW = ("offline_win_rate", "online_win_rate", "cumulative_average_regret", "simple_regret")

_MEANING = {
    "offline_win_rate": "deployed response on held-out prompts",
    "offline_win_probability": "deployed response on held-out prompts",
    "online_win_rate": "responses shown to the oracle",
    "online_win_probability": "responses shown to the oracle",
    "cumulative_average_regret": "of both responses shown, summed",
    "cumulative_weak_regret": "of the better response shown, summed",
    "cumulative_probability_regret": "on the probability scale, summed",
    "simple_regret": "deployed response on held-out prompts",
    "offline_utility": "deployed response on held-out prompts",
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """One agent's curve as it is drawn: single runs, their mean (Q,), and a band (Q,) if they are enough."""

    agent: str
    seeds: list[int]
    curves: Curves
    mean: Floats
    band: tuple[Floats, Floats] | None


def drawn_curves(section: Section, metric: str) -> list[Drawn]:
    """What a picture of this metric shows; agents that never recorded it are left out."""
    found = []
    for agent in section.agents:
        curves = section.curves(agent, metric)
        if curves is None:
            continue
        rng = Streams(0).generator(f"band/{agent}/{metric}")
        band = curve_band(curves, rng) if len(curves) >= BAND_MIN_RUNS else None
        seeds = list(section.final(agent, metric))
        found.append(Drawn(agent, seeds, curves, curves.values.mean(axis=0), band))
    return found


def overview(section: Section, path: Path, metrics: Sequence[str] = OVERVIEW) -> Path | None:
    """A panel for each metric in two columns under one legend; writes ``path`` and the CSV beside it.

    Returns:
        ``path``, or None (and nothing written) where no finished run recorded any of the metrics.
    """
    shown = {metric: drawn for metric in metrics if (drawn := drawn_curves(section, metric))}
    if not shown:
        return None
    n_rows, n_columns = -(-len(shown) // 2), min(2, len(shown))
    everyone = [d for drawn in shown.values() for d in drawn]
    has_win_rate = any(section.metric(metric).chance is not None for metric in shown)
    against = _reference(section) if has_win_rate else ""

    def draw(figure: Figure) -> None:
        panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for axes, (metric, drawn) in zip(panels, shown.items(), strict=False):
            _draw_metric(axes, section, metric, drawn)
        for axes in panels[len(shown) :]:
            axes.remove()
        present = {d.agent for d in everyone}
        legend(figure, {a: s for a, s in styles(section.agents).items() if a in present})
        caption(figure, f"{section.title} · {_averaged(everyone)}{against}")

    save_png(path, (5.1 * n_columns, 3.4 * n_rows + 0.7), draw)
    save_csv(path.with_suffix(".csv"), _COLUMNS, _rows(shown))
    return path


def single(section: Section, metric: str, path: Path) -> Path | None:
    """One metric as a picture of its own; writes ``path`` and the CSV beside it, or None if nobody has it."""
    drawn = drawn_curves(section, metric)
    if not drawn:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _draw_metric(axes, section, metric, drawn)
        colors = {agent: color for agent, (color, _) in styles(section.agents).items()}
        end_labels(axes, {d.agent: (d.curves.labels[-1], d.mean[-1]) for d in drawn}, colors)
        caption(figure, f"{section.title} · {_averaged(drawn)}")

    save_png(path, (6.6, 4.2), draw)
    save_csv(path.with_suffix(".csv"), _COLUMNS, _rows({metric: drawn}))
    return path


def multiplier_curves(
    section: Section, base: str, thresholds: Sequence[float], metric: str = "offline_win_rate"
) -> dict[str, list[Multiplier]]:
    """For each other agent: how many times more labels the base needs to reach each threshold."""
    base_curves = section.curves(base, metric)
    found: dict[str, list[Multiplier]] = {}
    for agent in section.agents:
        curves = section.curves(agent, metric)
        if base_curves is not None and curves is not None and agent != base:
            rng = Streams(0).generator(f"multiplier/{agent}/{metric}")
            found[agent] = multipliers(base_curves, curves, thresholds, rng)
    return found


def multiplier(section: Section, base: str, thresholds: Sequence[float], path: Path) -> Path | None:
    """Label multiplier over ``base`` against win rate, on a fine grid between the thresholds.

    Returns:
        ``path``, or None (and nothing written) where no other agent reached any of the win rates.
    """
    grid = [float(t) for t in np.linspace(min(thresholds), max(thresholds), 31)]
    found = multiplier_curves(section, base, grid)
    found = {a: ms for a, ms in found.items() if any(_known(m) or _at_least(m) for m in ms)}
    if not found:
        return None
    seeds = {agent: len(section.agents[agent]) for agent in (base, *found)}

    def draw(figure: Figure) -> None:
        shown = {a: s for a, s in styles(section.agents).items() if a in found}
        axes = figure.subplots()
        for agent, style in shown.items():
            band = min(seeds[agent], seeds[base]) >= BAND_MIN_RUNS
            _draw_multiplier(axes, found[agent], style, band)
        _frame_multipliers(axes, base)
        legend(figure, shown)
        centers = " or ".join(dict.fromkeys(center_name(n) for n in seeds.values()))
        note = f"{section.title} · {centers} of {_seeds(list(seeds.values()))}"
        if min(seeds.values()) >= BAND_MIN_RUNS:
            note += ", band: 95 % whole-run bootstrap"
        caption(figure, f"{note}\ntriangle: at least this much, because {base} may never get there")

    save_png(path, (6.6, 4.6), draw)
    header = ("agent", "threshold", "base_labels", "agent_labels", "multiplier", "low", "high")
    rows = (
        (agent, m.threshold, m.base_labels, m.agent_labels, m.value, m.low, m.high)
        for agent, ms in found.items()
        for m in ms
    )
    save_csv(path.with_suffix(".csv"), header, rows)
    return path


def _draw_metric(axes: Axes, section: Section, metric: str, drawn: list[Drawn]) -> None:
    look, shown = section.metric(metric), styles(section.agents)
    if look.chance is not None:
        axes.axhline(look.chance, color=FAINT, linewidth=1.0, zorder=1)
    for d in drawn:
        color, line = shown[d.agent]
        if d.band is not None:
            axes.fill_between(d.curves.labels, *d.band, color=color, alpha=0.13, linewidth=0, zorder=2)
        elif len(d.curves) > 1:
            axes.plot(d.curves.labels, d.curves.values.T, color=color, linewidth=0.7, alpha=0.35, zorder=2)
        axes.plot(d.curves.labels, d.mean, color=color, linestyle=line, linewidth=2.0, zorder=3)
    better = {True: "higher is better", False: "lower is better", None: ""}[look.higher_is_better]
    note = " · ".join(text for text in (_MEANING.get(metric, ""), better) if text)
    axes.text(0, 1.012, note, transform=axes.transAxes, fontsize=8, color=MUTED, va="bottom")
    axes.set_title(look.title[0].upper() + look.title[1:], pad=18)
    axes.set_xlabel("oracle labels")
    axes.set_ylabel(f"{look.title} vs reference" if look.chance is not None else look.title)
    _frame_labels(axes, max(float(d.curves.labels[-1]) for d in drawn))


def _frame_labels(axes: Axes, end: float) -> None:
    axes.set_xlim(0, end)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    if axes.get_ylim()[1] >= 1000:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))


def _known(m: Multiplier) -> bool:
    """Whether there is a number to draw: both got there, in all but a few resamples."""
    return bool(m.low > 0 and np.isfinite(m.high) and 0 < m.value < np.inf)


def _at_least(m: Multiplier) -> bool:
    """Whether only a lower bound can be given, because the base may never get there."""
    return bool(np.isinf(m.high) and np.isfinite(m.agent_labels) and m.low > 0)


def _draw_multiplier(axes: Axes, found: list[Multiplier], style: Style, band: bool) -> None:
    color, line = style
    x = np.array([m.threshold for m in found])
    known = np.array([_known(m) for m in found])
    if band:
        low, high = np.array([m.low for m in found]), np.array([m.high for m in found])
        axes.fill_between(x, low, high, where=known, color=color, alpha=0.13, linewidth=0)
    value = np.where(known, [m.value for m in found], np.nan)
    axes.plot(x, value, color=color, linestyle=line, linewidth=2.0)
    bounds = [m for m in found if _at_least(m)][::2]
    axes.plot([m.threshold for m in bounds], [m.low for m in bounds], "^", color=color, markersize=4.5)


def _frame_multipliers(axes: Axes, base: str) -> None:
    axes.axhline(1, color=FAINT, linewidth=1.2, zorder=1)
    drawn = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    drawn = drawn[np.isfinite(drawn)]
    axes.set_yscale("log", base=2)
    axes.set_ylim(min(0.45, drawn.min() / 1.4), max(2.2, drawn.max() * 1.6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}×"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(f"Labels saved over {base}", pad=18)
    note = f"how many times fewer labels than {base} · above 1× is better"
    axes.text(0, 1.012, note, transform=axes.transAxes, fontsize=8, color=MUTED, va="bottom")
    axes.set_xlabel("offline win rate vs reference")
    axes.set_ylabel(f"labels of {base} / labels of agent")


def _averaged(drawn: list[Drawn]) -> str:
    text = f"mean of {_seeds([len(d.curves) for d in drawn])}"
    banded = [d.band is not None for d in drawn]
    if all(banded):
        return f"{text}, band: 95 % whole-run bootstrap"
    if max(len(d.curves) for d in drawn) == 1:
        return "a single seed: no interval can be given"
    return f"{text}, " + ("bands and " if any(banded) else "") + "thin lines: single runs"


def _reference(section: Section) -> str:
    """A second line that says what the win rates are against and who judges, where all runs agree."""
    said = {(run.manifest.get("reference"), run.manifest.get("judge")) for run in section.runs}
    reference, judge = said.pop() if len(said) == 1 else (None, None)
    return f"\nwin rates against {reference}, judged by {judge}" if reference and judge else ""


def _seeds(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low} seed{'s' if low > 1 else ''}" if low == high else f"{low} to {high} seeds"


_COLUMNS = ("metric", "agent", "series", "labels", "value")


def _rows(shown: dict[str, list[Drawn]]) -> Iterator[tuple[str, str, str, float, float]]:
    """Every point of a picture: series is ``mean``, ``low``, ``high`` or ``seed N``."""
    for metric, drawn in shown.items():
        for d in drawn:
            series = {"mean": d.mean}
            if d.band is not None:
                series |= {"low": d.band[0], "high": d.band[1]}
            else:
                series |= {f"seed {s}": v for s, v in zip(d.seeds, d.curves.values, strict=True)}
            for name, values in series.items():
                for x, y in zip(d.curves.labels, values, strict=True):
                    yield metric, d.agent, name, float(x), float(y)
