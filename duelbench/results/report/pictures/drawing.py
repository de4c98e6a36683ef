"""How pictures look, and how they reach the disk: theme, legends, captions, PNG and CSV files."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from duelbench.records.files import write_atomic
from duelbench.results.report.pictures.styles import Style

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
    "axes.titley": 1.0,  # or each title would be placed by measuring all ticks below it again
    "grid.color": "#e9ecef",
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
}

GUIDE: tuple[Style, ...] = tuple(
    ("#98a1ab", dashes) for dashes in ((0, (2, 1.5)), (0, (7, 3)), (0, (7, 2, 1.5, 2)), (0, (12, 2, 2, 2, 2, 2)), "-")
)
"""Thin grey lines that are no agents."""

_FEW = 12  # agents beside whom there is room for two columns of guides


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


def save_png(path: Path, size: tuple[float, float], draw: Callable[[Figure], None]) -> None:
    """Draw on a new figure of ``size`` inches in the house theme and write it; no global state is touched.

    A palette of 256 colours is enough for lines and bands, and makes files a third as large.
    """
    with matplotlib.rc_context(_THEME):
        figure = Figure(figsize=size, dpi=DPI, layout="constrained", facecolor="white")
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        layout: Any = figure.get_layout_engine()
        layout.set(w_pad=0.09, h_pad=0.09, wspace=0.03, hspace=0.04)
        layout.execute(figure)
        figure.set_layout_engine("none")  # once is enough; drawing would do it again
        canvas.draw()  # savefig would draw twice
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    few = pixels.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.putpalette([255 if level == 254 else level for level in few.getpalette() or ()])  # it rounds white down
    buffer = io.BytesIO()
    few.save(buffer, "png", dpi=(DPI, DPI))
    write_atomic(path, buffer.getvalue())


def save_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write what a picture shows as a table."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomic(path, buffer.getvalue())
