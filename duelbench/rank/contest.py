"""What is ranked: items of a table, models by what they answered to the same prompts, or the items of old votes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duelbench.envs.text.tasks.table_files import json_lines, read_text
from duelbench.errors import UsageError
from duelbench.records.content import digest_text

_NAMES = ("id", "name", "item", "model")
_WINNERS = {
    **dict.fromkeys(("first", "a", "model_a", "left", "1", "1.0"), "first"),
    **dict.fromkeys(("second", "b", "model_b", "right", "0", "0.0"), "second"),
    **dict.fromkeys(("tie", "draw", "0.5"), "tie"),
    **dict.fromkeys(("both_bad", "tie (bothbad)", "bothbad"), "both_bad"),
}
_SIDES = (("first", "second"), ("model_a", "model_b"), ("left", "right"), ("item_a", "item_b"), ("a", "b"))
_VERDICTS = ("verdict", "winner", "vote", "said")


@dataclass(frozen=True)
class Contest:
    """Items, and what of them is shown.

    Attributes:
        names: of the K items.
        prompts: what they answer; one empty prompt where they answer nothing.
        texts: by (prompt, item), what is shown; an item without a text to a prompt does not meet others on it.
        question: what is asked where there are no prompts.
        votes: old votes, (first, second, said).
    """

    names: tuple[str, ...]
    prompts: tuple[str, ...]
    texts: Mapping[tuple[int, int], str]
    question: str = "Which is better?"
    votes: tuple[tuple[int, int, str], ...] = field(default=())

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise UsageError(f"a ranking takes at least two items, got {len(self.names)}")
        for name in self.names:
            if self.names.count(name) > 1:
                raise UsageError(f"two items are called {name!r}: give each a name of its own, in a column id")

    @property
    def content(self) -> str:
        """Hash of the items, prompts and texts."""
        texts = [[prompt, item, text] for (prompt, item), text in sorted(self.texts.items())]
        return digest_text(json.dumps([self.names, self.prompts, texts, self.question]))

    def differ(self, prompt: int, one: int, other: int) -> bool:
        """Whether both have a text to a prompt, and not the same."""
        first, second = self.texts.get((prompt, one)), self.texts.get((prompt, other))
        return first is not None and second is not None and first != second


def read_contest(path: Path, *, columns: Sequence[str] = (), question: str = "Which is better?") -> Contest:
    """The contest in a file.

    * a table of votes: CSV with two columns of names and one of verdicts (``first,second,verdict`` or
      ``model_a,model_b,winner``);
    * a table of items: CSV; the columns to show, or all but the name, which is in ``id``, ``name``, ``item`` or
      ``model``, or the text itself;
    * models: JSON lines with ``prompt`` and ``responses`` (model -> text), or ``prompt``, ``model`` and ``response``.

    Raises:
        UsageError: nothing of this kind, with the line.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    if path.suffix == ".jsonl":
        return _models(path)
    text = read_text(path)
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if path.suffix == ".tsv" else ","))
    if not rows:
        raise UsageError(f"{path} has a header and no rows, or is empty")
    names = list(rows[0])
    for line, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise UsageError(f"{path}: row {line - 1} has another number of cells than the header")
    sides = next((pair for pair in _SIDES if set(pair) <= set(names)), None)
    verdict = next((name for name in _VERDICTS if name in names), None)
    if sides and verdict and not columns:
        return _votes(path, rows, *sides, verdict)
    return _items(path, rows, names, columns, question)


def _items(path: Path, rows: list[dict[str, str]], header: list[str], columns: Sequence[str], question: str) -> Contest:
    for name in columns:
        if name not in header:
            raise UsageError(f"{path} has no column {name!r}: expected some of {', '.join(header)}")
    named = next((name for name in _NAMES if name in header), None)
    shown = list(columns) or [name for name in header if name != named] or header
    texts = [row[shown[0]] if len(shown) == 1 else "\n".join(f"{c}: {row[c]}" for c in shown) for row in rows]
    names = [row[named] for row in rows] if named else [" ".join(text.split())[:80] for text in texts]
    return Contest(tuple(names), ("",), {(0, item): text for item, text in enumerate(texts)}, question)


def _models(path: Path) -> Contest:
    answers: dict[str, dict[str, str]] = {}
    for place, row in json_lines(path):
        prompt, several = row.get("prompt"), row.get("responses", {row.get("model"): row.get("response")})
        if not isinstance(prompt, str) or not isinstance(several, dict) or not _all_texts(several):
            raise UsageError(
                f'{place}: expected {{"prompt": …, "responses": {{"MODEL": "TEXT", …}}}} or '
                f'{{"prompt": …, "model": …, "response": …}}, got {str(row)[:80]!r}'
            )
        known = answers.setdefault(prompt, {})
        for model in several:
            if known.get(model, several[model]) != several[model]:
                raise UsageError(f"{place}: {model} has two answers to this prompt")
        known.update(several)
    models = list(dict.fromkeys(model for known in answers.values() for model in known))
    texts = {
        (at, models.index(model)): text for at, known in enumerate(answers.values()) for model, text in known.items()
    }
    return Contest(tuple(models), tuple(answers), texts)


def _all_texts(several: dict[Any, Any]) -> bool:
    return all(isinstance(name, str) and isinstance(text, str) for name, text in several.items())


def _votes(path: Path, rows: list[dict[str, str]], first: str, second: str, verdict: str) -> Contest:
    names = list(dict.fromkeys(row[side] for row in rows for side in (first, second)))
    at = {name: number for number, name in enumerate(names)}
    found = []
    for line, row in enumerate(rows, 2):
        said = _WINNERS.get(row[verdict].strip().lower()) or {row[first]: "first", row[second]: "second"}.get(
            row[verdict]
        )
        if said is None or row[first] == row[second]:
            raise UsageError(
                f"{path}:{line}: expected two different items and a verdict, first, second, tie or the winner's name, "
                f"got {row[first]!r}, {row[second]!r} and {row[verdict]!r}"
            )
        found.append((at[row[first]], at[row[second]], said))
    return Contest(tuple(names), ("",), {(0, item): name for name, item in at.items()}, votes=tuple(found))
