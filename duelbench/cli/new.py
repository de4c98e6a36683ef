"""``duelbench new``: a commented starter file that runs as it is."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console

from duelbench.errors import UsageError


@dataclass
class NewCommand:
    """Write NAME.py, a commented agent, environment, oracle or sweep that runs as it is.

    Its first lines give the command that plays it. Existing files are never overwritten.
    """

    kind: tyro.conf.Positional[Literal["agent", "env", "oracle", "sweep"]]
    """What to write."""
    name: tyro.conf.Positional[str]
    """Its name, e.g. `curious` or `quick_winner`; of the file, and of the class or function in it."""


def write_new(command: NewCommand, line: str) -> int:
    """Write the file and print the command that plays it; returns the exit status.

    Raises:
        UsageError: the name is no Python name, or there is such a file.
    """
    path = Path(f"{command.name}.py")
    if not re.fullmatch(r"[A-Za-z]\w*", command.name, re.ASCII) or keyword.iskeyword(command.name):
        raise UsageError(f"expected a name of letters, digits and _ that begins with a letter, got {command.name!r}")
    if path.exists():
        raise UsageError(f"{path} exists already: choose another name, or move it away")
    text = text_of(command.kind, command.name)
    path.write_text(text, encoding="utf-8")
    (play,) = re.findall(r"^ +(duelbench .*)$", text, re.M)
    console = Console(stderr=True)
    console.print(f"Wrote {path}. Play it:\n{play}", markup=False, highlight=False, soft_wrap=True)
    return 0


def text_of(kind: str, name: str) -> str:
    """The template with its names filled in: ``quick_winner`` gives the class ``QuickWinner``."""
    text = files("duelbench.cli.templates").joinpath(f"{kind}.py").read_text(encoding="utf-8")
    known = {"mine": name, "Mine": "".join(part[:1].upper() + part[1:] for part in name.split("_"))}
    return re.sub(r"\b[Mm]ine\b", lambda found: known[found[0]], text).replace("  # noqa: E501", "")
