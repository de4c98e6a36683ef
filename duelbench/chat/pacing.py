"""When the next request may go out: a rate of our own, and pauses that the other side asks for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime


class Pace:
    """Lets requests begin one after the other, evenly spaced, and none during a pause. Threads share it.

    Args:
        per_minute: requests begun in a minute, at most; None for no limit.
        clock: seconds, from anywhere.
        sleep: waits that many seconds.

    Attributes:
        begun: requests so far.
    """

    def __init__(
        self,
        per_minute: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.begun = 0
        self._apart = 60.0 / per_minute if per_minute else 0.0
        self._clock, self._sleep, self._lock = clock, sleep, threading.Lock()
        self._next = -float("inf")

    def wait(self) -> None:
        """Return when the next request may begin; it counts as begun."""
        while True:
            with self._lock:
                now, begin = self._clock(), self._next
                if begin <= now:
                    self._next = now + self._apart
                    self.begun += 1
                    return
            self._sleep(begin - now)

    def hold(self, seconds: float) -> None:
        """Let no request begin for some seconds."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)


def seconds_asked_for(retry_after: str | None, now: Callable[[], float] = time.time) -> float:
    """Seconds that a ``Retry-After`` header asks to wait: a number, or until a date; 0 for none that can be read.

    >>> seconds_asked_for("7"), seconds_asked_for("soon"), seconds_asked_for(None)
    (7.0, 0.0, 0.0)
    >>> seconds_asked_for("Thu, 01 Jan 1970 00:01:00 GMT", now=lambda: 40.0)
    20.0
    """
    text = (retry_after or "").strip()
    try:
        return max(0.0, float(text)) if text.replace(".", "", 1).isdigit() else _until(text, now())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _until(date: str, now: float) -> float:
    return max(0.0, parsedate_to_datetime(date).timestamp() - now)
