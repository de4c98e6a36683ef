"""Plays many runs, in this process or in several, with one progress bar and an estimate."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from queue import Empty
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from duelbench.failures import OUT_OF_MEMORY, explain
from duelbench.spec import RunSpec

_POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its folder, or what stopped it."""

    spec: RunSpec
    folder: Path | None
    error: str | None = None


def execute(
    specs: Sequence[RunSpec], out: Path, *, workers: int = 1, command: str = "", console: Console | None = None
) -> list[Outcome]:
    """Play runs and say how each ended; a failed run stops no other.

    Args:
        specs: the runs. Finished ones are left as they are, begun ones continue.
        out: output folder.
        workers: processes, each with ``spec.threads`` torch threads; 1 stays in this process.
        command: for the record.
        console: where the progress bar goes.
    """
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # one bar is enough; workers inherit it
    with _bar(specs, console or Console(stderr=True)) as tell:
        if workers == 1:
            return [_guarded(spec, out, command, tell) for spec in specs]
        return _in_processes(specs, out, workers, command, tell)


def say_failures(outcomes: Sequence[Outcome], console: Console) -> list[Outcome]:
    """Print the traceback of every run that failed; returns those."""
    failed = [outcome for outcome in outcomes if outcome.error]
    for outcome in failed:
        console.print(f"[red]failed:[/red] {escape(outcome.spec.folder_name)}", soft_wrap=True)
        console.print(outcome.error, markup=False, highlight=False, soft_wrap=True)
    return failed


def _guarded(spec: RunSpec, out: Path, command: str, tell: Any) -> Outcome:
    if spec.lockstep:
        from duelbench.lockstep import run_lockstep as run
    else:
        from duelbench.runner import run

    try:
        folder = run(spec, out, command=command, progress=lambda labels: tell(spec.folder_name, labels))
    except Exception as error:
        return Outcome(spec, None, explain(error))
    tell(spec.folder_name, spec.total_labels)
    return Outcome(spec, folder)


def _in_processes(specs: Sequence[RunSpec], out: Path, workers: int, command: str, tell: Any) -> list[Outcome]:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # spinning OpenMP threads slow their neighbours tenfold
        os.environ.setdefault(name, "1")
    context = get_context("spawn")
    with context.Manager() as manager:
        news = manager.Queue()
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_ignore_interrupt)
        try:
            futures = {pool.submit(_child, spec, out, command, news): spec for spec in specs}
            pending: set[Future[Outcome]] = set(futures)
            while pending:
                _, pending = wait(pending, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
                _pass_on(news, tell)
            return [_outcome(future, spec) for future, spec in futures.items()]
        except KeyboardInterrupt:
            for process in (pool._processes or {}).values():  # every run can be killed at any moment
                process.kill()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides


def _child(spec: RunSpec, out: Path, command: str, news: Any) -> Outcome:
    parent = os.getppid()

    def tell(name: str, labels: int) -> None:
        if os.getppid() != parent:  # the parent was killed: nobody waits for this run, and it can be continued
            os._exit(1)
        news.put((name, labels))

    return _guarded(spec, out, command, tell)


def _outcome(future: Future[Outcome], spec: RunSpec) -> Outcome:
    error = future.exception()
    if error is None:
        return future.result()
    return Outcome(spec, None, f"the worker process died: {error!r}. If the system killed it, it {OUT_OF_MEMORY}")


def _pass_on(news: Any, tell: Any) -> None:
    try:
        while True:
            tell(*news.get_nowait())
    except Empty:
        return


@contextmanager
def _bar(specs: Sequence[RunSpec], console: Console) -> Iterator[Any]:
    """A bar over all labels of all runs; yields ``tell(run, labels)``."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("labels"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    used: dict[str, int] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=sum(spec.total_labels for spec in specs))

        def tell(name: str, labels: int) -> None:
            used[name] = labels
            running = name.rsplit("-", 1)[0]
            progress.update(task, completed=sum(used.values()), description=running)

        yield tell
