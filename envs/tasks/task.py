"""A task: prompts to duel on, held-out prompts to judge on, and stored responses of the reference policy."""

from __future__ import annotations

import difflib
import json
import zipfile
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        references: N stored responses of the reference policy to each prompt, (P + H, N) strings.
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

    def save(self, path: Path) -> None:
        """Write the task as one compressed ``.npz`` file without pickled objects."""
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
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def task_names() -> list[str]:
    """Names of the tasks that ship with the package."""
    folder = resources.files("duelbench.envs.tasks") / "data"
    return sorted(entry.name.removesuffix(".npz") for entry in folder.iterdir() if entry.name.endswith(".npz"))


@lru_cache(maxsize=8)
def load_task(name: str) -> Task:
    """A task by the name of a packaged one, or by the path of a ``.npz`` or ``.jsonl`` file.

    A JSONL line is ``{"prompt": str, "references": [str, ...], "split": "train" | "heldout"}``.

    Raises:
        ValueError: if there is no such task or the file is not of this form.
    """
    if name in task_names():
        return _from_npz(Path(str(resources.files("duelbench.envs.tasks") / "data" / f"{name}.npz")))
    path = Path(name)
    if path.suffix == ".npz" and path.is_file():
        return _from_npz(path)
    if path.suffix == ".jsonl" and path.is_file():
        return _from_jsonl(path)
    hint = difflib.get_close_matches(name, task_names(), n=1)
    raise ValueError(
        f"unknown task {name!r}: expected one of {task_names()} or the path of a .npz or .jsonl file"
        + (f"; did you mean {hint[0]!r}?" if hint else "")
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
