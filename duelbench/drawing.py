"""How pictures look, and how they reach the disk: theme, agent styles, labels, PNG and CSV files."""

from __future__ import annotations

import csv
import io
import itertools
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from duelbench.record import write_atomic

DPI = 160
INK, MUTED, FAINT = "#1f2328", "#66707b", "#b6bdc6"

_THEME: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,  # an agent may be called "$x": names are text
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlepad": 8,
    "grid.color": "#e9ecef",
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
}

Style = tuple[str, Any]

STYLES: dict[str, Style] = {
    "uniform": ("#8c96a0", (0, (1, 1.4))),
    "greedy": ("#66707b", (0, (6, 1.4, 1, 1.4))),
    "offline": ("#E69F00", (0, (5, 1.6))),
    "online": ("#1f2328", "-"),
    "apl": ("#56B4E9", (0, (5, 1.4, 1, 1.4))),
    "xpo": ("#009E73", (0, (3, 1.2))),
    "sea": ("#D55E00", "-"),
    "sea-ee": ("#B0569A", (0, (7, 1.6, 1.4, 1.6))),
    "oracle": ("#8c96a0", "-"),
}
"""Colour (after Okabe and Ito, safe for colour-blind readers) and line style of the known agents."""

_CYCLE: tuple[Style, ...] = (
    ("#0072B2", "-"),
    ("#A6761D", (0, (4, 1.4))),
    ("#117733", (0, (1.5, 1.2))),
    ("#882255", (0, (6, 1.4, 1, 1.4))),
    ("#6A51A3", (0, (3, 1.2))),
    ("#CC3311", "-"),
    ("#2AA198", "-"),
    ("#E69F00", "-"),
    ("#CC79A7", "-"),
    ("#56B4E9", "-"),
    ("#4D3319", "-"),
    ("#0072B2", (0, (4, 1.4))),
    ("#CC3311", (0, (4, 1.4))),
    ("#117733", "-"),
    ("#882255", "-"),
    ("#E69F00", (0, (1.5, 1.2))),
    ("#6A51A3", "-"),
    ("#2AA198", (0, (4, 1.4))),
    ("#CC79A7", (0, (4, 1.4))),
    ("#A6761D", "-"),
    ("#0072B2", (0, (1.5, 1.2))),
    ("#4D3319", (0, (4, 1.4))),
    ("#CC3311", (0, (6, 1.4, 1, 1.4))),
    ("#56B4E9", (0, (1.5, 1.2))),
)

GUIDE: tuple[Style, ...] = tuple(
    ("#98a1ab", dashes) for dashes in ((0, (2, 1.5)), (0, (7, 3)), (0, (7, 2, 1.5, 2)), (0, (12, 2, 2, 2, 2, 2)), "-")
)
"""Thin grey lines that are no agents."""

_FEW = 12  # agents beside whom there is room for two columns of guides


def styles(agents: Iterable[str]) -> dict[str, Style]:
    """Colour and line style of each agent; unknown ones take theirs from a cycle, in the order given."""
    cycle = itertools.cycle(_CYCLE)
    return {agent: STYLES[agent] if agent in STYLES else next(cycle) for agent in agents}


def legend(figure: Figure, shown: Mapping[str, Style], guides: Mapping[str, Style] | None = None) -> None:
    """Agents above all panels from the left; guides, as thin lines, to the right of them."""
    width = figure.get_figwidth()
    if guides:
        columns = 2 if len(shown) <= _FEW and len(guides) > 1 else 1
        width -= columns * (0.7 + 0.072 * max(map(len, guides)))
        _legend(figure, guides, "right", columns, 1.1)
    fitting = int(width / (0.45 + 0.085 * max(map(len, shown))))
    _legend(figure, shown, "left", max(1, min(len(shown), fitting)), 2.2)


def _legend(figure: Figure, lines: Mapping[str, Style], side: str, columns: int, width: float) -> None:
    handles = [Line2D([], [], color=c, linestyle=s, linewidth=width, label=name) for name, (c, s) in lines.items()]
    size, color = (8.5, MUTED) if side == "right" else (9.5, INK)
    outside: Any = f"outside upper {side}"
    figure.legend(handles=handles, loc=outside, ncols=columns, handlelength=2.6, fontsize=size, labelcolor=color)


def caption(figure: Figure, text: str) -> None:
    """A quiet line below all panels: what was averaged, over what."""
    width = int(17 * figure.get_figwidth())  # characters
    wrapped = [textwrap.fill(line, width) for line in text.splitlines()]
    figure.supxlabel("\n".join(wrapped), fontsize=8, color=MUTED)


def end_labels(axes: Axes, ends: Mapping[str, tuple[float, float]], colors: Mapping[str, str]) -> None:
    """Name each line at its right end, (x, y) in data units, pushed apart where names would overlap."""
    low, high = axes.get_ylim()
    gap = 0.058 * (high - low)
    order = sorted(ends, key=lambda agent: ends[agent][1])
    wanted = np.array([ends[agent][1] for agent in order])
    placed = _spread(wanted, gap, low, high)
    right = max(x for x, _ in ends.values())
    for agent, y in zip(order, placed, strict=True):
        axes.annotate(
            agent,
            xy=(right, y),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=colors[agent],
            fontweight="bold",
            fontsize=9,
            annotation_clip=False,
        )


def _spread(wanted: np.ndarray[Any, Any], gap: float, low: float, high: float) -> list[float]:
    """Ascending positions at least ``gap`` apart inside [low, high], each group centred on what it wanted."""
    groups: list[list[float]] = []  # [centre, size]
    for y in wanted:
        groups.append([float(y), 1.0])
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < gap * (groups[-1][1] + groups[-2][1]) / 2:
            (b, m), (a, n) = groups.pop(), groups.pop()
            groups.append([(a * n + b * m) / (n + m), n + m])
    placed: list[float] = []
    for middle, size in groups:
        half = gap * (size - 1) / 2
        middle = min(max(middle, low + half), high - half)
        placed += [middle - half + gap * i for i in range(int(size))]
    return placed


def save_png(path: Path, size: tuple[float, float], draw: Callable[[Figure], None]) -> None:
    """Draw on a new figure of ``size`` inches in the house theme and write it; no global state is touched."""
    with matplotlib.rc_context(_THEME):
        figure = Figure(figsize=size, dpi=DPI, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        draw(figure)
        layout: Any = figure.get_layout_engine()
        layout.set(w_pad=0.09, h_pad=0.09, wspace=0.03, hspace=0.04)
        layout.execute(figure)
        figure.set_layout_engine("none")  # once is enough; saving would do it twice again
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomic(path, buffer.getvalue())


def save_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write what a picture shows as a table."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomic(path, buffer.getvalue())
