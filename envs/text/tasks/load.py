"""Tasks by name, from files, tables and data sets."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench import plugins
from duelbench.envs.text.tasks import prompt_sets, sources
from duelbench.envs.text.tasks.table_files import READERS, json_lines
from duelbench.envs.text.tasks.task import FEATURE_BOUND, SCHEMA_VERSION, Task
from duelbench.plugins import did_you_mean

_CODE = re.compile(r"(?!hub:)(.+\.py|[A-Za-z_][\w.]*):[A-Za-z_]\w*")


def task_names() -> list[str]:
    """Names of the tasks that ship with the package."""
    folder = resources.files("duelbench.envs.text.tasks") / "data"
    return sorted(entry.name.removesuffix(".npz") for entry in folder.iterdir() if entry.name.endswith(".npz"))


def load_task(name: str | Task, options: Mapping[str, Any] | None = None) -> Task:
    """A task from wherever prompts come from.

    Args:
        name: a packaged task (``short-writing``), a prompt set that is fetched once (``ifeval``, ``chitchat``), a task
            file (``.npz``), a table (``.jsonl``, ``.csv``, ``.tsv``, ``.parquet``), a folder in a hub data set's
            layout, or a data set on the hub (``hub:OWNER/NAME``). A ``Task`` is taken as it is, cut to ``limit`` and
            ``heldout``; so is one of a user's code, or what a function without arguments makes
            (``package.module:my_task``, ``path/to/file.py:my_task``, an entry point of the group ``duelbench.tasks``).
        options: fields of ``duelbench.envs.text.tasks.sources.TaskOptions``: columns, splits, how many prompts. A task
            file or a packaged task takes ``limit``, ``heldout`` and ``only``, and so does a ``.jsonl`` file of lines
            ``{"prompt": str, "references": [str, ...], "split": "train" | "heldout"}``.

    Raises:
        ValueError: there is no such task, or it does not have this form.
        duelbench.assets.wheel_source.UnavailableError: it cannot be fetched.
    """
    name = _of_code(name)
    if isinstance(name, Task):
        wanted = sources.TaskOptions.of(dict(options or {}))
        wanted.check_only(name.name, "limit", "heldout", "only")
        return name.head(wanted.limit, wanted.heldout, wanted.only)
    place = str(Path(name).resolve()) if Path(name).exists() else ""
    return _load(name, json.dumps(dict(options or {}), sort_keys=True), place, _last_change(Path(name)))


def _of_code(name: str | Task) -> str | Task:
    """The task that a name in a user's code refers to; anything else is returned unchanged."""
    if isinstance(name, Task) or Path(name).exists():
        return name
    target = plugins.announcements("task").get(name, name)
    if target == name and not _CODE.fullmatch(name) and plugins.offered(name) is None:
        return name
    found = plugins.load(target, kind="task")
    task = found() if callable(found) else found
    if not isinstance(task, Task):
        raise plugins.PluginError(f"task {name!r}: expected a Task or a function that makes one, got {task!r:.80}")
    return task


def _last_change(path: Path) -> int:
    """When a file, or any file in a folder, was last written: a changed file is read again."""
    files = path.rglob("*") if path.is_dir() else [path]
    return max((file.stat().st_mtime_ns for file in files if file.is_file()), default=0)


@lru_cache(maxsize=8)
def _load(name: str, options: str, place: str, changed: int) -> Task:
    path, wanted = Path(name), sources.TaskOptions.of(json.loads(options))
    packaged = name in task_names()
    if packaged:
        path = Path(str(resources.files("duelbench.envs.text.tasks") / "data" / f"{name}.npz"))
    if packaged or (path.suffix == ".npz" and path.is_file()):
        wanted.check_only(name, "limit", "heldout", "only")
        return _from_npz(path).head(wanted.limit, wanted.heldout, wanted.only)
    if prompt_sets.is_known(name):
        wanted.check_only(name, "limit", "heldout", "longest", "only", "seed")
        return prompt_sets.load(name, wanted)
    if path.suffix.lower() == ".jsonl" and path.is_file() and wanted.changed <= {"limit", "heldout", "only"}:
        rows = list(json_lines(path))
        if any("references" in row for _, row in rows):
            return _from_rows(path, rows).head(wanted.limit, wanted.heldout, wanted.only)
    if sources.is_table(name):
        return sources.load(name, wanted)
    if path.is_file():
        raise ValueError(f"{path}: expected a file that ends in .npz, {', '.join(READERS)}, got {path.suffix!r}")
    known = [*task_names(), *prompt_sets.PROMPT_SETS]
    raise ValueError(
        f"unknown task {name!r}: expected one of {known}, the path of a .npz, .jsonl, .csv, .tsv or .parquet file, a "
        "folder of data files, or hub:OWNER/NAME" + did_you_mean(name, known)
    )


def _from_npz(path: Path) -> Task:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
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
    return Task(
        name=header["name"],
        prompts=tuple(header["prompts"]),
        n_duel=header["n_duel"],
        references=np.array(header["references"], dtype=object),
        features=_features(arrays),
        lm_log_probs=arrays.get("lm_log_probs"),
        utilities=utilities,
        card=header["card"],
    )


def _features(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """Features from bytes and their steps; a file of schema 1 holds those of its language model alone."""
    found = {}
    for key, stored in arrays.items():
        kind, _, name = key.partition("/")
        if kind == "features":
            step = arrays.get(f"steps/{name}", FEATURE_BOUND / 127 if stored.dtype == np.int8 else 1.0)
            found[name or "lm"] = stored.astype(np.float32) * np.asarray(step, np.float32)
    return found


def _from_rows(path: Path, rows: Sequence[tuple[str, dict[str, Any]]]) -> Task:
    """A task of prompts that say themselves which of them are held out, with their references."""
    parts: dict[str, dict[str, tuple[list[str], str]]] = {"train": {}, "heldout": {}}
    for place, row in rows:
        prompt: Any = row.get("prompt")
        references: Any = row.get("references")
        split = row.get("split", "train")
        readable = isinstance(prompt, str) and isinstance(references, list) and _is_text(prompt, *references)
        if not readable or split not in parts:
            raise ValueError(
                f'{place}: expected {{"prompt": str, "references": [str, ...], "split": "train" | "heldout"}} in '
                f"Unicode text, got {json.dumps(row)[:80]}"
            )
        for part in parts.values():
            if prompt in part:
                raise ValueError(f"{place}: the prompt {prompt!r:.80} is that of {part[prompt][1]} too: remove one")
        parts[split][prompt] = (references, place)
    everything = parts["train"] | parts["heldout"]
    widths = {len(references) for references, _ in everything.values()}
    if not parts["train"] or len(widths) != 1 or 0 in widths:
        raise ValueError(
            f"{path}: expected at least one train prompt and the same number (>= 1) of references for every prompt, "
            f"got {len(parts['train'])} train prompts with reference counts {sorted(widths)}"
        )
    stored = np.empty((len(everything), widths.pop()), dtype=object)
    for i, (references, _) in enumerate(everything.values()):
        stored[i] = references
    return Task(path.stem, tuple(everything), len(parts["train"]), stored)


def _is_text(*values: Any) -> bool:
    """Whether all are strings that a file can hold: no half of a surrogate pair."""
    try:
        return all(isinstance(value, str) and value.encode() is not None for value in values)
    except UnicodeEncodeError:
        return False
