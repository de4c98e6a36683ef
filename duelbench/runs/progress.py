"""How far a long job is: a bar on a terminal, a line now and then in a log; both with an estimate of what is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Show = Callable[[int, str], None]
"""Told how much is done in all, and at what."""

_LINE_SECONDS = 60.0  # between two lines of a log
_SPEED_SECONDS = 600.0  # the latest, by which what is left is estimated


@contextmanager
def progress(total: int, unit: str, console: Console, *, done: int = 0) -> Iterator[Show]:
    """Show a job's progress.

    Args:
        total: all that is to be done.
        unit: what is counted, e.g. "labels".
        console: where to.
        done: what an earlier call has done; it does not make this one look fast.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    live = console.is_terminal
    with Progress(
        *columns, console=console, disable=not live, speed_estimate_period=_SPEED_SECONDS, get_time=time.monotonic
    ) as bar:
        task = bar.add_task("starting", total=total, completed=done)
        said = time.monotonic()

        def show(done: int, name: str) -> None:
            nonlocal said
            bar.update(task, completed=done, description=name)
            if not live and time.monotonic() - said >= _LINE_SECONDS:
                said = time.monotonic()
                left = bar.tasks[0].time_remaining
                guess = "" if left is None else f", about {duration(left)} left"
                console.print(f"{done:,} of {total:,} {unit}{guess} ({name})", highlight=False, soft_wrap=True)

        yield show


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, as one says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
