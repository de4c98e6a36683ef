"""The legend above the panels of a picture: agents from the left, guides to the right of them.

Names are measured, so that nothing overlaps; a name that is too long for the picture is shortened in its middle. Each
line beyond the first makes the picture taller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import offset_copy

from duelbench.results.report.pictures.layout import inches
from duelbench.results.report.pictures.styles import INK, MUTED, Style

_EDGE, _HANDLE, _GAP, _APART, _LINE = 0.12, 0.34, 0.1, 0.26, 0.19
"""Inches: from the edge; a line; from it to its name; from there to the next column; from one line to the next."""
_FEW = 12  # agents beside whom there is room for two columns of guides


@dataclass(frozen=True, slots=True)
class _Look:
    """Size and colour of names, and width of the lines before them."""

    size: float
    color: str
    width: float


_AGENTS, _GUIDES = _Look(9.5, INK, 2.2), _Look(8.5, MUTED, 1.1)


def legend(figure: Figure, shown: Mapping[str, Style], guides: Mapping[str, Style] | None = None) -> None:
    """Name the agents that are shown, and the guides; the figure grows by what needs more than one line."""
    room, lines = figure.get_figwidth() - 2 * _EDGE, 1
    if guides:
        most = 2 if len(shown) <= _FEW and len(guides) > 1 else 1
        columns = _columns(list(guides), room / 2, _GUIDES, most)
        width = _width(columns, _GUIDES)
        _draw(figure, columns, guides, figure.get_figwidth() - _EDGE - width, room / 2, _GUIDES)
        room, lines = room - width - _APART, len(columns[0])
    columns = _columns(list(shown), room, _AGENTS, len(shown))
    _draw(figure, columns, shown, _EDGE, room, _AGENTS)
    lines = max(lines, len(columns[0]))
    height = figure.get_figheight() + _LINE * (lines - 1)
    figure.set_figheight(height)
    figure.subplotpars.update(top=1 - (_EDGE + _LINE * lines) / height)


def _columns(names: Sequence[str], room: float, look: _Look, most: int) -> list[Sequence[str]]:
    """Names in columns of one length, as many as there is room for; at least one."""
    for n in range(min(most, len(names)), 1, -1):
        length = -(-len(names) // n)
        columns = [names[start : start + length] for start in range(0, len(names), length)]
        if _width(columns, look) <= room:
            return columns
    return [names]


def _width(columns: Sequence[Sequence[str]], look: _Look) -> float:
    """Inches that columns take."""
    texts = [max(inches(name, look.size) for name in column) for column in columns]
    return sum(texts) + len(columns) * (_HANDLE + _GAP) + (len(columns) - 1) * _APART


def _draw(
    figure: Figure,
    columns: Sequence[Sequence[str]],
    styles: Mapping[str, Style],
    left: float,
    room: float,
    look: _Look,
) -> None:
    top = offset_copy(figure.transFigure, figure, 0.0, -_EDGE - _LINE / 2)  # moves when the figure grows
    at = left / figure.get_figwidth()
    for column in columns:
        for place, name in enumerate(column):
            color, dashes = styles[name]
            middle = offset_copy(top, figure, 0.0, -_LINE * place)
            end = at + _HANDLE / figure.get_figwidth()
            figure.add_artist(
                Line2D([at, end], [1, 1], color=color, linestyle=dashes, linewidth=look.width, transform=middle)
            )
            said = _shortened(name, room - _HANDLE - _GAP, look.size)
            begin = end + _GAP / figure.get_figwidth()
            figure.add_artist(Text(begin, 1, said, size=look.size, color=look.color, va="center", transform=middle))
        at += (_width([column], look) + _APART) / figure.get_figwidth()


def _shortened(text: str, room: float, size: float) -> str:
    """The text, or both ends of it where the whole is wider than the room."""
    short, kept = text, len(text)
    while kept > 2 and inches(short, size) > room:
        kept -= 1
        short = f"{text[: -(-kept // 2)]}…{text[-(kept // 2) :]}"
    return short
