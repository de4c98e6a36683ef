"""Tasks from tables: JSON lines, CSV, Parquet, folders of data files, and data sets on the Hugging Face hub.

Any column can be the prompt, and any other the reference responses:

    load_task("hub:trl-lib/tldr", {"reference": "completion", "heldout_split": "validation", "limit": 2000})
    load_task("questions.csv", {"prompt": "question", "reference": "answer", "heldout": 100})

Parquet, folders and the hub need the extra ``data``.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from duelbench.assets.wheel_source import UnavailableError
from duelbench.envs.text.tasks.task import Task
from duelbench.errors import install
from duelbench.plugins import did_you_mean

HUB = "hub:"
Row = tuple[str, tuple[str, ...]]
"""A prompt and its references."""
Reader = Callable[[str, list[str]], Iterable[Mapping[str, Any]]]
"""Rows of one split, with the columns named; raises ValueError for a split or a column that is not there."""


@dataclass(frozen=True)
class TaskOptions:
    """Which part of a table is a task. JSON data: it enters the run id.

    Attributes:
        prompt: column of the prompt: text, or a conversation of one user turn.
        reference: column of the reference responses: text, a list of texts, or a conversation of one assistant turn.
            None makes a bare set of prompts, to be given references by ``duelbench task``.
        longest: prompts of more characters are left out; None takes all.
        limit: duel prompts, at most; None takes all.
        heldout: held-out prompts, at most. Default: all of ``heldout_split``; without one, a tenth of the prompts and
            no more than 200.
        split: of a folder or a hub data set: where duel prompts come from. A file has one split, whatever its name.
        heldout_split: where held-out prompts come from; None takes them out of ``split``.
        subset: of a hub data set that has several.
        revision: commit of a hub data set. The only way to be sure of the same data next year.
        seed: of the order in which prompts are taken. Held-out ones are taken first, so ``limit`` does not move them.
    """

    prompt: str = "prompt"
    reference: str | None = None
    longest: int | None = None
    limit: int | None = None
    heldout: int | None = None
    split: str = "train"
    heldout_split: str | None = None
    subset: str | None = None
    revision: str | None = None
    seed: int = 0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> TaskOptions:
        """Options by name.

        Raises:
            ValueError: no such option, or a value that it does not take.
        """
        known = {field.name: str(field.type) for field in dataclasses.fields(cls)}
        for name, value in options.items():
            if name not in known:
                raise ValueError(f"task_options has no {name!r}: expected {sorted(known)}{did_you_mean(name, known)}")
            wanted = (int,) if "int" in known[name] else (str,)
            if not (isinstance(value, wanted) or (value is None and "None" in known[name])) or value is True:
                raise ValueError(f"task_options: {name} must be of type {known[name]}, got {value!r}")
        made = cls(**options)
        if (made.limit is not None and made.limit < 1) or (made.heldout is not None and made.heldout < 0):
            raise ValueError(f"task_options: expected limit >= 1, heldout >= 0, got {made.limit}, {made.heldout}")
        return made

    def check_only(self, name: str, *taken: str) -> None:
        """Refuse options that a source which is no table does not take."""
        changed = {field.name for field in dataclasses.fields(self) if getattr(self, field.name) != field.default}
        if wrong := sorted(changed - {*taken}):
            raise ValueError(f"{name} is no table: of task_options it takes {', '.join(taken)}, but no {wrong[0]}")


def is_table(name: str) -> bool:
    """Whether a task of this name is to be made from a table."""
    path = Path(name)
    return name.startswith(HUB) or path.is_dir() or (path.is_file() and path.suffix in _FILES)


def load(name: str, options: TaskOptions) -> Task:
    """A task from a table.

    A prompt that comes twice is taken once, with its first references; a held-out prompt is never a duel prompt too.

    Raises:
        ValueError: a column or split is missing, or an entry is of the wrong form.
        UnavailableError: the data set cannot be had.
    """
    path = Path(name)
    if name.startswith(HUB) or path.is_dir():
        read: Reader = lambda split, columns: _data_set(name, split, columns, options)  # noqa: E731
    else:
        if options.heldout_split is not None:
            raise ValueError(f"{name} is one file, so it has no heldout_split: give task_options heldout=N instead")
        read = lambda split, columns: _FILES[path.suffix](path, columns)  # noqa: E731
    columns = [options.prompt, *([options.reference] if options.reference else [])]
    heldout: list[Row] = []
    if options.heldout_split is not None:
        heldout = _rows(name, options.heldout_split, read(options.heldout_split, columns), options)
    return split_rows(
        name.removeprefix(HUB) if name.startswith(HUB) else path.stem,
        _rows(name, options.split, read(options.split, columns), options),
        heldout,
        options,
        {"source": name, "options": dataclasses.asdict(options)},
    )


def split_rows(name: str, rows: list[Row], heldout: list[Row], options: TaskOptions, card: dict[str, Any]) -> Task:
    """Rows as a task: in random order, held-out ones from a split of their own or out of the others.

    Raises:
        ValueError: no prompt is left for duels, or references are not equally many.
    """
    rng = np.random.Generator(np.random.PCG64(options.seed))
    rows, heldout = ([row for row in part if len(row[0]) <= (options.longest or math.inf)] for part in (rows, heldout))
    rows = [rows[i] for i in rng.permutation(len(rows))]
    if options.heldout_split is None:
        n_held = min(200, len(rows) // 10) if options.heldout is None else options.heldout
        heldout, rows = rows[:n_held], rows[n_held:]
    else:
        heldout = [heldout[i] for i in rng.permutation(len(heldout))][: options.heldout]
    kept = {prompt for prompt, _ in heldout}
    duel = [row for row in rows if row[0] not in kept][: options.limit]
    if not duel:
        raise ValueError(f"{name}: no prompt is left for duels beside {len(heldout)} held-out ones")
    everything = duel + heldout
    widths = sorted({len(references) for _, references in everything})
    if len(widths) > 1:
        raise ValueError(f"{name}: expected equally many references for every prompt, got counts {widths}")
    references = np.empty((len(everything), widths[0]), dtype=object)
    for i, (_, texts) in enumerate(everything):
        references[i] = texts
    return Task(name, tuple(prompt for prompt, _ in everything), len(duel), references, card=card)


def _rows(name: str, split: str, table: Iterable[Mapping[str, Any]], options: TaskOptions) -> list[Row]:
    """Checked rows, each prompt once."""
    rows: dict[str, tuple[str, ...]] = {}
    for number, row in enumerate(table):
        at = f"{name}, split {split}, row {number}"
        prompt = _text(row[options.prompt], "user", f"{at}, column {options.prompt!r}")
        rows.setdefault(prompt, _references(row, options.reference, at))
    return list(rows.items())


def _references(row: Mapping[str, Any], column: str | None, at: str) -> tuple[str, ...]:
    if column is None:
        return ()
    value, at = row[column], f"{at}, column {column!r}"
    if isinstance(value, list) and value and not isinstance(value[0], Mapping):
        return tuple(_text(one, "assistant", at) for one in value)
    return (_text(value, "assistant", at),)


def _text(value: Any, role: str, at: str) -> str:
    """Text as it is, or that of a conversation of one turn."""
    if isinstance(value, str):
        return value
    turns = value if isinstance(value, list) else [value]
    if not all(isinstance(turn, Mapping) and "role" in turn and "content" in turn for turn in turns):
        raise ValueError(f"{at}: expected text or a conversation of one {role} turn, got {str(value)[:80]!r}")
    roles = [turn["role"] for turn in turns]
    if roles != [role] or not isinstance(turns[0]["content"], str):
        raise ValueError(
            f"{at}: expected a conversation of one {role} turn in text, got the roles {roles}: choose another column, "
            "or write the conversation as one text"
        )
    return str(turns[0]["content"])


def _check_columns(where: str, wanted: list[str], there: Iterable[str]) -> None:
    there = list(there)
    for column in wanted:
        if column not in there:
            raise ValueError(
                f"{where} has no column {column!r}, it has {there}{did_you_mean(column, there)}; name the columns with "
                'task_options={"prompt": …, "reference": …}'
            )


def _jsonl(path: Path, columns: list[str]) -> Iterable[Mapping[str, Any]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"), 1):
        try:  # not splitlines(): JSON may hold other line separators as they are
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}:{number}: expected one JSON object a line, got {line[:80]!r}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{path}:{number}: expected one JSON object a line, got {line[:80]!r}")
        _check_columns(f"{path}:{number}", columns, row)
        yield row


def _csv(path: Path, columns: list[str]) -> Iterable[Mapping[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        _check_columns(str(path), columns, reader.fieldnames or [])
        yield from reader


def _parquet(path: Path, columns: list[str]) -> Iterable[Mapping[str, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UnavailableError(f"{path} needs pyarrow: {install('data')}") from error
    try:
        file = parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path} is no Parquet file: {error}") from error
    with file:
        _check_columns(str(path), columns, file.schema_arrow.names)
        return list(file.read(columns).to_pylist())


_FILES: dict[str, Callable[[Path, list[str]], Iterable[Mapping[str, Any]]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}


def _data_set(name: str, split: str, columns: list[str], options: TaskOptions) -> Iterable[Mapping[str, Any]]:
    """One split of a hub data set or of a folder in a data set's layout, e.g. ``data/train-00000.parquet``."""
    try:
        import datasets
    except ImportError as error:
        raise UnavailableError(f"{name} needs the package datasets: {install('data')}") from error
    try:
        table: Any = datasets.load_dataset(
            name.removeprefix(HUB), options.subset, split=split, revision=options.revision
        )
    except ValueError as error:  # a split or a subset that is not there; its own words name those that are
        raise ValueError(f"{name}, split {split!r}: {error}") from error
    except Exception as error:  # datasets, huggingface_hub and httpx each have their own; all mean the same here
        raise UnavailableError(
            f"could not load the data set {name}: {type(error).__name__}: {error}. Check the name and the network, or "
            "download its files and give the folder they are in"
        ) from error
    _check_columns(f"{name}, split {split!r},", columns, table.column_names)
    return list(table.select_columns(columns))
