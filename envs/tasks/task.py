"""A task: prompts to duel on, held-out prompts to judge on, and stored responses of the reference policy."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.suggest import did_you_mean

SCHEMA_VERSION = 1
FEATURE_BOUND = 8.0
"""Stored features lie in [-8, 8] and are kept as 8-bit integers, in steps of 8 / 127."""


@dataclass(frozen=True, eq=False)
class Task:
    """Prompts and what the reference policy said to them.

    Attributes:
        name: for people.
        prompts: prompts that duels use, then the held-out ones; (P + H,) strings.
        n_duel: P, how many of them duels use.
        references: N stored responses of the reference policy to each prompt, (P + H, N) strings; N is 0 for a bare
            set of prompts, which can be given references (``duelbench task``) but not be played on.
        features: of each stored response, (P + H, N, d) float32; None if the task has none.
        lm_log_probs: of each stored response under the reference LM, (P + H, N) float32; None likewise.
        utilities: of each stored response by oracle name, (P + H, N); those that were computed beforehand.
        card: what made it.
    """

    name: str
    prompts: tuple[str, ...]
    n_duel: int
    references: NDArray[Any]
    features: NDArray[np.float32] | None = None
    lm_log_probs: NDArray[np.float32] | None = None
    utilities: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def heldout_ids(self) -> NDArray[np.int64]:
        """Indices of the held-out prompts, (H,)."""
        return np.arange(self.n_duel, len(self.prompts))

    def head(self, limit: int | None = None, heldout: int | None = None) -> Task:
        """The task of the first ``limit`` duel prompts and the first ``heldout`` held-out ones; None keeps all."""
        if limit is None and heldout is None:
            return self
        kept = np.concatenate([np.arange(self.n_duel)[:limit], self.heldout_ids[:heldout]])
        return Task(
            self.name, tuple(self.prompts[i] for i in kept), len(range(self.n_duel)[:limit]), self.references[kept],
            None if self.features is None else self.features[kept],
            None if self.lm_log_probs is None else self.lm_log_probs[kept],
            {name: values[kept] for name, values in self.utilities.items()}, self.card,
        )  # fmt: skip

    def save(self, path: Path) -> None:
        """Write the task as one compressed ``.npz`` file without pickled objects; the file is whole or not there."""
        header = {
            "schema": SCHEMA_VERSION, "name": self.name, "n_duel": self.n_duel, "card": self.card,
            "prompts": self.prompts, "references": self.references.tolist(),
        }  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}
        if self.features is not None:
            if not np.abs(self.features).max() <= FEATURE_BOUND:
                raise ValueError(f"features must lie in [-{FEATURE_BOUND}, {FEATURE_BOUND}], each is stored in a byte")
            arrays["features"] = np.round(self.features * (127 / FEATURE_BOUND)).astype(np.int8)
        if self.lm_log_probs is not None:
            arrays["lm_log_probs"] = self.lm_log_probs
        arrays |= {f"utilities/{name}": value.astype(np.float32) for name, value in self.utilities.items()}
        scratch = path.with_name(f".{path.name}.tmp")
        with scratch.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        scratch.replace(path)


def task_names() -> list[str]:
    """Names of the tasks that ship with the package."""
    folder = resources.files("duelbench.envs.tasks") / "data"
    return sorted(entry.name.removesuffix(".npz") for entry in folder.iterdir() if entry.name.endswith(".npz"))


def load_task(name: str, options: Mapping[str, Any] | None = None) -> Task:
    """A task from wherever prompts come from.

    Args:
        name: a packaged task (``short-writing``), a prompt set that is fetched once (``ifeval``, ``chitchat``), a task
            file (``.npz``), a table (``.jsonl``, ``.csv``, ``.parquet``), a folder in a hub data set's layout, or a
            data set on the hub (``hub:OWNER/NAME``).
        options: fields of ``duelbench.envs.tasks.sources.TaskOptions``: columns, splits, how many prompts. A task
            file or a packaged task takes ``limit`` and ``heldout`` alone. A ``.jsonl`` file without options holds lines
            ``{"prompt": str, "references": [str, ...], "split": "train" | "heldout"}``.

    Raises:
        ValueError: there is no such task, or what is there is not of this form.
        duelbench.wheel_source.UnavailableError: it cannot be fetched.
    """
    path = Path(name)
    changed = path.stat().st_mtime_ns if path.is_file() else 0  # a file that was written anew is read anew
    return _load(name, json.dumps(dict(options or {}), sort_keys=True), changed)


@lru_cache(maxsize=8)
def _load(name: str, options: str, changed: int) -> Task:
    from duelbench.envs.tasks import prompt_sets, sources  # they make tasks, so they import this module

    path, wanted = Path(name), sources.TaskOptions.of(json.loads(options))
    packaged = name in task_names()
    if packaged:
        path = Path(str(resources.files("duelbench.envs.tasks") / "data" / f"{name}.npz"))
    if packaged or (path.suffix == ".npz" and path.is_file()):
        wanted.check_only(name, "limit", "heldout")
        return _from_npz(path).head(wanted.limit, wanted.heldout)
    if prompt_sets.is_known(name):
        wanted.check_only(name, "limit", "heldout", "longest", "seed")
        return prompt_sets.load(name, wanted)
    if path.suffix == ".jsonl" and path.is_file() and options == "{}":
        return _from_jsonl(path)
    if sources.is_table(name):
        return sources.load(name, wanted)
    known = [*task_names(), *prompt_sets.PROMPT_SETS]
    raise ValueError(
        f"unknown task {name!r}: expected one of {known}, the path of a .npz, .jsonl, .csv or .parquet file, a folder "
        "of data files, or hub:OWNER/NAME" + did_you_mean(name, known)
    )


def _from_npz(path: Path) -> Task:
    try:
        with np.load(path, allow_pickle=False) as data:
            header = json.loads(data["header"].tobytes())
            arrays = {key: data[key] for key in data.files if key != "header"}
        missing = {"schema", "name", "prompts", "n_duel", "references", "card"} - header.keys()
        if missing and header.get("schema", 0) <= SCHEMA_VERSION:
            raise KeyError(f"its header lacks {sorted(missing)}")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a task file of duelbench: {error}") from error
    if header["schema"] > SCHEMA_VERSION:
        raise ValueError(f"{path} has task schema {header['schema']}; this version reads up to {SCHEMA_VERSION}")
    utilities = {
        key.removeprefix("utilities/"): value.astype(np.float64)
        for key, value in arrays.items()
        if key.startswith("utilities/")
    }
    features = arrays.get("features")
    return Task(
        name=header["name"],
        prompts=tuple(header["prompts"]),
        n_duel=header["n_duel"],
        references=np.array(header["references"], dtype=object),
        features=None if features is None else _features(features),
        lm_log_probs=arrays.get("lm_log_probs"),
        utilities=utilities,
        card=header["card"],
    )


def _features(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Features from bytes; files of an earlier form hold them as floats."""
    scale = FEATURE_BOUND / 127 if stored.dtype == np.int8 else 1.0
    return stored.astype(np.float32) * np.float32(scale)


def _from_jsonl(path: Path) -> Task:
    rows: dict[str, list[tuple[str, list[str]]]] = {"train": [], "heldout": []}
    for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"), 1):
        try:  # not splitlines(): JSON may hold other line separators as they are
            row = json.loads(line)
            if not _is_text(row["prompt"], *row["references"]) or not isinstance(row["references"], list):
                raise TypeError("prompt and references must be strings")
            rows[row.get("split", "train")].append((row["prompt"], row["references"]))
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path}:{number}: expected "
                '{"prompt": str, "references": [str, ...], "split": "train" | "heldout"}'
                f", got {line[:80]!r} ({error!r})"
            ) from error
    everything = rows["train"] + rows["heldout"]
    widths = {len(references) for _, references in everything}
    if not rows["train"] or len(widths) != 1 or 0 in widths:
        raise ValueError(
            f"{path}: expected at least one train prompt and the same number (>= 1) of references for every prompt, "
            f"got {len(rows['train'])} train prompts with reference counts {sorted(widths)}"
        )
    references = np.empty((len(everything), widths.pop()), dtype=object)
    for i, (_, texts) in enumerate(everything):
        references[i] = texts
    return Task(path.stem, tuple(prompt for prompt, _ in everything), len(rows["train"]), references)


def _is_text(*values: Any) -> bool:
    return all(isinstance(value, str) for value in values)
