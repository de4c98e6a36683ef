"""``duelbench.run``, ``duelbench.sweep`` and ``duelbench.load``: what the command line plays, from Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from duelbench import plugins
from duelbench.envs.duel.problem import Problem
from duelbench.errors import UsageError
from duelbench.plugins import name_of
from duelbench.records.record import load_runs
from duelbench.records.spec import RunSpec
from duelbench.results.results import Results
from duelbench.runs.engines import Engine, make_engine
from duelbench.runs.engines.outcome import Outcome
from duelbench.runs.execute import execute, fetch_models, say_failures, suitable_workers
from duelbench.runs.judging.forecast import forecast_all, forecast_text
from duelbench.runs.recording.lock import RunBusyError
from duelbench.runs.recording.remove import remove
from duelbench.runs.recording.run_folder import RunFolder
from duelbench.study.settings import settings_of
from duelbench.study.sweep import AgentSetting, EnvSetting, Sweep
from duelbench.study.sweep_files import load_sweep


def run(
    env: str | type[Problem] = "LLMDuel-v0",
    agents: Sequence[str | type | AgentSetting] = (),
    *,
    preset: str | None = None,
    seeds: int | range | None = None,
    labels: int | None = None,
    batch: int | None = None,
    optimizer: str = "dpo",
    model: str | None = None,
    options: Mapping[str, Any] | None = None,
    judging: Mapping[str, Any] | None = None,
    threads: int = 1,
    out: str | Path | None = None,
    workers: int | None = None,
    fresh: bool = False,
) -> Results:
    """Play agents × seeds on one environment, as ``duelbench run`` does: same defaults, same runs, same records.

    What is finished in the output folder is not played again, and what was interrupted goes on. A run that fails stops
    no other; its record has an ``error``.

    Args:
        env: environment id, where it is (``mymod:Mine-v0``, ``path/to/file.py:Mine-v0``), or a ``Problem`` class.
        agents: names, ``package.module:Class``, ``path/to/file.py:Class``, or classes; none for those that usually play
            there.
        preset: a named setting of the environment.
        seeds: how many, or which; None for the usual number.
        labels: oracle labels of a run; None for the usual budget.
        batch: labels per round.
        optimizer: direct optimizer of the policy.
        model: language model of ``LLMDuel-v0``.
        options: by name, as for ``--set``: ``{"sea.candidates": 8, "env.oracle": "reader-hard"}``; a value can be the
            object where the command line takes its name: ``{"env.oracle": my_function, "env.task": my_task}``.
        judging: fields of ``duelbench.records.spec.Judging``.
        threads: torch threads of a run.
        out: output folder; None for ``results/ENV``.
        workers: runs at once; None for one for each core.
        fresh: remove earlier records of the same runs first, and play them again.

    Raises:
        UsageError: for an unknown environment, preset, agent or option, before anything is played.

    >>> import tempfile
    >>> out = tempfile.mkdtemp()
    >>> found = run("MatrixDuel-v0", ["rucb", "uniform"], preset="bt10", seeds=5, labels=50, out=out, workers=1)
    >>> [(run.spec["agent"], run.finished) for run in found.runs if run.spec["seed"] == 0]
    [('rucb', True), ('uniform', True)]
    >>> len(found.finals("cumulative_average_regret")["seed"])
    10
    """
    asked = one_environment(
        EnvSetting(env, preset, model=model),
        agents=agents,
        optimizers=(optimizer,),
        settings={name: [value] for name, value in (options or {}).items()},
        seeds=seeds,
        labels=labels,
        batch=batch,
        judging=judging or {},
        threads=threads,
    )
    out = default_folder(name_of(env)) if out is None else Path(out)
    return _played(asked.specs(), out, workers, fresh)


def sweep(
    asked: Sweep | str | Path,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    fresh: bool = False,
) -> Results:
    """Play a sweep, as ``duelbench sweep`` does.

    Args:
        asked: a ``duelbench.study.sweep.Sweep``, or where one is, as for the command.
        out: output folder; None for ``results/NAME``.
        workers: runs at once; None for one for each core.
        fresh: remove earlier records of the same runs first, and play them again.

    Raises:
        UsageError: the sweep does not exist or does not fit together.
    """
    if isinstance(asked, Sweep):
        if out is None:
            raise UsageError("a Sweep object has no name that its output folder could go by: give out=FOLDER")
        name, found = Path(out).name, asked
    else:
        name, found = load_sweep(str(asked))
    folder = Path("results") / name if out is None else Path(out)
    plan = found.plan(name)
    plan.write(folder)
    return _played([planned.spec for planned in plan.runs], folder, workers, fresh)


def load(folder: str | Path) -> Results:
    """Load the results of an output folder.

    Raises:
        FileNotFoundError: no runs.
    """
    return Results.load(folder)


def one_environment(on: EnvSetting, *, seeds: int | range | None, first_seed: int = 0, **fields: Any) -> Sweep:
    """The sweep of one environment that ``run`` is, by default over as many seeds as are usual there."""
    if not isinstance(seeds, range):
        n_seeds = settings_of(on.env).seeds if seeds is None else seeds
        seeds = range(first_seed, first_seed + n_seeds)
    return Sweep(title=on.env, envs=[on], seeds=seeds, **fields)


def default_folder(env: str) -> Path:
    """The default output folder of an environment."""
    return Path("results") / env.rpartition(":")[2].replace("/", "_")


def play(
    specs: Sequence[RunSpec],
    out: Path,
    *,
    workers: int | None = None,
    command: str = "",
    fresh: bool = False,
    engine: Engine | None = None,
    console: Console | None = None,
) -> list[Outcome]:
    """Play the runs that are not finished, after fetching what they need, and report how each ended.

    Args:
        specs: the runs.
        out: output folder.
        workers: runs at once; None for what suits the engine.
        command: for the record.
        fresh: remove earlier records of the runs first.
        engine: where to play; by default in this process for one worker, else in several.
        console: where progress and removals are told.

    Raises:
        RunBusyError: a run that is to be played anew is being played by another process.
    """
    console = console or Console(stderr=True)
    if fresh:
        clear(specs, out, console)
    fetch_models(specs, console.print)
    if any(map(_only_here, specs)) and (engine is not None or workers not in (None, 1)):
        console.print("Played in this process alone: no other can import what was defined in it", highlight=False)
    if any(map(_only_here, specs)):
        engine, workers = make_engine("inline"), 1
    elif engine is None:
        workers = workers or suitable_workers(specs)
    return execute(specs, out, workers=workers, command=command, console=console, engine=engine)


def _only_here(spec: RunSpec) -> bool:
    """Whether a run needs an object that only this process has."""
    judges = dataclasses.asdict(spec.judging)
    named = [spec.env, spec.agent, spec.env_kwargs, spec.agent_options, judges]
    return any(plugins.offered(text) is not None for text in _texts(named))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)


def clear(specs: Sequence[RunSpec], out: Path, console: Console) -> None:
    """Remove earlier records of some runs, and say so."""
    gone, busy = remove(RunFolder.at(out, spec).path for spec in specs)
    for folder in gone:
        console.print(f"Removed {folder}", markup=False, highlight=False, soft_wrap=True)
    if busy:
        raise RunBusyError(f"another process is playing {busy[0]}: wait for it, or choose another output folder")


def _played(specs: Sequence[RunSpec], out: Path, workers: int | None, fresh: bool) -> Results:
    console = Console(stderr=True)
    if text := forecast_text(forecast_all(spec for spec in specs if fresh or not RunFolder.at(out, spec).finished)):
        console.print(f"{text}.", highlight=False, soft_wrap=True)
    say_failures(play(specs, out, workers=workers, command="duelbench (Python)", fresh=fresh, console=console), console)
    return results_of(specs, out)


def results_of(specs: Sequence[RunSpec], out: Path) -> Results:
    """The results of some runs."""
    ids = {spec.run_id for spec in specs}
    return Results(out, [run for run in load_runs(out) if run.folder_id in ids], frozenset(ids))
