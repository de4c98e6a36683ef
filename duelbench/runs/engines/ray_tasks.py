"""Ray tasks, one per run: the same sweep on one machine or on a cluster.

Ray only places the work; what a run finds out lies in the output folder, which all machines must share. A run whose
worker or machine dies is placed again and goes on from its journal.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from duelbench.cluster import connect, ray
from duelbench.records.spec import RunSpec
from duelbench.runs.engines.outcome import MOST_DEATHS, Outcome, Tell, play_one
from duelbench.runs.recording.run_folder import RunFolder

_POLL_SECONDS = 1.0


class RayTasks:
    """Plays on the cluster that ``RAY_ADDRESS`` names, or else on a new one on this machine.

    Args:
        gpus: GPUs of a run; fractions share one.
    """

    def __init__(self, gpus: float = 0.0) -> None:
        connect()
        self.gpus = gpus

    def play(
        self, specs: Sequence[RunSpec], out: Path, *, workers: int | None, command: str, tell: Tell
    ) -> Iterator[Outcome]:
        """As ``Engine.play``; without a number of workers as many runs at once as the cluster has room for."""
        waiting, playing = deque(specs), dict[Any, RunSpec]()
        try:
            while waiting or playing:
                while waiting and len(playing) < (workers or self._room()):
                    spec = waiting.popleft()
                    options = {"num_cpus": spec.threads, "num_gpus": self.gpus, "max_retries": MOST_DEATHS - 1}
                    playing[_play.options(**options).remote(spec, out.resolve(), command)] = spec
                done, _ = ray.wait(list(playing), timeout=_POLL_SECONDS)
                for task in done:
                    yield _outcome(task, playing.pop(task), out)
                for spec in playing.values():
                    tell(spec.folder_name, RunFolder.at(out, spec).labels_used())
        finally:
            for task in playing:
                ray.cancel(task, force=True)

    def _room(self) -> int:
        """Twice what fits, so that no machine waits for this process; a cluster may grow and shrink."""
        return 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))


@ray.remote  # type: ignore[untyped-decorator]
def _play(spec: RunSpec, out: Path, command: str) -> Outcome:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # read when torch is loaded, which is after this
        os.environ[name] = str(spec.threads)
    return play_one(spec, out, command, lambda name, labels: None)


def _outcome(task: Any, spec: RunSpec, out: Path) -> Outcome:
    try:
        outcome: Outcome = ray.get(task)
    except ray.exceptions.RayError as death:
        error = f"its worker died {MOST_DEATHS} times on the Ray cluster: {death}"
        RunFolder.at(out, spec).fail(error)
        return Outcome(spec, None, error)
    return outcome
