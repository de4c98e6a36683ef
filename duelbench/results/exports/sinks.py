"""Runs for other tools: CSV and Parquet tables, TensorBoard, Weights & Biases.

The records on disk are the truth and all that is read, while a run is playing or long after. What is written replaces
what an earlier export of the same runs wrote.

A table has one row for each evaluation of each run. Its columns: the run, its specification (``spec.…``, dotted for
nested options), labels, rounds and metrics, wall time and generated tokens. A cell is empty where a run has no such
option or metric.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from duelbench.errors import install
from duelbench.records.files import write_atomic
from duelbench.records.record import Run

Row = dict[str, Any]


class MissingPackageError(ValueError):
    """An export needs a package that is not installed."""


@contextmanager
def needed_for(what: str, extra: str) -> Iterator[None]:
    """Turn an import that fails into one line that says what to install."""
    try:
        yield
    except ImportError as error:
        raise MissingPackageError(f"{what} needs {error.name}: {install(extra)}") from None


def flat_spec(spec: Row, prefix: str = "spec.") -> Row:
    """A specification as one level of columns; lists become JSON.

    >>> flat_spec({"env": "MatrixDuel-v0", "env_kwargs": {"matrix": "bt", "options": {"scale": 2.0}}, "learner": {}})
    {'spec.env': 'MatrixDuel-v0', 'spec.env_kwargs.matrix': 'bt', 'spec.env_kwargs.options.scale': 2.0}
    """
    row: Row = {}
    for name, value in spec.items():
        if isinstance(value, dict):
            row |= flat_spec(value, f"{prefix}{name}.")
        else:
            row[prefix + name] = json.dumps(value) if isinstance(value, list | tuple) else value
    return row


def table(runs: Sequence[Run]) -> list[Row]:
    """One row for each evaluation of each run; every row has every column."""
    rows = []
    for run in runs:
        head = {"run": run.run_id, "finished": run.finished} | flat_spec(run.spec)
        rows += [head | dict(values) | _timing(spent) for values, spent in zip(run.rows, run.timing, strict=False)]
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name) for name in columns} for row in rows]


def _timing(spent: dict[str, float]) -> Row:
    return {name: value for name, value in spent.items() if name != "labels"}


def to_csv(runs: Sequence[Run], out: Path) -> Path:
    """Write ``runs.csv``."""
    rows = table(runs)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(out / "runs.csv", text.getvalue())
    return out / "runs.csv"


def to_parquet(runs: Sequence[Run], out: Path) -> Path:
    """Write ``runs.parquet``. A column whose values are of several types becomes text.

    Raises:
        MissingPackageError: without pyarrow.
    """
    rows = table(runs)
    return write_parquet({name: _one_type([row[name] for row in rows]) for name in rows[0]}, out / "runs.parquet")


def _one_type(values: list[Any]) -> list[Any]:
    types = {type(value) for value in values if value is not None}
    if types <= {int, float} or len(types) < 2:
        return [float(v) if float in types and v is not None else v for v in values]
    return [None if value is None else value if isinstance(value, str) else json.dumps(value) for value in values]


def write_parquet(columns: dict[str, list[Any]], path: Path) -> Path:
    """Write columns of equal length as one Parquet file.

    Raises:
        MissingPackageError: without pyarrow.
    """
    with needed_for("Parquet", "data"):
        import pyarrow as pa
        from pyarrow import parquet
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer)
    write_atomic(path, buffer.getvalue())
    return path


def to_tensorboard(runs: Sequence[Run], out: Path) -> Path:
    """Write one log folder for each run: its metrics over labels and its specification.

    Raises:
        MissingPackageError: without tensorboard.
    """
    with needed_for("TensorBoard", "tensorboard"):
        from torch.utils.tensorboard import SummaryWriter
    for run in runs:
        started = datetime.fromisoformat(run.manifest["created"]).timestamp()
        with _replacing(out / run_name(run)) as folder:
            writer = SummaryWriter(str(folder))
            writer.add_text("spec", f"```\n{json.dumps(run.spec, indent=1)}\n```", walltime=started)
            for values, spent in zip(run.rows, run.timing, strict=False):
                moment = started + spent["wall_seconds"]
                for name, value in (dict(values) | _timing(spent)).items():
                    if name != "labels":
                        writer.add_scalar(name, value, int(values["labels"]), walltime=moment)
            writer.close()
    return out


def to_wandb(runs: Sequence[Run], out: Path) -> Path:
    """Write one offline run of Weights & Biases for each run; ``wandb sync`` uploads them.

    A run keeps its id, so that uploading it again after it went on does not make a second one of it.

    Raises:
        MissingPackageError: without wandb.
    """
    with needed_for("Weights & Biases", "wandb"):
        import wandb
    out.mkdir(parents=True, exist_ok=True)
    for run in runs:
        name = run_name(run)
        for old in (out / "wandb").glob(f"offline-run-*-{name}"):
            shutil.rmtree(old)
        logged = wandb.init(
            project="duelbench",
            id=name,
            name=name,
            group=run.spec["env"],
            job_type=run.spec["agent"],
            dir=str(out),
            config=run.spec,
            mode="offline",
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )
        for values, spent in zip(run.rows, run.timing, strict=False):
            logged.log(dict(values) | _timing(spent), step=int(values["labels"]))
        logged.finish()
    wandb.teardown()  # its own process writes the files: they are complete when it has ended
    return out / "wandb"


def run_name(run: Run) -> str:
    """A name that is a legal folder and id everywhere."""
    return f"{run.spec['env']}-{run.spec['agent']}-{run.spec['seed']}-{run.folder_id}".replace("/", "_").replace(
        ":", "_"
    )


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """An empty folder that takes the place of an older one when all is written."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield scratch
        if folder.exists():
            shutil.rmtree(folder)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


SINKS: dict[str, Callable[[Sequence[Run], Path], Path]] = {
    "csv": to_csv,
    "parquet": to_parquet,
    "tensorboard": to_tensorboard,
    "wandb": to_wandb,
}
