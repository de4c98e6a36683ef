"""The order in which runs are played: all of a seed before the next, and of a seed the long ones first."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from duelbench.records.spec import RunSpec


class Waiting:
    """Runs that nobody plays yet.

    How long a run takes is known from the same run with an earlier seed. What is unknown, because that one is still
    playing or there was none, comes before what is known, in the order given: a long run that begins last would keep
    one process busy after all others have nothing left to do.
    """

    def __init__(self, specs: Sequence[RunSpec]) -> None:
        self._later = deque(list(runs) for _, runs in groupby(specs, key=lambda spec: spec.seed))
        self._now: list[tuple[RunSpec, str]] = []  # of one seed: runs and what they are but for it
        self._seconds: dict[str, float] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._now or self._later)

    def next(self) -> RunSpec:
        """The run to play now; it waits no longer."""
        if not self._now:
            self._now = [(spec, _but_for_the_seed(spec)) for spec in self._later.popleft()]
        longest = max(self._now, key=lambda run: self._seconds.get(run[1], float("inf")))  # of equals the first
        self._now.remove(longest)
        return longest[0]

    def again(self, spec: RunSpec) -> None:
        """A run waits once more."""
        self._later.append([spec])

    def took(self, spec: RunSpec, seconds: float) -> None:
        """A run has ended, after so long."""
        self._seconds[_but_for_the_seed(spec)] = seconds


def _but_for_the_seed(spec: RunSpec) -> str:
    return replace(spec, seed=0).run_id
