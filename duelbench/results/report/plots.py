"""The pictures: learning curves against oracle labels, and label multipliers against win rate.

From ``BAND_MIN_RUNS`` seeds on, a curve is a mean in a 95 % band of whole-run resamples; with fewer, every
run is a thin line of its own and the mean is bold. Every picture is written with a CSV of what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from duelbench.results.report.comparison import Section
from duelbench.results.report.drawing import (
    FAINT,
    MUTED,
    caption,
    legend,
    save_csv,
    save_png,
)
from duelbench.results.report.panels import (
    COLUMNS,
    Drawn,
    Panel,
    default_panels,
    draw_panel,
    drawn_curves,
    guide_styles,
    table_of,
)
from duelbench.results.report.styles import Style
from duelbench.results.statistics.curves import Multiplier, multipliers
from duelbench.results.statistics.estimates import BAND_MIN_RUNS, center_name
from duelbench.streams import Streams

_LARGE = 4  # panels; more of them are smaller, in three columns


def overview(section: Section, path: Path, panels: Sequence[Panel] | None = None) -> Path | None:
    """Panels in two or three columns under one legend, the task's own if None; writes ``path`` and the CSV beside it.

    Returns:
        ``path``, or None (and nothing written) where no finished run recorded any of the metrics.
    """
    panels = default_panels(section) if panels is None else panels
    shown = {panel.metric: drawn_curves(section, panel.metric) for panel in {p.metric: p for p in panels}.values()}
    shown = {metric: drawn for metric, drawn in shown.items() if drawn}
    panels = [panel for panel in panels if panel.metric in shown]
    if not panels:
        return None
    n_columns = min(len(panels), 2 if len(panels) <= _LARGE else 3)
    n_rows = -(-len(panels) // n_columns)
    width, height = (5.1, 3.4) if n_columns < 3 else (3.7, 2.8)
    everyone = [d for drawn in shown.values() for d in drawn]
    present = {d.agent: section.looks[d.agent] for d in everyone}
    guides = guide_styles(section, list(shown))

    def draw(figure: Figure) -> None:
        places = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for axes, panel in zip(places, panels, strict=False):
            draw_panel(axes, section, panel, shown[panel.metric])
        for axes in places[len(panels) :]:
            axes.remove()
        legend(figure, {a: present[a] for a in section.agents if a in present}, guides)
        caption(figure, f"{_task(section)} · {_averaged(everyone)}{_reference(section, list(shown))}")

    save_png(path, (width * n_columns, height * n_rows + 0.7 + 0.07 * max(0, len(present) - 8)), draw)
    save_csv(path.with_suffix(".csv"), COLUMNS, table_of(section, shown))
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
        shown = {a: s for a, s in section.looks.items() if a in found}
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


def _task(section: Section) -> str:
    """The task's title, with its settings where they say which arms were played."""
    if not section.numeric or "[" in section.title:
        return section.title
    settings = section.runs[0].spec.get("env_kwargs") or {}
    return ", ".join([section.title, *(f"{key} = {value}" for key, value in settings.items())])


def _reference(section: Section, metrics: Sequence[str]) -> str:
    """A second line that says what win rates are against and who judges, where all runs agree."""
    if not any(section.metric(metric).chance is not None for metric in metrics):
        return ""
    said = {(run.manifest.get("reference"), run.manifest.get("judge")) for run in section.runs}
    reference, judge = said.pop() if len(said) == 1 else (None, None)
    return f"\nwin rates against {reference}, judged by {judge}" if reference and judge else ""


def _seeds(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low} seed{'s' if low > 1 else ''}" if low == high else f"{low} to {high} seeds"
