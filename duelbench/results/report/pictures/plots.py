"""The pictures: learning curves against oracle labels, and label multipliers against win rate.

From ``BAND_MIN_RUNS`` seeds on, a curve is a mean in its 95 % Student t band; with fewer, every run is a thin line of
its own and the mean is bold. Every picture is written with a CSV of what it shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from duelbench.metrics import SECOND_WIN_RATES, WIN_RATES
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.pictures.drawing import caption, save_csv, save_png
from duelbench.results.report.pictures.legends import legend
from duelbench.results.report.pictures.panels import (
    COLUMNS,
    Drawn,
    Panel,
    default_panels,
    draw_panel,
    drawn_curves,
    guide_styles,
    table_of,
)
from duelbench.results.report.pictures.styles import FAINT, MUTED, Style
from duelbench.results.statistics.curves import Multiplier

_LARGE = 4  # panels; more of them are smaller, in three columns


def overview(
    section: Section, path: Path, panels: Sequence[Panel] | None = None, columns: int | None = None
) -> Path | None:
    """Panels under one legend, the task's own if None; writes ``path`` and the CSV beside it.

    Args:
        section: the task.
        path: the picture.
        panels: what it shows.
        columns: panels beside each other; None for two, or three where they are many.

    Returns:
        ``path``, or None (and nothing written) where no finished run recorded any of the metrics.
    """
    panels = default_panels(section) if panels is None else panels
    shown = {panel.metric: drawn_curves(section, panel.metric) for panel in {p.metric: p for p in panels}.values()}
    shown = {metric: drawn for metric, drawn in shown.items() if drawn}
    panels = [panel for panel in panels if panel.metric in shown]
    if not panels:
        return None
    n_columns = columns or min(len(panels), 2 if len(panels) <= _LARGE else 3)
    n_rows = -(-len(panels) // n_columns)
    width, height = (5.1, 3.4) if n_columns < 3 else (3.7, 2.8)
    everyone = [d for drawn in shown.values() for d in drawn]
    present = {d.agent: section.looks[d.agent] for d in everyone}
    guides = guide_styles(section, list(shown))

    def draw(figure: Figure) -> None:
        places = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        for axes, panel in zip(places, panels, strict=False):
            draw_panel(axes, section, panel, shown[panel.metric])
        _level({panel.metric: axes for axes, panel in zip(places, panels, strict=False)})
        for axes in places[len(panels) :]:
            axes.remove()
        legend(figure, {a: present[a] for a in section.agents if a in present}, guides)
        caption(figure, f"{_task(section)} · {_averaged(everyone)}{_reference(section, list(shown))}")

    save_png(path, (width * n_columns, height * n_rows + 0.7), draw)
    save_csv(path.with_suffix(".csv"), COLUMNS, table_of(section, shown))
    return path


def _level(drawn: Mapping[str, Axes]) -> None:
    """Give the panels of both judges one scale: what rises by the first and falls by the second shows."""
    for pair in zip(WIN_RATES, SECOND_WIN_RATES, strict=True):
        if all(metric in drawn for metric in pair):
            ends = [end for metric in pair for end in drawn[metric].get_ylim()]
            for metric in pair:
                drawn[metric].set_ylim(min(ends), max(ends))


def multiplier(section: Section, base: str, found: dict[str, list[Multiplier]], path: Path) -> Path | None:
    """Label multipliers over ``base`` at the preset win rates, with their intervals.

    Nothing is drawn between the win rates that were chosen in advance: the best of many points is good by luck.

    Args:
        section: the task.
        base: whom the others are compared with.
        found: the multipliers of each other agent.
        path: the picture; its numbers go beside it.

    Returns:
        ``path``, or None (and nothing written) where no interval is known.
    """
    found = {agent: ms for agent, ms in found.items() if any(_drawable(m) for m in ms)}
    if not found:
        return None
    seeds = [len(section.agents[agent]) for agent in (base, *found)]

    def draw(figure: Figure) -> None:
        shown = {a: s for a, s in section.looks.items() if a in found}
        axes = figure.subplots()
        for place, (agent, style) in enumerate(shown.items()):
            _draw_multipliers(axes, found[agent], style, _WIDTH * ((place + 0.5) / len(shown) - 0.5))
        _frame_multipliers(axes, base, [m.threshold for m in next(iter(found.values()))])
        legend(figure, shown)
        note = f"{section.title} · mean curves of {_seeds(seeds)}, bars: 95 % intervals\n"
        note += f"arrow: open end, because {base} (up) or the agent (down) may not get there within its labels"
        caption(figure, note)

    save_png(path, (6.6, 4.6), draw)
    header = ("agent", "threshold", "base_labels", "agent_labels", "multiplier", "low", "high")
    rows = (
        (agent, m.threshold, m.base_labels, m.agent_labels, m.value, m.low, m.high)
        for agent, ms in found.items()
        for m in ms
    )
    save_csv(path.with_suffix(".csv"), header, rows)
    return path


_WIDTH = 0.7  # of a win rate's group of bars, where the next group is 1 away


def _drawable(m: Multiplier) -> bool:
    """Whether one end of the interval is known."""
    return m.low > 0 or bool(np.isfinite(m.high))


def _draw_multipliers(axes: Axes, found: list[Multiplier], style: Style, offset: float) -> None:
    """Bars from end to end, a dot where the multiplier is known, an arrow at each end that is open."""
    color, _ = style
    bars: list[tuple[float, float, float]] = []  # x, low, high
    marks: dict[str, list[tuple[float, float]]] = {"o": [], "v": [], "^": []}
    for place, m in enumerate(found):
        if not _drawable(m):
            continue
        x, known = place + offset, [end for end in (m.low, m.high) if 0 < end < np.inf]
        inside = m.value if 0 < m.value < np.inf else known[0]
        low = m.low if m.low > 0 else min(inside, *known) / 1.5
        high = m.high if m.high < np.inf else max(inside, *known) * 1.5
        bars.append((x, low, high))
        for mark, shown, y in (("o", inside == m.value, inside), ("v", m.low == 0, low), ("^", m.high == np.inf, high)):
            marks[mark] += [(x, y)] if shown else []
    axes.vlines(*zip(*bars, strict=True), color=color, linewidth=2.0, alpha=0.6)
    for mark, points in marks.items():
        if points:
            axes.plot(*zip(*points, strict=True), mark, color=color, markersize=5)


def _frame_multipliers(axes: Axes, base: str, thresholds: Sequence[float]) -> None:
    axes.axhline(1, color=FAINT, linewidth=1.2, zorder=1)
    low, high = axes.dataLim.intervaly
    axes.set_yscale("log", base=2)
    axes.set_ylim(min(0.45, low / 1.2), max(2.2, high * 1.2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}×"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xticks(range(len(thresholds)), [f"{t:g}" for t in thresholds])
    axes.set_xlim(-0.6, len(thresholds) - 0.4)
    axes.set_title(f"Labels saved over {base}", pad=18)
    note = f"how many times fewer labels than {base} · above 1× is better"
    axes.text(0, 1.012, note, transform=axes.transAxes, fontsize=8, color=MUTED, va="bottom")
    axes.set_xlabel("preset offline win rate vs reference")
    axes.set_ylabel(f"labels of {base} / labels of agent")


def _averaged(drawn: list[Drawn]) -> str:
    text = f"mean of {_seeds([len(d.curves) for d in drawn])}"
    banded = [d.band is not None for d in drawn]
    if all(banded):
        return f"{text}, band: 95 % Student t"
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
    said = {(run.manifest.get("reference"), run.manifest.get("judge"), run.second_judge) for run in section.runs}
    reference, judge, second = said.pop() if len(said) == 1 else (None, None, None)
    judges = f"{judge}, and by the second judge {second}" if second else judge
    return f"\nwin rates against {reference}, judged by {judges}" if reference and judge else ""


def _seeds(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low} seed{'s' if low > 1 else ''}" if low == high else f"{low} to {high} seeds"
