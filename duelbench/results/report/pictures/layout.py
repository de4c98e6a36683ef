"""Where the panels of a picture stand: as large as what stands round them allows.

matplotlib's constrained layout takes as long as the drawing itself: it measures every label on the canvas several times
and solves for all margins. Here widths of texts come from the font, each text once for all pictures, and a column is as
far from its neighbour as its widest labels need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, YAxis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EDGE = 0.09
"""Inches left free along the edges of a picture."""
_APART, _BETWEEN = 0.14, 0.25  # inches to the legend and the caption, and between what stands round two panels
_USUAL = np.array([0.65, 0.5, 0.2, 0.55])  # inches round a panel before it is measured: left, below, right, above
_TICK, _PAD = 7 / 72, 4 / 72  # inches from an axis to its tick labels, and from them to its label
_HEIGHT = 1.05  # of a line, in font sizes


@cache
def inches(text: str, size: float, weight: str | int = "normal") -> float:
    """Width of a line of text in points of this size."""
    font = FontProperties(size=size, weight=weight)
    width: float = text_to_path.get_text_width_height_descent(text, font, False)[0]
    return width / 72


def arrange(figure: Figure) -> None:
    """Place the panels of one grid between the legend and the caption, so that all labels are inside the picture.

    The top of the figure's ``subplotpars`` says where the legend ends.
    """
    renderer: Any = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    frame = _frame(figure, renderer)
    _place(figure, frame, [_USUAL] * len(figure.axes))  # some axes choose their ticks by the size of the panel
    ticks = [(_ticks(axes.xaxis), _ticks(axes.yaxis)) for axes in figure.axes]
    around = [_around(axes, *both, renderer) for axes, both in zip(figure.axes, ticks, strict=True)]
    _place(figure, frame, around)
    for axes, (x, y), room in zip(figure.axes, ticks, around, strict=True):
        width, height = np.asarray(axes.bbox.size) / figure.dpi
        axes.xaxis.set_label_coords(0.5, -x.distance / height)  # or drawing would measure all tick labels again
        axes.yaxis.set_label_coords(-y.distance / width, 0.5)
        _fit(axes.xaxis.label, width)
        _fit(axes.yaxis.label, 1.15 * height)
        for text in _heads(axes):
            _fit(text, min(width + room[2], figure.get_figwidth() - axes.bbox.x0 / figure.dpi))


def _frame(figure: Figure, renderer: Any) -> Bbox:
    """What is left for the panels, in inches: the caption stands at the bottom, the legend or a heading on top."""
    width, height = figure.get_size_inches()
    low, high = EDGE, min(height - EDGE, figure.subplotpars.top * height - _APART)
    for text in figure.texts:
        extent = text.get_window_extent(renderer)
        if text.get_verticalalignment() == "bottom":
            low = max(low, extent.y1 / figure.dpi + _APART)
        else:
            high = min(high, extent.y0 / figure.dpi - _APART)
    return Bbox.from_extents(EDGE, low, width - EDGE, high)


@dataclass(frozen=True, slots=True)
class _Ticks:
    """Inches that the tick labels of an axis take: across it, and beyond its beginning and its end."""

    across: float = 0.0
    before: float = 0.0
    after: float = 0.0

    @property
    def distance(self) -> float:
        """Inches from the axis to its label."""
        return _TICK + self.across + (_PAD if self.across else 0.0)


def _ticks(axis: Axis) -> _Ticks:
    axes, upright = axis.axes, isinstance(axis, YAxis)
    given = axis.get_tick_params()
    if not axes.axison or not given.get("labelleft" if upright else "labelbottom", True):
        return _Ticks()
    places, view = np.asarray(axis.get_majorticklocs(), np.float64), np.sort(axis.get_view_interval())
    texts = axis.get_major_formatter().format_ticks(places)  # type: ignore[arg-type]
    seen = [k for k, place in enumerate(places) if view[0] <= place <= view[1]]
    if not seen:
        return _Ticks()
    size = float(given.get("labelsize", axis.label.get_fontsize()))
    widths, height = np.array([inches(texts[k], size) for k in seen]), _HEIGHT * size / 72
    points = np.zeros((len(seen), 2))
    points[:, int(upright)] = places[seen]
    to_pixels = axes.get_yaxis_transform() if upright else axes.get_xaxis_transform()
    at = to_pixels.transform(points)[:, int(upright)] / axes.figure.dpi
    half = (height if upright else widths) / 2
    begin, end = _extents(axes.bbox, axes)[int(upright) :: 2]
    across = float(widths.max()) if upright else height
    return _Ticks(across, begin - float((at - half).min()), float((at + half).max()) - end)


def _around(axes: Axes, x: _Ticks, y: _Ticks, renderer: Any) -> Floats:
    """Inches that labels, titles and notes reach beyond a panel: left, below, right, above, (4,)."""
    axes.apply_aspect()
    panel, heads, reach = _extents(axes.bbox, axes), _heads(axes), []
    for text in axes.texts:
        if text not in heads:
            reach.append(_extents(text.get_window_extent(renderer), axes))
    for text in heads:  # these are made to fit into the width of the panel
        reach.append(np.array([*panel[:3], _extents(text.get_window_extent(renderer), axes)[3]]))
    corners = np.stack([panel, *reach])
    low, high = panel[:2] - corners[:, :2].min(0), corners[:, 2:].max(0) - panel[2:]
    if axes.axison:
        low = np.maximum(low, [max(x.before, _end(axes.yaxis, y)), max(y.before, _end(axes.xaxis, x))])
        high = np.maximum(high, [x.after, y.after])
    return np.concatenate([low, high])


def _end(axis: Axis, ticks: _Ticks) -> float:
    """Inches from an axis to the far side of its label."""
    size = float(axis.label.get_fontsize())
    return ticks.distance + _HEIGHT * size / 72 if axis.label.get_text() else ticks.across + _TICK


def _extents(box: Any, axes: Axes) -> Floats:
    """A box in inches: left, below, right, above, (4,)."""
    return np.asarray(box.extents) / axes.figure.dpi


def _heads(axes: Axes) -> list[Text]:
    """Title and note, which begin at the left edge of the panel and stand above it."""
    title: Text = axes._left_title  # type: ignore[attr-defined]
    above = [text for text in axes.texts if text.get_transform() is axes.transAxes and text.get_position()[1] > 1]
    return [title, *above] if title.get_text() else above


def _fit(text: Text, room: float) -> None:
    """Make a text smaller if it is longer than the room, in inches."""
    size = float(text.get_fontsize())
    if (needed := inches(text.get_text(), size, text.get_fontweight())) > room:
        text.set_fontsize(size * room / needed)


def _place(figure: Figure, frame: Bbox, around: Sequence[Floats]) -> None:
    """Give the panels what the frame has left beyond the space around them, (4,) each; all in inches."""
    cells: list[Any] = [axes.get_subplotspec() for axes in figure.axes]
    grid = cells[0].get_gridspec()
    columns = _spans(
        (frame.x0, frame.x1),
        grid.get_width_ratios(),
        [(cell.colspan, room[0], room[2]) for cell, room in zip(cells, around, strict=True)],
    )
    rows = _spans(
        (-frame.y1, -frame.y0),  # from the top down
        grid.get_height_ratios(),
        [(cell.rowspan, room[3], room[1]) for cell, room in zip(cells, around, strict=True)],
    )
    size = figure.get_size_inches()
    for axes, cell in zip(figure.axes, cells, strict=True):
        left, right = columns[cell.colspan.start][0], columns[cell.colspan.stop - 1][1]
        top, bottom = rows[cell.rowspan.start][0], rows[cell.rowspan.stop - 1][1]
        axes.set_position(Bbox(np.array([[left, -bottom], [right, -top]]) / size))


def _spans(
    ends: tuple[float, float], ratios: Sequence[float], panels: Sequence[tuple[range, float, float]]
) -> list[tuple[float, float]]:
    """Where each column (or row) of a grid begins and ends.

    Args:
        ends: of the whole grid.
        ratios: widths of the columns to each other, (n,).
        panels: the columns that each panel covers, and its space before them and after them.
    """
    before, after = np.zeros(len(ratios)), np.zeros(len(ratios))
    for span, first, last in panels:
        before[span.start] = max(before[span.start], first)
        after[span.stop - 1] = max(after[span.stop - 1], last)
    gaps = after[:-1] + _BETWEEN + before[1:]
    width = ends[1] - ends[0] - before[0] - after[-1] - gaps.sum()
    widths = np.maximum(0.1, width * np.asarray(ratios) / np.sum(ratios))
    starts = ends[0] + before[0] + np.concatenate([[0.0], np.cumsum(widths[:-1] + gaps)])
    return list(zip(starts.tolist(), (starts + widths).tolist(), strict=True))
