"""Printing that works in any terminal, file or pipe."""

from __future__ import annotations

import io
import os
import shutil
import sys

from rich.console import Console
from rich.markup import escape

_PAGE = 160  # characters of a line in a file or pipe


def table_printer(*, stderr: bool) -> Console:
    """Standard output or standard error, wide enough for tables when it is not a terminal."""
    printer = Console(stderr=stderr)
    if not printer.is_terminal:
        printer.width = _PAGE
    return printer


def columns() -> int:
    """Width of standard output in columns; 80 when it is not a terminal."""
    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 80


def make_printable() -> None:
    """Let both streams print every character: UTF-8 in a file or pipe, elsewhere a ? for what the terminal lacks.

    Where the user set ``PYTHONIOENCODING``, that is the encoding.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            chosen = stream.isatty() or "PYTHONIOENCODING" in os.environ
            stream.reconfigure(encoding=None if chosen else "utf-8", errors="replace")


def complain(said: str) -> None:
    """Print an error on standard error, as one line or as a traceback."""
    console = Console(stderr=True)
    if "\n" in said.strip():
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    else:
        console.print(f"[red]duelbench:[/red] {escape(said)}", highlight=False, soft_wrap=True)
