"""Memory: the most that a piece of work takes, how fast a device moves it, and the least that decoding must move."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import torch

GIB = 2.0**30
_POLL_SECONDS = 0.02
_REPEATS = 10


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


def copy_rate(device: str, size: int) -> float:
    """Bytes a second of a copy within the device's memory, read and written ones both counted; the median.

    Args:
        device: "cpu" or "cuda".
        size: bytes copied at a time, far more than the device's caches hold.
    """
    source = torch.randint(0, 256, (size,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    taken = []
    for _ in range(1 + _REPEATS):
        _finish(device)
        start = time.perf_counter()
        target.copy_(source)
        _finish(device)
        taken.append(time.perf_counter() - start)
    return 2 * size / statistics.median(taken[1:])


def decoded_bytes(model: Any, rows: int, context: float, width: int) -> float:
    """Bytes that one step of decoding has to read: every weight that multiplies, and the keys and values so far.

    Args:
        model: of transformers, with its language-model head.
        rows: responses decoded together, each by a token.
        context: tokens before it, on average.
        width: bytes of a number.
    """
    config = model.config.get_text_config()
    table = model.get_input_embeddings().weight
    tied = model.get_output_embeddings().weight is table  # then the head reads the table, else only rows of it are
    weights = sum(p.numel() for p in model.parameters()) - (0 if tied else table.numel())
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return width * (weights + rows * context * 2 * config.num_hidden_layers * heads * head)


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
