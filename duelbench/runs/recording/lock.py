"""One process at a time plays a run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PATIENCE_SECONDS = 20.0
"""How long to wait for a run that another process is playing."""
_POLL_SECONDS = 0.25


class RunBusyError(RuntimeError):
    """Another process is playing this run."""


@contextmanager
def hold(folder: Path, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Keep other processes off the folder of a run; the system lets go of it when this process ends, however it ends.

    Waits a while first: a worker whose parent was killed ends within a round, so that the same command can be given
    again at once.

    Raises:
        RunBusyError: if another process still has it then.
    """
    if fcntl is None:
        yield
        return
    with (folder / "lock").open("a") as file:
        deadline = time.monotonic() + patience
        while not _locked(file):
            if time.monotonic() > deadline:
                raise RunBusyError(f"another process is playing this run: {folder}")
            time.sleep(_POLL_SECONDS)
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
