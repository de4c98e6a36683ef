"""What a run leaves behind, and how it is written so that a kill at any moment leaves a readable folder."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import platform
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from duelbench.spec import RunSpec

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SCHEMA_VERSION = 2
_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: lambda manifest: manifest | {"machine": {}},  # not recorded then
}
"""Schema -> what makes a manifest of it one of the next."""
CALIBRATION_FILE = "calibration.json"
PATIENCE_SECONDS = 20.0
"""How long to wait for a run that another process is playing."""
_POLL_SECONDS = 0.25
_PACKAGES = ("duelbench", "gymnasium", "numpy", "scipy", "torch", "transformers", "safetensors")


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
    def missing(self) -> bool:
        """Whether it was planned, but nobody has begun to play it."""
        return not self.manifest and not self.finished

    @property
    def folder_id(self) -> str:
        """Id of the specification it was played by, which lock-step seeds share."""
        return self.run_id.partition("/")[0]


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace a file as a whole, its folder made if absent: readers see the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class RunBusyError(RuntimeError):
    """Another process is playing this run."""


class RunFolder:
    """Files of one run: ``manifest.json``, ``metrics.jsonl``, ``timing.jsonl``, ``samples.json``, ``lock``, ``DONE``.

    A run of an agent with a posterior has ``calibration.json`` too.

    Metrics are a function of the specification alone; wall times live in their own file, so that the metrics of a
    resumed run equal those of an uninterrupted one byte for byte.

    Args:
        path: folder, made when the run is played.
        spec: the run it belongs to.
    """

    def __init__(self, path: Path, spec: RunSpec) -> None:
        self.path, self.spec = path, spec

    @classmethod
    def at(cls, out: Path, spec: RunSpec) -> RunFolder:
        """The run's folder in an output folder."""
        return cls(out / "runs" / spec.folder_name, spec)

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return (self.path / "DONE").exists()

    @property
    def failed(self) -> bool:
        """Whether something stopped the run; the same specification can be played on."""
        return not self.finished and (self.path / "error.txt").exists()

    def labels_used(self) -> int:
        """Labels at the last evaluation, of a run that another process may be playing."""
        timing = _read_lines(self.path / "timing.jsonl")
        return int(timing[-1]["labels"]) if timing else 0

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Keep other processes off the run; the system lets go of it when this process ends, however it ends.

        Waits a while first: a worker whose parent was killed ends within a round, so that the same command can be
        given again at once.

        Raises:
            RunBusyError: if another process still has it then.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if fcntl is None:
            yield
            return
        with (self.path / "lock").open("a") as file:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not _locked(file):
                if time.monotonic() > deadline:
                    raise RunBusyError(f"another process is playing this run: {self.path}")
                time.sleep(_POLL_SECONDS)
            yield

    def play(self, how: Callable[[], None]) -> Path:
        """Play the run unless it came to its end, by this process or just now by another; return the folder.

        Raises:
            RunBusyError: if another process is playing it.
            Exception: whatever stopped it; its traceback is in ``error.txt``.
        """
        if self.finished:
            return self.path
        with self.playing():
            if self.finished:
                return self.path
            try:
                how()
            except Exception:
                with suppress(OSError):  # on a full disk the error itself cannot be written
                    self.fail(traceback.format_exc())
                raise
        return self.path

    def write_manifest(self, command: str, facts: dict[str, Any]) -> None:
        """Provenance, once: the first start that came to know its facts is the one that counts.

        Args:
            command: what was typed.
            facts: what the environment says of itself: ``comparator``, ``reference``, ``judge``, ...
        """
        path = self.path / "manifest.json"
        if path.exists() and "judge" in json.loads(path.read_text(encoding="utf-8")):
            return
        manifest = {
            "schema": SCHEMA_VERSION, "run_id": self.spec.run_id, "spec": self.spec.to_json(), "command": command,
            "created": datetime.now(UTC).isoformat(timespec="seconds"), "versions": installed_versions(),
            "git": git_state(), "machine": machine(), **facts,
        }  # fmt: skip
        write_atomic(path, json.dumps(manifest, indent=1))

    def rewind(self, n_rows: int) -> None:
        """Keep the first n rows: what was measured after the checkpoint is measured again."""
        for name in ("metrics.jsonl", "timing.jsonl"):
            file = self.path / name
            if file.exists():
                lines = file.read_text(encoding="utf-8").splitlines(keepends=True)[:n_rows]
                write_atomic(file, "".join(lines))

    def append(self, row: dict[str, float], timing: dict[str, float]) -> None:
        """Add one evaluation."""
        for name, entry in (("metrics.jsonl", row), ("timing.jsonl", timing)):
            with (self.path / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")

    def finish(self, samples: list[dict[str, Any]], calibration: dict[str, list[float]] | None = None) -> None:
        """Mark the run as complete; ``calibration`` is what its agent predicted of held-out duels, if it does."""
        if calibration is not None:
            write_atomic(self.path / CALIBRATION_FILE, json.dumps(calibration))
        write_atomic(self.path / "samples.json", json.dumps(samples, ensure_ascii=False, indent=1))
        (self.path / "error.txt").unlink(missing_ok=True)
        write_atomic(self.path / "DONE", "")

    def finish_lockstep(self, curves: bytes, timing: Sequence[tuple[int, float]]) -> None:
        """Mark a run of many seeds as complete: ``curves.npz`` holds a (seeds, evaluations) array for each metric."""
        lines = [json.dumps({"labels": labels, "wall_seconds": seconds}) + "\n" for labels, seconds in timing]
        write_atomic(self.path / "timing.jsonl", "".join(lines))
        write_atomic(self.path / "curves.npz", curves)
        self.finish([])

    def fail(self, trace: str) -> None:
        """Leave the traceback of a failed run beside what it had measured, however early, so that a report shows it."""
        if not (self.path / "manifest.json").exists():
            self.write_manifest("", {})
        write_atomic(self.path / "error.txt", trace)


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def load_runs(folder: Path) -> list[Run]:
    """Every run under an output folder, finished or not, in the order of their names.

    Raises:
        FileNotFoundError: if the folder holds no runs.
    """
    manifests = sorted(Path(folder).glob("runs/*/manifest.json"))
    if not manifests:
        raise FileNotFoundError(f"{folder} holds no runs (expected {folder}/runs/*/manifest.json)")
    return [run for manifest in manifests for run in load_run(manifest.parent)]


def load_run(folder: Path) -> list[Run]:
    """The run of one folder under ``runs``: a single one, or one for each seed of a finished lock-step run."""
    return _seeds(_load(folder / "manifest.json"), folder)


def _seeds(run: Run, folder: Path) -> list[Run]:
    """The run itself, or one run for each seed of a lock-step run that came to its end."""
    if not run.finished or not (folder / "curves.npz").exists():
        return [run]
    with np.load(folder / "curves.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name].astype(np.float64) for name in stored.files}
    labels, seeds = arrays.pop("labels"), arrays.pop("seeds").astype(int).tolist()
    timing = [
        entry | {"wall_seconds": entry["wall_seconds"] / len(seeds)}  # a seed's share
        for entry in _read_lines(folder / "timing.jsonl")
    ]
    return [
        dataclasses.replace(
            run, run_id=f"{run.run_id}/{seed}", spec=run.spec | {"seed": seed}, timing=timing,
            rows=SeedRows(labels, {name: values[place] for name, values in arrays.items()}),
        )
        for place, seed in enumerate(seeds)
    ]  # fmt: skip


def _load(path: Path) -> Run:
    manifest = _read_manifest(path)
    spec = manifest["spec"] | {"agent": RunSpec.from_json(manifest["spec"]).agent_label}
    folder = path.parent
    samples, error = folder / "samples.json", folder / "error.txt"
    rows, timing = _read_lines(folder / "metrics.jsonl"), _read_lines(folder / "timing.jsonl")
    shared = min(len(rows), len(timing))
    return Run(
        run_id=manifest["run_id"], spec=spec, rows=rows[:shared], timing=timing[:shared],
        samples=json.loads(samples.read_text(encoding="utf-8")) if samples.exists() else [],
        finished=(folder / "DONE").exists(), manifest=manifest,
        error=error.read_text(encoding="utf-8") if error.exists() else None, folder=folder,
    )  # fmt: skip


def _read_manifest(path: Path) -> dict[str, Any]:
    """A manifest of this version's schema, whichever older one it was written in."""
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if manifest["schema"] > SCHEMA_VERSION:
        raise RuntimeError(f"{path} has record schema {manifest['schema']}; this version reads {SCHEMA_VERSION}")
    for schema in range(manifest["schema"], SCHEMA_VERSION):
        manifest = _MIGRATIONS[schema](manifest) | {"schema": schema + 1}
    return manifest


def _read_lines(path: Path) -> list[dict[str, float]]:
    """The whole lines of a JSONL file; a line torn by a kill is left out."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


@functools.cache
def installed_versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


@functools.cache
def git_state() -> str:
    """Commit of the working folder's repository with ``-dirty`` if it was changed, or an empty string."""
    try:
        result = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"],
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip()


@functools.cache
def machine() -> dict[str, str]:
    """What the numbers of a run can depend on below the packages: system, processor, accelerator."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "system": platform.platform(), "processor": model or platform.processor(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
    }  # fmt: skip
