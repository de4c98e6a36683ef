"""What a sweep set out to play, kept beside its runs so that a report can say what is missing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duelbench.records.files import write_atomic
from duelbench.records.spec import RunSpec

SCHEMA_VERSION = 1
FILE = "sweep.json"


@dataclass(frozen=True)
class Planned:
    """One run of a sweep and the tags that choose it."""

    spec: RunSpec
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The runs of a sweep, and how its author said in advance that they are to be read.

    Attributes:
        name: name of the sweep and of its output folder.
        title: heading of its report.
        runs: every run that was planned, whether or not it was played.
        baseline: the agent that the others are compared with.
        thresholds: win rates for the table of labels needed; None for the report's own.
    """

    name: str
    title: str
    runs: tuple[Planned, ...]
    baseline: str = "online"
    thresholds: tuple[float, ...] | None = None

    def write(self, folder: Path) -> None:
        """Write ``sweep.json`` into the sweep's output folder, replacing an older plan of the sweep as a whole."""
        document: dict[str, Any] = {
            "schema": SCHEMA_VERSION,
            "name": self.name,
            "title": self.title,
            "baseline": self.baseline,
            "thresholds": self.thresholds,
            "runs": [{"run_id": r.spec.run_id, "tags": r.tags, "spec": r.spec.to_json()} for r in self.runs],
        }
        write_atomic(folder / FILE, json.dumps(document, indent=0))

    @classmethod
    def load(cls, folder: Path) -> Plan | None:
        """The plan of an output folder; None for a folder that no sweep wrote.

        Raises:
            RuntimeError: if a newer version wrote it.
        """
        path = folder / FILE
        if not path.exists():
            return None
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] > SCHEMA_VERSION:
            raise RuntimeError(f"{path} has sweep schema {document['schema']}; this version reads {SCHEMA_VERSION}")
        runs = tuple(Planned(RunSpec.from_json(r["spec"]), tuple(r["tags"])) for r in document["runs"])
        thresholds = document["thresholds"]
        return cls(
            document["name"],
            document["title"],
            runs,
            document["baseline"],
            None if thresholds is None else tuple(thresholds),
        )
