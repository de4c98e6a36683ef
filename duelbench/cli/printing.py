"""Tables that commands print."""

from __future__ import annotations

from rich.console import Console

_PAGE = 160  # characters of a line in a file or pipe


def table_printer(*, stderr: bool) -> Console:
    """Standard output or error, with room for tables where it is no terminal."""
    printer = Console(stderr=stderr)
    if not printer.is_terminal:
        printer.width = _PAGE
    return printer
