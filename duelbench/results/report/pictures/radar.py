"""Radar pictures of the behaviour suite: a spoke for each task, uniform pairs at the centre, the oracle at the rim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from duelbench.results.report.pictures.drawing import caption, save_png
from duelbench.results.report.pictures.legends import legend
from duelbench.results.report.pictures.styles import FAINT, INK, MUTED, Style, styles
from duelbench.results.statistics.scores import Score

Floats = NDArray[np.float64]
_RINGS = (0.25, 0.5, 0.75, 1.0)


def save_radar(
    path: Path, tasks: Sequence[str], scores: Sequence[Score], looks: Mapping[str, Style] | None = None
) -> None:
    """Draw one agent with its 95 % band and its numbers, or several agents' means over each other.

    A task that an agent did not play leaves a gap in its line.

    Args:
        path: PNG file.
        tasks: names of the spokes, clockwise from the top; at least 3.
        scores: scores of each agent on each task.
        looks: colour and line style of each agent; None to choose them here.
    """
    agents = dict.fromkeys(score.agent for score in scores)
    looks = {agent: (looks or styles(agents))[agent] for agent in agents}
    alone = len(looks) == 1

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        _grid(axes, len(tasks))
        for agent, style in looks.items():
            mine = {score.task: score for score in scores if score.agent == agent}
            _agent(axes, [mine[task] for task in tasks], style, alone)
        numbers = {score.task: score for score in scores} if alone else {}
        for k, task in enumerate(tasks):
            _name(axes, k, len(tasks), task, numbers.get(task))
        if alone:
            figure.suptitle(next(iter(looks)), x=0.03, ha="left", fontsize=12, fontweight="bold")
        else:
            legend(figure, looks)
        caption(figure, _says(scores, alone))

    save_png(path, (6.4, 6.2), draw)


def _corners(radii: Floats) -> Floats:
    """Points (n, 2) at these radii on n spokes, clockwise from the top."""
    angles = 2 * np.pi * np.arange(len(radii)) / len(radii)
    return np.stack([radii * np.sin(angles), radii * np.cos(angles)], axis=-1)


def _closed(points: Floats) -> Floats:
    return np.concatenate([points, points[:1]])


def _grid(axes: Axes, spokes: int) -> None:
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-1.05, 1.05)
    axes.set_ylim(-1.05, 1.05)
    rim = _corners(np.ones(spokes))
    for ring in _RINGS:
        axes.plot(*_closed(ring * rim).T, color=FAINT, linewidth=1.1 if ring == 1.0 else 0.6, zorder=1)
    for end in rim:
        axes.plot(*np.stack([0 * end, end], axis=-1), color=FAINT, linewidth=0.6, zorder=1)
    middle = _corners(np.ones(2 * spokes))[1]  # between the first two spokes, where no line runs
    for ring in (0.0, *_RINGS):
        at = middle * ring * np.cos(np.pi / spokes)
        axes.text(
            at[0],
            at[1],
            f"{ring:g}",
            fontsize=7,
            color=MUTED,
            ha="center",
            va="center",
            zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
        )


def _agent(axes: Axes, scores: Sequence[Score], style: Style, alone: bool) -> None:
    color, dashes = style
    points = _corners(np.array([score.mean for score in scores]))
    axes.plot(*_closed(points).T, color=color, linestyle="-" if alone else dashes, linewidth=2.0, zorder=3)
    axes.plot(*points.T, linestyle="none", marker="o", markersize=4 if alone else 3, color=color, zorder=3)
    if not alone:
        return
    ends = [(np.nan, np.nan) if score.error is None else (score.interval.low, score.interval.high) for score in scores]
    low, high = (_corners(np.clip(end, 0.0, 1.0)) for end in np.array(ends).T)
    _ribbon(axes, 0 * points, points, color, 0.10)
    _ribbon(axes, low, high, color, 0.28)


def _ribbon(axes: Axes, inner: Floats, outer: Floats, color: str, alpha: float) -> None:
    """Fill between two outlines, piece by piece between neighbouring spokes, as far as both are known."""
    inner, outer = _closed(inner), _closed(outer)
    for k in range(len(inner) - 1):
        piece = np.stack([inner[k], outer[k], outer[k + 1], inner[k + 1]])
        if not np.isnan(piece).any():
            axes.fill(*piece.T, color=color, alpha=alpha, linewidth=0, zorder=2)


def _name(axes: Axes, k: int, spokes: int, task: str, score: Score | None) -> None:
    """The task's name beyond the rim, its number below it, on the side that it points to."""
    x, y = _corners(np.full(spokes, 1.06))[k]
    side = "center" if abs(x) < 0.05 else "left" if x > 0 else "right"
    level = "bottom" if y > 0.9 else "top" if y < -0.9 else "center"
    text = task.replace("_", " ")
    number = "" if score is None else f"\n{score.mean:.2f}" if score.values else "\nnot played"
    color = MUTED if score is not None and not score.values else INK
    axes.text(x, y, text + number, ha=side, va=level, fontsize=9, color=color, linespacing=1.25, clip_on=False)


def _says(scores: Sequence[Score], alone: bool) -> str:
    seeds = max(len(score.values) for score in scores)
    band = "; band: 95 % interval" if alone and seeds > 1 else ""
    return f"Score on each task: 0 = uniform pairs, 1 = oracle. Mean of {seeds} seeds{band}."
