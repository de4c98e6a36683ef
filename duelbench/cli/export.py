"""``duelbench export``: records, answers and aligned models, for other tools."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.console import Console

from duelbench.cli.arguments import UNSET

if TYPE_CHECKING:
    from duelbench.records.record import Run


@dataclass
class ExportCommand:
    """Export the runs of an output folder to another tool. Exporting again replaces earlier files.

    A folder may be exported while its runs are playing.
    """

    folder: tyro.conf.Positional[Path]
    """Folder that `duelbench run`, `suite` or `tune` wrote."""
    to: Literal["csv", "parquet", "tensorboard", "wandb", "preferences", "model"]
    """A table with one row for each evaluation of each run (`csv`, `parquet`), log folders for TensorBoard, offline
    runs for `wandb sync`, all decided duels as a dataset of prompt, chosen and rejected (`preferences`), or the
    language models that finished runs aligned, each as a folder for transformers, vLLM and `--model` (`model`)."""
    run: tuple[str, ...] = ()
    """Only this run, by its id or the name of its folder. Default: all."""
    out: Annotated[Path | None, UNSET] = None
    """Where to. Default: FOLDER/export/TO."""
    plain: Annotated[bool, UNSET] = False
    """Preferences as three texts instead of chat messages, for a model without a chat template."""
    json: Annotated[bool, UNSET] = False
    """Print what was written as one JSON object."""


def export(command: ExportCommand, line: str) -> int:
    """Write it and say where; returns the exit status.

    Raises:
        FileNotFoundError: the folder holds no runs.
        ValueError: there is nothing to export, or a package is missing.
    """
    from duelbench.records.record import load_runs
    from duelbench.results.exports import preferences
    from duelbench.results.exports.sinks import SINKS

    runs = _chosen(load_runs(command.folder), command)
    out = command.out or command.folder / "export" / command.to
    if command.to == "preferences":
        found = preferences.collect(command.folder, runs, plain=command.plain)
        path, what = preferences.write(found, out), str(found)
    elif command.to == "model":
        from duelbench.runs.recording import export_models  # takes torch

        path, what = out, str(export_models.write(runs, out))
    else:
        if not any(len(run.rows) for run in runs):
            raise ValueError(f"no run in {command.folder} has been judged yet: there is nothing to export")
        path = SINKS[command.to](runs, out)
        what = f"{sum(len(run.rows) for run in runs)} evaluations of {len(runs)} runs"
    console = Console(stderr=True)
    console.print(f"Wrote {what}: {path}", markup=False, highlight=False, soft_wrap=True)
    if command.to == "wandb":
        console.print(f"Upload with: wandb sync {path}/offline-run-*", markup=False, highlight=False, soft_wrap=True)
    if command.json:
        print(json.dumps({"to": command.to, "path": str(path), "what": what}))
    return 0


def _chosen(runs: list[Run], command: ExportCommand) -> list[Run]:
    wanted = set(command.run)
    names = {run.run_id: {run.run_id, run.folder_id, run.folder.name if run.folder else ""} for run in runs}
    if unknown := wanted.difference(*names.values()):
        raise ValueError(f"no run {', '.join(sorted(unknown))} in {command.folder}; there are {', '.join(names)}")
    return [run for run in runs if not wanted or wanted & names[run.run_id]]
