"""How a page is made: Jinja2 templates that escape what they are given, and the tables and pictures in them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from duelbench.results.report.pictures.styles import Style


@dataclass(frozen=True)
class Table:
    """A table of a page; on a narrow screen each row becomes a card, with the names of the columns beside the cells.

    Attributes:
        header: names of the columns.
        rows: their cells, text or markup.
        left: columns from the first on that are flush left.
        wrap: whether the last column is long text that breaks its lines.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    wrap: bool = False

    def __html__(self) -> Markup:
        """The table as markup."""
        return render("table.html", table=self)


def picture(path: Path | None, alt: str, kind: str = "", small: Path | None = None) -> Markup:
    """A PNG inside the page, with the name of its data's file; nothing for None.

    Args:
        path: the picture; its data lie beside it.
        alt: what it shows.
        kind: ``narrow`` for one that does not fill the page.
        small: the same for a narrow screen.
    """
    if path is None:
        return Markup("")
    encoded = [base64.b64encode(p.read_bytes()).decode() if p else "" for p in (path, small)]
    return render(
        "picture.html", wide=encoded[0], small=encoded[1], alt=alt, kind=kind, data=path.with_suffix(".csv").name
    )


def dotted(looks: dict[str, Style], agent: str, target: str = "") -> Markup:
    """An agent's name behind a dot in its colour; a link if it has a target."""
    dot = '<span class="name"><span class="dot" style="background:{}"></span><span>{}</span></span>'
    return Markup(dot).format(looks[agent][0], link(target, agent) if target else agent)


def link(target: str, text: str) -> Markup:
    """A link within the page, or to a file beside it."""
    return Markup('<a href="{}">{}</a>').format(target, text)


def joined(parts: Sequence[str]) -> Markup:
    """Pieces of a page below each other, without the empty ones."""
    return Markup("\n").join(part for part in parts if part)


def render(template: str, /, **context: Any) -> Markup:
    """A template filled in; whatever is not markup already is escaped."""
    return Markup(_templates().get_template(template).render(context))


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("duelbench.results.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
