"""The answers that runs bought, as a preference dataset: ``prompt``, ``chosen``, ``rejected``.

Prompts are requests to a chat model, so the dataset is conversational (lists of messages, a system turn and earlier
turns included): a trainer such as TRL's ``DPOTrainer`` then renders them with the model's chat template, as the runs
did. For a model without one there is the plain form, three texts.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from duelbench.conversation import turns
from duelbench.records.answers.entries import Answer
from duelbench.records.answers.journal import JournalDamagedError, copied
from duelbench.records.record import Run
from duelbench.results.exports.sinks import write_parquet
from duelbench.types import Verdict

FILE = "preferences.parquet"
_log = logging.getLogger(__name__)


@dataclass
class Preferences:
    """Decided duels, and how many were left out.

    Attributes:
        rows: rows of the dataset, by run and duel: ``prompt``, ``chosen``, ``rejected``; the ``run``, its ``env``,
            ``agent`` and ``seed``; the ``duel`` in it; and the oracle's ``probability`` that the chosen response is
            preferred, empty where the oracle gave none; and ``chosen_unfinished`` and ``rejected_unfinished``, whether
            a response was cut off at the length limit: a trainer that ends it teaches the model to stop there.
        runs: runs that had answers.
        ties: duels that ended in a tie.
        invalid: duels that the oracle failed on.
        identical: decided duels of a response with itself.
        no_texts: runs left out because arms have no texts.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    runs: int = 0
    ties: int = 0
    invalid: int = 0
    identical: int = 0
    no_texts: int = 0

    def __str__(self) -> str:
        """The counts as a sentence."""
        return (
            f"{len(self.rows)} preferences of {self.runs} runs; left out: {self.ties} ties, {self.invalid} invalid "
            f"answers, {self.identical} duels of a response with itself"
            + (f", {self.no_texts} runs whose arms have no texts" if self.no_texts else "")
        )


def collect(folder: Path, runs: Sequence[Run], *, plain: bool = False) -> Preferences:
    """The preferences in the journals of an output folder.

    Args:
        folder: output folder.
        runs: its runs, finished or not.
        plain: texts instead of messages.

    Raises:
        ValueError: no run has texts, or none was decided; or a conversation is asked for as plain text.
    """
    found = Preferences()
    for run in runs:
        if run.arms:
            found.no_texts += 1
            continue
        if run.folder is None or not (journal := run.folder / "journal.sqlite").exists():
            continue
        try:
            answers, unfinished = _answers(journal, run.run_id)
        except JournalDamagedError as error:
            _log.warning("left out the answers of a run: %s", error)
            continue
        found.runs += 1
        about = {"run": run.run_id, **{name: run.spec[name] for name in ("env", "agent", "seed")}}
        found.rows += [row | about for row in decided(answers, found, plain, unfinished)]
    if not found.rows:
        why = "its runs duel arms, which have no texts" if found.no_texts else "no duel of its runs was decided"
        raise ValueError(f"{folder} holds no preferences: {why}; expected runs of LLMDuel-v0 or LLMDuelPool-v0")
    return found


def _answers(path: Path, run: str) -> tuple[list[Answer], set[tuple[str, str]]]:
    with copied(path, run) as journal:
        return journal.answers(), journal.unfinished()


def decided(
    answers: Sequence[Answer],
    counts: Preferences,
    plain: bool = False,
    unfinished: Collection[tuple[str, str]] = frozenset(),
) -> Iterator[dict[str, Any]]:
    """The rows of the answers that name a better response; ``counts`` gets the others added.

    Args:
        answers: answers of one run.
        counts: counts of what is left out.
        plain: texts instead of messages.
        unfinished: prompts and responses that were cut off.
    """
    for answer in answers:
        if answer.verdict == Verdict.TIE:
            counts.ties += 1
        elif answer.verdict not in (Verdict.FIRST, Verdict.SECOND):
            counts.invalid += 1
        elif answer.first == answer.second:
            counts.identical += 1
        else:
            yield _row(answer, plain, unfinished)


def _row(answer: Answer, plain: bool, unfinished: Collection[tuple[str, str]]) -> dict[str, Any]:
    first_won, p = answer.verdict == Verdict.FIRST, answer.probability
    chosen, rejected = (answer.first, answer.second) if first_won else (answer.second, answer.first)
    texts: dict[str, Any] = {"prompt": answer.prompt, "chosen": chosen, "rejected": rejected}
    cut = {f"{name}_unfinished": (answer.prompt, texts[name]) in unfinished for name in ("chosen", "rejected")}
    if not plain:
        sides = {name: [{"role": "assistant", "content": texts[name]}] for name in ("chosen", "rejected")}
        texts = {"prompt": turns(answer.prompt)} | sides
    elif turns(answer.prompt) != [{"role": "user", "content": answer.prompt}]:
        raise ValueError(
            f"the prompt of duel {answer.duel} is a conversation, {answer.prompt!r:.80}: it has no plain form, so "
            "leave out --plain"
        )
    return {**texts, **cut, "duel": answer.duel, "probability": p if p is None or first_won else 1.0 - p}


def write(preferences: Preferences, out: Path) -> Path:
    """Write ``preferences.parquet``, which ``datasets.load_dataset("parquet", data_files=…)`` reads.

    Raises:
        MissingPackageError: without pyarrow.
    """
    columns = {name: [row[name] for row in preferences.rows] for name in preferences.rows[0]}
    return write_parquet(columns, out / FILE)
