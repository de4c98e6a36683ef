"""The folder that a run writes, so that a kill at any moment leaves it readable, and plays on from there."""

from __future__ import annotations

import dataclasses
import inspect
import json
import shutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from duelbench.duels.guides import Guide
from duelbench.envs.duel.problem import Problem
from duelbench.plugins import resolved_config
from duelbench.records.files import read_lines, write_atomic
from duelbench.records.provenance import git_state, installed_versions, machine
from duelbench.records.record import CALIBRATION_FILE, SCHEMA_VERSION, Role
from duelbench.records.spec import RunSpec
from duelbench.runs.configuration.resolve import resolve
from duelbench.runs.recording.lock import PATIENCE_SECONDS, hold

CHECKPOINT, POLICY = "checkpoint", "policy"
"""Where a run that is played keeps its state, and a finished one what it trained."""


class RunFolder:
    """Files of one run: ``manifest.json``, ``metrics.jsonl``, ``timing.jsonl``, ``samples.json``, ``lock``, ``DONE``.

    A run of an agent with a posterior has ``calibration.json`` too; one that trains has ``checkpoint`` while it is
    played; one that trained a language model ends with ``policy``, the weights without the optimizer's state.

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
        """The run's folder in an output folder; what is not resolved yet is resolved."""
        known = spec if spec.resolved or spec.old_id else resolve(spec)
        return cls(out / "runs" / known.folder_name, known)

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
        timing = read_lines(self.path / "timing.jsonl")
        return int(timing[-1]["labels"]) if timing else 0

    @contextmanager
    def playing(self, patience: float | None = None) -> Iterator[None]:
        """Keep other processes off the run, see ``hold``."""
        self.path.mkdir(parents=True, exist_ok=True)
        with hold(self.path, PATIENCE_SECONDS if patience is None else patience):
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
        with suppress(FileNotFoundError, ValueError):  # not there yet, or damaged
            if "judge" in json.loads(path.read_text(encoding="utf-8")):
                return
        manifest = {
            "schema": SCHEMA_VERSION,
            "run_id": self.spec.run_id,
            "spec": self.spec.to_json(),
            "command": command,
            "cwd": str(Path.cwd()),  # what relative paths of the command meant
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": installed_versions(),
            "git": git_state(),
            "machine": machine(),
            **facts,
        }
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

    def finish(
        self,
        samples: list[dict[str, Any]],
        calibration: dict[str, list[float]] | None = None,
        ended: Literal["labels", "rounds"] = "labels",
    ) -> None:
        """Mark the run as complete.

        Args:
            samples: held-out prompts with responses before and after.
            calibration: what the agent predicted of held-out duels, if it does.
            ended: whether the run used all its ``labels``, or came to its bound on ``rounds`` before: an agent that
                proposes the same response twice asks nothing.
        """
        manifest = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        write_atomic(self.path / "manifest.json", json.dumps(manifest | {"ended": ended}, indent=1))
        if calibration is not None:
            write_atomic(self.path / CALIBRATION_FILE, json.dumps(calibration))
        write_atomic(self.path / "samples.json", json.dumps(samples, ensure_ascii=False, indent=1))
        (self.path / "error.txt").unlink(missing_ok=True)
        write_atomic(self.path / "DONE", "")
        shutil.rmtree(self.path / CHECKPOINT, ignore_errors=True)

    def finish_lockstep(self, curves: bytes, timing: Sequence[tuple[int, float]]) -> None:
        """Mark a run of many seeds as complete: ``curves.npz`` holds a (seeds, evaluations) array for each metric."""
        lines = [json.dumps({"labels": labels, "wall_seconds": seconds}) + "\n" for labels, seconds in timing]
        write_atomic(self.path / "timing.jsonl", "".join(lines))
        write_atomic(self.path / "curves.npz", curves)
        self.finish([])

    def fail(self, trace: str) -> None:
        """Leave the traceback of a failed run with what it had measured, however early, so that a report shows it."""
        if not (self.path / "manifest.json").exists():
            self.write_manifest("", {})
        write_atomic(self.path / "error.txt", trace)


def described(problem: Problem, agent: object, judge: str, guides: Sequence[Guide] = ()) -> dict[str, Any]:
    """What the manifest of a run says of what is played, whichever loop plays it.

    Args:
        problem: what is played.
        agent: who plays.
        judge: who judges, for people.
        guides: reference lines of its pictures.
    """
    config = getattr(agent, "config", None)
    return {
        "comparator": problem.comparator,
        "reference": problem.reference,
        "judge": judge,
        "about": (inspect.getdoc(type(agent)) or "").partition("\n")[0],
        "role": role_of(agent),
        "arms": getattr(problem, "arms", None) is not None,
        "agent_config": resolved_config(config) if dataclasses.is_dataclass(config) else {},
        "guides": [dataclasses.asdict(guide) for guide in guides],
    }


def role_of(agent: object) -> Role:
    """What an agent says it is to the others."""
    if getattr(agent, "privileged", False):
        return "ceiling"
    return "floor" if getattr(agent, "floor", False) else "rival"
