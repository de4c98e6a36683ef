"""A learning curve of a study with its band, and what goes round it."""

from __future__ import annotations

from matplotlib.axes import Axes

from duelbench.experiments.records import Ids, Records
from duelbench.results.report.pictures.styles import FAINT, MUTED, Style
from duelbench.results.statistics.estimates import BAND_MIN_RUNS, mean_band


def curve(axes: Axes, records: Records, ids: Ids, metric: str, style: Style, *, band: bool = True) -> None:
    """The mean over seeds, and its band if wanted and if there are enough; nothing if there are no runs."""
    curves = records.stacked(ids, metric)
    if curves is None:
        return
    color, dashes = style
    axes.plot(curves.labels, curves.values.mean(0), color=color, linestyle=dashes, linewidth=1.8)
    if band and len(curves) >= BAND_MIN_RUNS:
        axes.fill_between(curves.labels, *mean_band(curves.values), color=color, alpha=0.1, linewidth=0)


def dress(axes: Axes, title: str, x_label: str, level: float | None = 0.5) -> None:
    """Title, label and a dotted level; or that there is nothing yet."""
    axes.set_title(title)
    if not axes.lines:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not run yet", color=MUTED, ha="center", transform=axes.transAxes)
        return
    if level is not None:
        axes.axhline(level, color=FAINT, linestyle=":", linewidth=1)
    axes.set_xlabel(x_label, color=MUTED)
