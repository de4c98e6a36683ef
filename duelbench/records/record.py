"""What a run left behind, as it is read. A record that cannot be read is left out with a warning; the others count."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from duelbench.records.files import read_lines
from duelbench.records.spec import RunSpec

SCHEMA_VERSION = 3
_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda manifest: manifest | {"machine": {}},  # not recorded then
    2: lambda manifest: _known_by_name(manifest) | manifest | {"spec": RunSpec.from_json(manifest["spec"]).to_json()},
}
"""Schema -> what makes a manifest of it one of the next."""
CALIBRATION_FILE = "calibration.json"
_DAMAGE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    EOFError,
    OSError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a file raises that was cut off, damaged or emptied."""
_log = logging.getLogger(__name__)

Role = Literal["floor", "rival", "ceiling"]
"""What an agent is to the others: it plays uniform pairs, it competes, or it is told the truth."""


class RecordError(RuntimeError):
    """A record that cannot be read: cut off, damaged, or of a newer version."""


@dataclass(frozen=True)
class SeedRows(Sequence[dict[str, float]]):
    """The rows of one seed of a lock-step run: views of arrays, and dicts only for those who ask for them.

    Attributes:
        labels: labels consumed at each evaluation, (E,).
        columns: metric -> its values, (E,).
    """

    labels: NDArray[np.float64]
    columns: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        """Number of evaluations, E."""
        return len(self.labels)

    def __getitem__(self, index: Any) -> Any:
        """One row, or a list of rows for a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = {"labels": float(self.labels[index])}
        return row | {name: float(values[index]) for name, values in self.columns.items()}


@dataclass(frozen=True)
class Run:
    """One run as it lies on disk: what was asked for, what was measured, and whether it came to its end.

    Attributes:
        run_id: hash of the canonical run specification.
        spec: the run specification: ``env``, ``env_kwargs``, ``agent`` (the name shown), ``seed``, ...
        rows: one dict of metrics for each evaluation, ascending in ``labels`` consumed, from 0.
        timing: parallel to ``rows``: ``labels``, ``wall_seconds``, ``generated_tokens``.
        samples: held-out ``prompt``, ``before``, ``after`` (``utility_before``, ``utility_after``).
        finished: whether the run reached its last label.
        manifest: ``command``, ``versions``, ``git``, ``created``, ``comparator``, ``reference``, ``judge``.
        error: traceback of a failed run.
        folder: where the record lies; None for a run that was never on disk.
    """

    run_id: str
    spec: dict[str, Any]
    rows: Sequence[dict[str, float]]
    timing: list[dict[str, float]]
    samples: list[dict[str, Any]]
    finished: bool
    manifest: dict[str, Any]
    error: str | None = None
    folder: Path | None = None

    @property
    def asked_id(self) -> str:
        """Hash of what was asked, whatever it came to, with the seed of a lock-step run: see ``RunSpec.asked_id``."""
        return "/".join([RunSpec.from_json(self.manifest["spec"]).asked_id, *self.run_id.split("/")[1:]])

    @property
    def missing(self) -> bool:
        """Whether it was planned, but nobody has begun to play it."""
        return not self.manifest and not self.finished

    @property
    def role(self) -> Role:
        """What its agent is to the others; nobody knows it of a run that has not begun."""
        role: Role = self.manifest.get("role", "rival")
        return role

    @property
    def arms(self) -> bool:
        """Whether it duelled arms with known preferences, and not responses that somebody judges."""
        return bool(self.manifest.get("arms", False))

    @property
    def task(self) -> str:
        """The name that a suite gave the task it belongs to; empty for any other run."""
        return str(self.spec.get("task", ""))

    @property
    def second_judge(self) -> str:
        """The second judge, from whom nothing was learned; empty where nobody did."""
        return str(self.spec.get("judging", {}).get("second") or "")

    @property
    def folder_id(self) -> str:
        """Id of the specification it was played by, which lock-step seeds share."""
        return self.run_id.partition("/")[0]


def load_runs(folder: Path) -> list[Run]:
    """Every run under an output folder, finished or not, in the order of their names.

    A record that cannot be read is left out, with a line in the log: the others are whole.

    Raises:
        FileNotFoundError: if the folder holds no runs.
        RecordError: if it holds some, but none can be read.
    """
    manifests = sorted(Path(folder).glob("runs/*/manifest.json"))
    if not manifests:
        raise FileNotFoundError(f"{folder} holds no runs (expected {folder}/runs/*/manifest.json)")
    runs: list[Run] = []
    problems: list[RecordError] = []
    for manifest in manifests:
        try:
            runs += load_run(manifest.parent)
        except RecordError as error:
            problems.append(error)
    if not runs:
        raise RecordError(
            f"none of the {len(problems)} records in {folder} can be read: {problems[0]}"
            if len(problems) > 1
            else str(problems[0])
        )
    for problem in problems:
        _log.warning("left out a record: %s", problem)
    return runs


def unreadable(folder: Path, runs: Sequence[Run]) -> list[str]:
    """Why records of an output folder that are not among ``runs`` cannot be read, each in a sentence."""
    known = {run.folder.name for run in runs if run.folder is not None}
    found = []
    for manifest in sorted(Path(folder).glob("runs/*/manifest.json")):
        if manifest.parent.name not in known:
            try:
                load_run(manifest.parent)
            except RecordError as error:
                found.append(str(error))
    return found


def load_run(folder: Path) -> list[Run]:
    """The run of one folder under ``runs``: a single one, or one for each seed of a finished lock-step run.

    Raises:
        RecordError: it cannot be read.
    """
    there = _names(folder)
    run = _load(folder, there)
    return _seeds(run, folder) if run.finished and "curves.npz" in there else [run]


def _names(folder: Path) -> frozenset[str]:
    """Names of a folder's files: a report of thousands of runs looks for six in each."""
    with _reading(folder), os.scandir(folder) as entries:
        return frozenset(entry.name for entry in entries)


def _seeds(run: Run, folder: Path) -> list[Run]:
    """One run for each seed of a lock-step run that came to its end."""
    with _reading(folder / "curves.npz"):
        with (folder / "curves.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name].astype(np.float64) for name in stored.files}
        labels, seeds = arrays.pop("labels"), arrays.pop("seeds").astype(int).tolist()
    with _reading(folder / "timing.jsonl"):
        share = [{"wall_seconds": entry["wall_seconds"] / len(seeds)} for entry in run.timing]  # of a seed
    timing = [entry | own for entry, own in zip(run.timing, share, strict=True)]
    return [
        dataclasses.replace(
            run,
            run_id=f"{run.run_id}/{seed}",
            spec=run.spec | {"seed": seed},
            timing=timing,
            rows=SeedRows(labels, {name: values[place] for name, values in arrays.items()}),
        )
        for place, seed in enumerate(seeds)
    ]


def _load(folder: Path, there: Collection[str]) -> Run:
    with _reading(path := folder / "manifest.json"):
        manifest = _read_manifest(path)
        run_id, spec = manifest["run_id"], RunSpec.from_json(manifest["spec"])
    rows, timing = (_rows(folder / name) if name in there else [] for name in ("metrics.jsonl", "timing.jsonl"))
    with _reading(path := folder / "samples.json"):
        shown = json.loads(path.read_text(encoding="utf-8")) if path.name in there else []
    with _reading(path := folder / "error.txt"):
        trace = path.read_text(encoding="utf-8", errors="replace") if path.name in there else None
    shared = len(timing) if "curves.npz" in there else min(len(rows), len(timing))
    return Run(
        run_id=run_id,
        spec=manifest["spec"] | {"agent": spec.agent_label},
        rows=rows[:shared],
        timing=timing[:shared],
        samples=shown,
        finished="DONE" in there,
        manifest=manifest,
        error=trace,
        folder=folder,
    )


def _rows(path: Path) -> list[dict[str, float]]:
    """The lines of a file, each with the labels it belongs to."""
    with _reading(path):
        rows = read_lines(path)
        for row in rows:
            float(row["labels"])
    return rows


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say which file it is that cannot be read, whatever was wrong with it."""
    try:
        yield
    except _DAMAGE as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else f"it is cut off or damaged ({error})"
        raise RecordError(f"{path} cannot be read: {' '.join(str(why).split())}") from error


def _known_by_name(manifest: dict[str, Any]) -> dict[str, Any]:
    """What a manifest of schema 2 left to the names of its agent and its environment."""
    agent, env = manifest["spec"]["agent"].rpartition(":")[2], manifest["spec"]["env"].rpartition(":")[2]
    role = {"uniform": "floor", "oracle": "ceiling"}.get(agent, "rival")
    return {"role": role, "arms": not env.startswith("LLMDuel")}


def _read_manifest(path: Path) -> dict[str, Any]:
    """A manifest of this version's schema, whichever older one it was written in."""
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if manifest["schema"] > SCHEMA_VERSION:
        raise RecordError(
            f"{path} has record schema {manifest['schema']}, of a newer duelbench; this version reads up to "
            f"{SCHEMA_VERSION}: upgrade duelbench"
        )
    for schema in range(manifest["schema"], SCHEMA_VERSION):
        manifest = _MIGRATIONS[schema](manifest) | {"schema": schema + 1}
    return manifest
