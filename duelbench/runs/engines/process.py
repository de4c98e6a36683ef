"""Several processes on this machine. One that dies is replaced, and its run goes on from its journal."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from duelbench.errors import OUT_OF_MEMORY
from duelbench.records.spec import RunSpec
from duelbench.runs.engines.outcome import MOST_DEATHS, Outcome, Tell, play_one
from duelbench.runs.engines.waiting import Waiting
from duelbench.runs.recording.run_folder import RunFolder

_NEWS_SECONDS = 0.1  # between two messages of a worker to the progress bar


class Process:
    """Plays in spawned processes of one thread each, which live as long as there is work."""

    def play(
        self, specs: Sequence[RunSpec], out: Path, *, workers: int | None, command: str, tell: Tell
    ) -> Iterator[Outcome]:
        """As ``Engine.play``; by default a worker for each core."""
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # spinning OpenMP threads slow their neighbours tenfold
            os.environ.setdefault(name, "1")
        waiting = Waiting(specs)
        deaths = dict.fromkeys((spec.run_id for spec in specs), 0)
        crew = [_Worker(out, command) for _ in range(min(workers or os.cpu_count() or 1, len(specs)))]
        try:
            while waiting or any(worker.spec for worker in crew):
                for worker in crew:
                    if worker.spec is None and waiting:
                        worker.begin(waiting.next())
                for worker in _with_news(crew):
                    spec, news = worker.spec, worker.news()
                    if isinstance(news, int) and spec:
                        tell(spec.folder_name, news)
                    elif isinstance(news, Outcome):
                        waiting.took(news.spec, time.monotonic() - worker.began)
                        yield news
                    elif news is None:
                        crew[crew.index(worker)] = _Worker(out, command)
                        yield from _after_death(worker, out, deaths, waiting)
        finally:
            for worker in crew:
                worker.stop()


class _Worker:
    """A process that plays one run after the other, and the pipe to it."""

    def __init__(self, out: Path, command: str) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, out, command))
        self.process.start()
        theirs.close()  # so that the pipe ends with the process
        self.spec: RunSpec | None = None
        self.began = 0.0

    def begin(self, spec: RunSpec) -> None:
        """Give it a run; a process that is already dead is noticed when its messages are read."""
        self.spec, self.began = spec, time.monotonic()
        with suppress(OSError):
            self.pipe.send(spec)

    def news(self) -> int | Outcome | None:
        """Labels used so far, how the run ended, or None from a process that is dead."""
        try:
            news = self.pipe.recv()
        except (EOFError, OSError):
            return None
        if isinstance(news, Outcome):
            self.spec = None
        return news

    def stop(self) -> None:
        """End the process; every run can be killed at any moment."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _with_news(crew: list[_Worker]) -> list[_Worker]:
    ready = wait([worker.pipe for worker in crew])
    return [worker for worker in crew if worker.pipe in ready]


def _after_death(worker: _Worker, out: Path, deaths: dict[str, int], waiting: Waiting) -> Iterator[Outcome]:
    """Let the dead worker's run go on elsewhere, or give it up."""
    worker.stop()
    if worker.spec is None:
        return
    deaths[worker.spec.run_id] += 1
    if deaths[worker.spec.run_id] < MOST_DEATHS:
        waiting.again(worker.spec)
        return
    error = (
        f"{MOST_DEATHS} worker processes died of this run, the last with exit code {worker.process.exitcode}. If the "
        f"system killed them, it {OUT_OF_MEMORY}"
    )
    RunFolder.at(out, worker.spec).fail(error)
    yield Outcome(worker.spec, None, error)


def _work(pipe: Connection, out: Path, command: str) -> None:
    """What a worker does: play what comes through the pipe until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    told = 0.0

    def tell(name: str, labels: int) -> None:
        nonlocal told
        if time.monotonic() - told > _NEWS_SECONDS:
            told = time.monotonic()
            try:
                pipe.send(labels)
            except OSError:  # the parent was killed: nobody waits for this run, and it can be continued
                os._exit(1)

    while True:
        try:
            spec = pipe.recv()
        except EOFError:
            return
        outcome = play_one(spec, out, command, tell)
        try:
            pipe.send(outcome)
        except OSError:
            return
