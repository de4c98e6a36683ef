"""Removing what runs left, but never one that a process is playing."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from duelbench.errors import UsageError
from duelbench.plugins import did_you_mean
from duelbench.records.record import RecordError, Run, load_run
from duelbench.records.spec import RunSpec
from duelbench.runs.recording.lock import RunBusyError, hold


def remove(folders: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Remove the folders of runs; returns those that are gone, and those that another process is playing."""
    gone, busy = [], []
    for folder in folders:
        if not folder.is_dir():
            continue
        try:
            with hold(folder, patience=0.0):
                shutil.rmtree(folder)
            gone.append(folder)
        except RunBusyError:
            busy.append(folder)
    return gone, busy


def chosen(out: Path, ids: Sequence[str] = (), *, stale: bool = False) -> list[Path]:
    """Folders of runs in an output folder.

    Args:
        out: the output folder.
        ids: ids of the runs; empty for all.
        stale: only those of which there is a newer version.

    Raises:
        FileNotFoundError: there are none.
        UsageError: no run has such an id.
    """
    folders = {path.name.rpartition("-")[2]: path for path in sorted((out / "runs").glob("*")) if path.is_dir()}
    if not folders:
        raise FileNotFoundError(f"{out} holds no runs (expected folders under {out / 'runs'})")
    for run_id in ids:
        if run_id not in folders:
            raise UsageError(
                f"{out} holds no run {run_id!r}: expected one of {sorted(folders)}{did_you_mean(run_id, folders)}"
            )
    asked = [folders[run_id] for run_id in ids] or [*folders.values()]
    return [folder for folder in asked if folder in _stale(folders.values())] if stale else asked


def _stale(folders: Iterable[Path]) -> set[Path]:
    """Folders of runs that were asked for again later, when a file or a default had changed."""
    newest: dict[str, tuple[str, Path]] = {}
    known = []
    for folder in folders:
        try:
            asked, created = _asked(load_run(folder)[0])
        except RecordError:  # not begun, or damaged: nobody can say what it is a version of
            continue
        known.append(folder)
        if asked not in newest or created >= newest[asked][0]:
            newest[asked] = created, folder
    return set(known) - {folder for _, folder in newest.values()}


def _asked(run: Run) -> tuple[str, str]:
    """What was asked for, whatever it came to, and when."""
    spec = RunSpec.from_json(run.manifest["spec"])
    asked = dataclasses.replace(spec, resolved={}, content={}, old_id="", task="")
    return json.dumps(asked.to_json(), sort_keys=True), str(run.manifest.get("created", ""))
