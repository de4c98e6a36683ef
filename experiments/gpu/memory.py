"""The most memory that a piece of work takes."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import torch

GIB = 2.0**30
_POLL_SECONDS = 0.02


@contextmanager
def peak_memory() -> Iterator[dict[str, float]]:
    """Yields a dictionary that has the peak, in GiB, when the block has ended.

    ``device``: the most that was in use on the GPU, by whomever, looked at every 20 ms; ``torch``: the most that
    torch's tensors took in this process, exactly. Without a GPU, ``process``: the most that this process has had
    resident so far.
    """
    peak: dict[str, float] = {}
    if not torch.cuda.is_available():
        yield peak
        peak["process"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
        return
    torch.cuda.empty_cache()  # what the last block has left
    torch.cuda.reset_peak_memory_stats()
    over, most = Event(), [_in_use()]

    def look() -> None:
        while not over.wait(_POLL_SECONDS):
            most[0] = max(most[0], _in_use())

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()
        peak["device"], peak["torch"] = max(most[0], _in_use()) / GIB, torch.cuda.max_memory_allocated() / GIB


def _in_use() -> float:
    free, total = torch.cuda.mem_get_info()
    return float(total - free)
