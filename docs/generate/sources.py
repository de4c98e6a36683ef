"""What the generated pages are made of: docstrings, tables of attributes, citations, and links between files."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?P<before>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)#\s]*)(?P<anchor>#[^)\s]*)?\)")
ARXIV = re.compile(r"(?:arXiv[: ]+)?(\d{4}\.\d{4,5})")


def docstring(place: str) -> tuple[str, str]:
    """First line and the rest of the docstring of ``module`` or ``module:Name``."""
    module, _, name = place.partition(":")
    found: Any = importlib.import_module(module)
    for part in filter(None, name.split(".")):
        found = getattr(found, part)
    first, _, rest = (inspect.getdoc(found) or "").partition("\n")
    return first.strip(), rest.strip()


def attributes(text: str, heading: str = "Attributes") -> dict[str, str]:
    """Name -> meaning, from the ``Attributes:`` (or ``Args:``) part of a docstring."""
    found = re.search(rf"^{heading}:\n((?:(?: {{4}}.*)?\n?)+)", text, re.MULTILINE)
    meanings: dict[str, str] = {}
    for line in found[1].splitlines() if found else ():
        if entry := re.match(r" {4}(\w[\w, ]*): (.*)", line):
            name = entry[1]
            meanings[name] = entry[2]
        elif line.strip() and meanings:
            meanings[name] += " " + line.strip()
    return meanings


def without_parts(text: str) -> str:
    """A docstring's prose, without its ``Args:``, ``Attributes:`` and other parts, and without its examples."""
    prose = re.split(r"^(?:Args|Attributes|Returns|Raises):$", text, maxsplit=1, flags=re.MULTILINE)[0]
    return re.sub(r"^>>> .*(?:\n(?!\n).*)*", "", prose, flags=re.MULTILINE).strip()


def options(config: Any) -> list[tuple[str, str, str]]:
    """Name, default and meaning of a ``Config``'s fields, those of its bases included."""
    meanings: dict[str, str] = {}
    for base in reversed(config.__mro__):
        meanings |= attributes(inspect.cleandoc(base.__doc__ or ""))
    rows = []
    for field in dataclasses.fields(config):
        value = field.default if field.default is not dataclasses.MISSING else None
        if field.default_factory is not dataclasses.MISSING:
            made = field.default_factory()
            value = getattr(made, "name", made)
        rows.append((field.name, shown(value), meanings.get(field.name, "")))
    return rows


def shown(value: Any) -> str:
    """A default, as it is typed on the command line."""
    if dataclasses.is_dataclass(value):
        return ""
    return str(value).lower() if isinstance(value, bool | type(None)) else str(value)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    cells = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *cells])


def cited(text: str) -> str:
    """Text with its arXiv numbers as links."""
    return ARXIV.sub(lambda found: f"[arXiv {found[1]}](https://arxiv.org/abs/{found[1]})", text)


def site_of(repository_path: str) -> str | None:
    """Where a file of the repository is on the site; None for one that is not there."""
    if repository_path == "README.md":
        return "index.md"
    if repository_path in ("CONTRIBUTING.md", "CHANGELOG.md"):
        return repository_path.lower()
    if repository_path.startswith("docs/"):
        return repository_path.removeprefix("docs/")
    if repository_path.startswith("experiments/") and repository_path.endswith((".md", ".png")):
        return repository_path
    return None


def relinked(text: str, repository_path: str) -> str:
    """A page's Markdown with its links as they are on the site; a link to a file that is not there becomes its name."""
    home = site_of(repository_path) or ""

    def relink(found: re.Match[str]) -> str:
        target = found["target"]
        if not target or target.startswith(("http", "mailto:")):
            return found[0]
        at = posixpath.normpath(posixpath.join(posixpath.dirname(repository_path), target))
        place = site_of(at)
        if place is None:
            return f"{found['text']} (`{at}`)" if found["text"].strip("`") != at else f"`{at}`"
        there = os.path.relpath(place, posixpath.dirname(home) or ".")
        return f"{found['before']}[{found['text']}]({there}{found['anchor'] or ''})"

    return LINK.sub(relink, text)
