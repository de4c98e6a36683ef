"""The API: a page for each room, from docstrings, and one for the command line, from its own help."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

from sources import ROOT, docstring

import duelbench
from duelbench.cli.main import COMMANDS, main

FOLDERS = {"duelbench": "duelbench", "agents": "duelbench.agents", "envs": "duelbench.envs"}
INTERNAL = ("duelbench.cli", "duelbench.results.report", "duelbench.__main__")
"""How the command line and the report page are made: no part of the API."""
CORE = "duelbench.core"
"""The page of the modules that lie open in the core."""


def modules() -> list[str]:
    """Every module that is documented."""
    found = []
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join([package, *parts]).removesuffix(".__init__")
            private = any(part.startswith("_") for part in name.split("."))
            if not private and not name.startswith(INTERNAL):
                found.append(name)
    return found


def rooms() -> dict[str, list[str]]:
    """Package -> its modules, in order; the modules that lie open in the core as one room."""
    packages = {name for name in modules() if _path(name).name == "__init__.py"}
    found: dict[str, list[str]] = {}
    for name in modules():
        if name == "duelbench":
            continue
        home = name if name in packages else name.rpartition(".")[0]
        found.setdefault(CORE if home == "duelbench" else home, []).append(name)
    return dict(sorted(found.items(), key=lambda item: (item[0] != CORE, item[0])))


def page_of(room: str) -> str:
    """Where the page of a room is."""
    return f"api/{room.removeprefix('duelbench.')}.md"


def pages() -> dict[str, str]:
    """Path on the site -> Markdown, the index among them."""
    made = {page_of(room): _room(room, names) for room, names in rooms().items()}
    return {"api/index.md": index(), "api/commands.md": commands()} | made


def public_names() -> list[str]:
    """What ``import duelbench`` offers, as dotted places."""
    places = []
    for name in duelbench.__all__:
        value = getattr(duelbench, name)
        if name.startswith("__"):
            continue
        places.append(value.__name__ if name == "envs" else f"{value.__module__}.{value.__qualname__}")
    return places


def index() -> str:
    """The front page: the names that ``import duelbench`` offers, and the rooms."""
    names = "\n\n".join(
        f"### {place.rpartition('.')[2]}\n\n::: {place}" for place in public_names() if place != "duelbench.envs"
    )
    links = {room: page_of(room).removeprefix("api/") for room in rooms()}
    listed = "\n".join(f"* [{room.removeprefix('duelbench.')}]({link}): {_about(room)}" for room, link in links.items())
    return f"""# API

`import duelbench` registers the environments and offers the names below. Everything else is in the rooms;
anything whose name does not begin with an underscore is documented there. [The command line](commands.md) has its own
page.

## Rooms

{listed}

## duelbench

{names}

### envs

See [envs](envs.md): `register` and `resolve_env`.
"""


def commands() -> str:
    """The help of every command, as it is printed."""
    parts = ["# Command line\n\nThe help of every command, as it is printed."]
    os.environ["COLUMNS"], before = "100", os.environ.get("COLUMNS")
    try:
        for name in COMMANDS:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
                main([name, "--help"])
            plain = re.sub(r"\x1b\[[0-9;]*m", "", printed.getvalue()).strip()
            parts.append(f"## duelbench {name}\n\n```text\n{plain}\n```")
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return "\n\n".join(parts) + "\n"


def _room(room: str, names: list[str]) -> str:
    parts = [f"# {room.removeprefix('duelbench.')}"]
    for name in names:
        parts.append((f"## {name}\n\n" if name != room else "") + f"::: {name}")
    return "\n\n".join(parts) + "\n"


def _about(room: str) -> str:
    return "types, protocols, random streams, metrics, errors" if room == CORE else docstring(room)[0].rstrip(".")


def _path(name: str) -> Path:
    for folder, package in reversed(FOLDERS.items()):
        if name == package or name.startswith(package + "."):
            at = ROOT / folder / name.removeprefix(package).lstrip(".").replace(".", "/")
            return at / "__init__.py" if at.is_dir() else at.with_suffix(".py")
    raise ValueError(name)
