"""Tasks from tables: JSON lines, CSV, Parquet, folders of data files, and data sets on the Hugging Face hub.

Any column can be the prompt, and any other the reference responses; a preference set needs no option:

    load_task("hub:trl-lib/tldr", {"reference": "completion", "heldout_split": "validation", "limit": 2000})
    load_task("questions.csv", {"prompt": "question", "reference": "answer", "heldout": 100})
    load_task("hub:trl-lib/ultrafeedback_binarized", {"heldout_split": "test"})

Parquet, folders and the hub need the extra ``data``.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from duelbench.conversation import turns
from duelbench.envs.text.tasks.layouts import Row, layout_of, read_row
from duelbench.envs.text.tasks.table_files import HUB, READERS, Table, data_set
from duelbench.envs.text.tasks.task import Task
from duelbench.plugins import did_you_mean
from duelbench.ranges import Checked, Count, Natural


@dataclass(frozen=True)
class TaskOptions(Checked):
    """Which part of a table is a task. JSON data: it enters the run id.

    Attributes:
        prompt: column of the prompt: text, or a conversation that ends with the user's turn.
        reference: column of the reference responses: text, a list of texts, or a conversation that ends with the
            assistant's turn. None takes the columns ``chosen`` and ``rejected`` of a preference set, and makes a bare
            set of prompts of any other table, to be given references by ``duelbench task``.
        longest: prompts of more characters are left out; None takes all.
        only: a regular expression: prompts in which it is not found are left out; None takes all.
        limit: duel prompts, at most; None takes all.
        heldout: held-out prompts, at most. Default: all of ``heldout_split``; without one, a tenth of the prompts and
            no more than 200, but at least one of two.
        split: split of a folder or a hub data set that duel prompts come from. A file has one split, whatever its name.
        heldout_split: where held-out prompts come from; None takes them out of ``split``.
        subset: subset of a hub data set that has several.
        revision: commit of a hub data set. The only way to be sure of the same data next year.
        seed: seed of the order in which prompts are taken. Held-out ones come first, so ``limit`` does not move them.
    """

    prompt: str = "prompt"
    reference: str | None = None
    longest: Count | None = None
    only: str | None = None
    limit: Count | None = None
    heldout: Natural | None = None
    split: str = "train"
    heldout_split: str | None = None
    subset: str | None = None
    revision: str | None = None
    seed: Natural = 0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> TaskOptions:
        """Options by name.

        Raises:
            ValueError: no such option, or a value that it does not take.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                raise ValueError(f"task_options has no {name!r}: expected {sorted(known)}{did_you_mean(name, known)}")
        made = cls(**options)
        try:
            re.compile(made.only or "")
        except re.error as error:
            raise ValueError(f"task_options: only={made.only!r} is no regular expression: {error}") from error
        return made

    @property
    def changed(self) -> set[str]:
        """Names of those that are not as by default."""
        return {field.name for field in dataclasses.fields(self) if getattr(self, field.name) != field.default}

    def check_only(self, name: str, *taken: str) -> None:
        """Refuse options that a source which is no table does not take."""
        if wrong := sorted(self.changed - {*taken}):
            raise ValueError(f"{name} is no table: of task_options it takes {', '.join(taken)}, but no {wrong[0]}")


def is_table(name: str) -> bool:
    """Whether a task of this name is to be made from a table."""
    path = Path(name)
    return name.startswith(HUB) or path.is_dir() or (path.is_file() and path.suffix.lower() in READERS)


def load(name: str, options: TaskOptions) -> Task:
    """A task from a table.

    A prompt that comes twice is taken once, with its first references; one without a word is left out; a held-out
    prompt is never a duel prompt too. The card says how many were left out.

    Raises:
        ValueError: a column or split is missing, or an entry is of the wrong form.
        UnavailableError: the data set cannot be had.
    """
    left_out: Counter[str] = Counter()
    heldout: list[Row] = []
    if options.heldout_split is not None:
        heldout = _rows(_read(name, options.heldout_split, options), left_out)
    return split_rows(
        name.removeprefix(HUB) if name.startswith(HUB) else Path(name).stem,
        _rows(_read(name, options.split, options), left_out),
        heldout,
        options,
        {"source": name, "options": dataclasses.asdict(options)},
        left_out,
    )


def _fits(prompt: str, options: TaskOptions) -> bool:
    return len(prompt) <= (options.longest or math.inf) and re.search(options.only or "", prompt) is not None


def split_rows(
    name: str,
    rows: list[Row],
    heldout: list[Row],
    options: TaskOptions,
    card: dict[str, Any],
    left_out: Mapping[str, int] | None = None,
) -> Task:
    """Rows as a task: in random order, held-out ones from a split of their own or out of the others.

    Raises:
        ValueError: no prompt is left for duels, or references are not equally many.
    """
    rng = np.random.Generator(np.random.PCG64(options.seed))
    total = len(rows) + len(heldout)
    rows, heldout = ([row for row in part if _fits(row[0], options)] for part in (rows, heldout))
    counts = {**(left_out or {}), "longer": total - len(rows) - len(heldout)}
    rows = [rows[i] for i in rng.permutation(len(rows))]
    if options.heldout_split is None:
        n_held = min(200, max(len(rows) // 10, int(len(rows) > 1))) if options.heldout is None else options.heldout
        heldout, rows = rows[:n_held], rows[n_held:]
    else:
        heldout = [heldout[i] for i in rng.permutation(len(heldout))][: options.heldout]
    kept = {prompt for prompt, _ in heldout}
    duel = [row for row in rows if row[0] not in kept][: options.limit]
    if not duel:
        raise ValueError(f"{name}: no prompt is left for duels besides {len(heldout)} held-out ones")
    everything = duel + heldout
    widths = sorted({len(references) for _, references in everything})
    if len(widths) > 1:
        raise ValueError(f"{name}: expected equally many references for every prompt, got counts {widths}")
    references = np.empty((len(everything), widths[0]), dtype=object)
    for i, (_, texts) in enumerate(everything):
        references[i] = texts
    card = card | {"left_out": {why: n for why, n in counts.items() if n}}
    return Task(name, tuple(prompt for prompt, _ in everything), len(duel), references, card=card)


def _read(name: str, split: str, options: TaskOptions) -> Table:
    path = Path(name)
    choose = lambda there: layout_of(options.prompt, options.reference, there)  # noqa: E731
    if name.startswith(HUB) or path.is_dir():
        return data_set(name, split, choose, options.subset, options.revision)
    if options.heldout_split is not None:
        raise ValueError(f"{name} is one file, so it has no heldout_split: give task_options heldout=N instead")
    return READERS[path.suffix.lower()](path, choose)


def _rows(table: Table, left_out: Counter[str]) -> list[Row]:
    """Checked rows, each prompt once."""
    rows: dict[str, tuple[str, ...]] = {}
    for place, row in table.rows:
        prompt, references = read_row(table.layout, row, place)
        if not turns(prompt)[-1]["content"].strip():
            left_out["blank"] += 1
        elif prompt in rows:
            left_out["repeated"] += 1
        else:
            rows[prompt] = references
    return list(rows.items())
