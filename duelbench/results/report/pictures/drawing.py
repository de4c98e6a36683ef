"""How pictures look, and how they reach the disk: theme, captions, PNG and CSV files."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotParams
from PIL import Image

from duelbench.records.files import write_atomic
from duelbench.results.report.pictures.layout import arrange
from duelbench.results.report.pictures.styles import FAINT, INK, MUTED

DPI = 160

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
        canvas: Any = laid_out(size, draw).canvas
        canvas.draw()  # savefig would draw twice
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    few = pixels.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.putpalette([255 if level == 254 else level for level in few.getpalette() or ()])  # it rounds white down
    buffer = io.BytesIO()
    few.save(buffer, "png", dpi=(DPI, DPI))
    write_atomic(path, buffer.getvalue())


def laid_out(size: tuple[float, float], draw: Callable[[Figure], None]) -> Figure:
    """What ``draw`` makes of a new figure, its panels in their places."""
    figure = Figure(figsize=size, dpi=DPI, facecolor="white", subplotpars=SubplotParams(top=1.0))
    FigureCanvasAgg(figure)
    draw(figure)
    arrange(figure)
    return figure


def save_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write what a picture shows as a table."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomic(path, buffer.getvalue())
