"""Plays many runs on an engine and shows how far they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from duelbench.agents.arms.table import ARM_AGENTS
from duelbench.assets.model_source import resolve_model
from duelbench.assets.wheel_source import Say
from duelbench.errors import explain
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.engines import Engine, make_engine
from duelbench.runs.engines.outcome import Outcome, Tell
from duelbench.runs.judging.forecast import requests_text
from duelbench.runs.progress import progress
from duelbench.runs.recording.run_folder import RunFolder

_QUICK = {name for name, entry in ARM_AGENTS.items() if entry.target.startswith("duelbench.agents.arms.matrix.")}
_SOON_ROUNDS = 20_000  # of such agents take one or two seconds
_ROWS_FOR_FREE = 20  # seeds in lock-step that take hardly longer than one


def execute(
    specs: Sequence[RunSpec],
    out: Path,
    *,
    workers: int | None = 1,
    command: str = "",
    console: Console | None = None,
    engine: Engine | None = None,
) -> list[Outcome]:
    """Play runs and say how each ended, in their order; a failed run stops no other.

    Args:
        specs: the runs. Finished ones are left as they are, begun ones continue.
        out: output folder.
        workers: runs at once; None for what suits the engine.
        command: for the record.
        console: where progress is shown.
        engine: where to play; by default in this process for one worker, else in ``workers`` processes.
    """
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # one bar is enough; workers inherit it
    engine = engine or make_engine("inline" if workers == 1 else "process")
    known = [_resolved(spec) for spec in specs]
    distinct = list({spec.run_id: spec for spec in known if isinstance(spec, RunSpec)}.values())
    ended: dict[str, Outcome] = {}
    console = console or Console(stderr=True)
    if said := requests_text([spec for spec in distinct if not RunFolder.at(out, spec).finished]):
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    with _counting(distinct, out, console) as tell:
        for outcome in engine.play(distinct, out, workers=workers, command=command, tell=tell):
            tell(outcome.spec.folder_name, outcome.spec.total_labels)
            ended[outcome.spec.run_id] = outcome
    return [ended[spec.run_id] if isinstance(spec, RunSpec) else spec for spec in known]


def suitable_workers(specs: Sequence[RunSpec]) -> int:
    """How many runs are played at once where nobody says: as many as there are cores, but no more than there are runs.

    One where all are soon done: each process takes about half a second to start.
    """
    rounds = sum(spec.labels * max(1, spec.lockstep / _ROWS_FOR_FREE) for spec in specs)
    soon = rounds <= _SOON_ROUNDS and all(spec.lockstep and spec.agent in _QUICK for spec in specs)
    return 1 if soon else max(1, min(len(specs), os.cpu_count() or 1))


def _resolved(spec: RunSpec) -> RunSpec | Outcome:
    """The run with its whole configuration, or how it ended before it could begin."""
    try:
        return spec if spec.resolved else resolve(spec)  # what was planned is checked where it is played
    except Exception as error:
        return Outcome(spec, None, explain(error))


def fetch_models(specs: Iterable[RunSpec], say: Say) -> None:
    """Fetch each language model of the runs once, before several workers ask for it; ``say`` is told what takes long.

    Raises:
        ModelUnavailableError: one cannot be had.
    """
    for model in dict.fromkeys(spec.policy["model"] for spec in specs if "model" in spec.policy):
        resolve_model(model, say)


def say_failures(outcomes: Sequence[Outcome], console: Console) -> list[Outcome]:
    """Print the traceback of every run that failed; returns those."""
    failed = [outcome for outcome in outcomes if outcome.error]
    for outcome in failed:
        console.print(f"[red]failed:[/red] {escape(outcome.spec.folder_name)}", soft_wrap=True)
        console.print(outcome.error, markup=False, highlight=False, soft_wrap=True)
    return failed


@contextmanager
def _counting(specs: Sequence[RunSpec], out: Path, console: Console) -> Iterator[Tell]:
    """Progress over the labels of all runs, those that an earlier call used among them."""
    folders = [RunFolder.at(out, spec) for spec in specs]
    used = {f.spec.folder_name: f.spec.total_labels if f.finished else f.labels_used() for f in folders}
    total = sum(used.values())
    with progress(sum(spec.total_labels for spec in specs), "labels", console, done=total) as show:

        def tell(name: str, labels: int) -> None:
            nonlocal total
            total += labels - used[name]
            used[name] = labels
            show(total, name.rsplit("-", 1)[0])

        yield tell
