"""Reference responses for a task: sampled from a language model, written as a task file.

    duelbench task ifeval --model smollm2-135m --references 4 --out ifeval.npz

A set of prompts becomes a task that can be played on; a task that has references gets those of another model.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from duelbench.cli.arguments import UNSET
from duelbench.runs.progress import progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from duelbench.protocols import Policy

ROWS_AT_ONCE = 64  # responses in one sampling call


@dataclass
class TaskCommand:
    """Write a task file: prompts from any source, with reference responses from a language model.

    Interrupted, the same command goes on where it stopped and writes the same file.
    """

    source: tyro.conf.Positional[str]
    """A packaged task, a prompt set (`ifeval`, `chitchat`), a file (.npz, .jsonl, .csv, .tsv, .parquet), a folder of
    data files, or `hub:OWNER/NAME`. Prompts may be texts or conversations."""
    out: Path
    """The .npz file to write; `--set env.task=FILE` plays on it."""
    model: str = "tiny"
    """Language model that answers: `tiny`, `smollm2-135m`, a local folder or a hub id."""
    references: int = 4
    """Responses per prompt."""
    heldout: Annotated[int | None, UNSET] = None
    """Prompts kept for judging. Default: what the source says, else a tenth, at most 200."""
    limit: Annotated[int | None, UNSET] = None
    """Duel prompts, at most. Default: all."""
    longest: Annotated[int | None, UNSET] = None
    """Leave out prompts of more characters than this, for a model that reads only so much."""
    prompt_column: str = "prompt"
    """Column of the prompt, if the source is a table."""
    split: str = "train"
    """Split of the duel prompts, if the source is a folder or on the hub."""
    heldout_split: Annotated[str | None, UNSET] = None
    """Split of the held-out prompts, in the same way."""
    max_new_tokens: int = 32
    """Longest response, in tokens."""
    temperature: float = 1.0
    """Of sampling."""
    prompt_template: Annotated[str | None, UNSET] = None
    """Text with {prompt} in it. Default: the model's chat template, or the bare prompt."""
    dtype: str = "auto"
    """Number type of matrix products."""
    seed: int = 0
    """Of sampling."""


def write_task(command: TaskCommand, line: str) -> int:
    """Do what the command says; returns the exit status.

    Raises:
        ValueError: a source, a column or a number that does not fit.
        FileNotFoundError: a source or a model that cannot be had.
    """
    from duelbench.assets.model_source import resolve_model
    from duelbench.envs.text.tasks.load import load_task
    from duelbench.envs.text.tasks.task import Task
    from duelbench.policies.causal_lm import CausalLMPolicy

    console = Console(stderr=True)
    if command.out.suffix != ".npz":
        raise ValueError(f"a task file ends in .npz, got {command.out}")
    task = load_task(command.source, _task_options(command))
    drawing = {
        "model": command.model,
        "references": command.references,
        "temperature": command.temperature,
        "max_new_tokens": command.max_new_tokens,
        "prompt_template": command.prompt_template,
        "dtype": command.dtype,
        "seed": command.seed,
    }
    command.out.parent.mkdir(parents=True, exist_ok=True)
    policy = CausalLMPolicy(
        resolve_model(command.model, console.print),
        max_new_tokens=command.max_new_tokens,
        temperature=command.temperature,
        dtype=command.dtype,
        prompt_template=command.prompt_template,
        features="none",
    )
    partial = partial_file(command.out, task.prompts, drawing)
    with progress(len(task.prompts) * command.references, "responses", console) as show:
        texts, log_probs = build_references(
            task.prompts,
            policy,
            command.references,
            seed=command.seed,
            partial=partial,
            tell=lambda responses: show(responses, "sampling"),
        )
    card = {
        "made_by": "duelbench task",
        "command": line,
        "source": command.source,
        "prompts_from": task.card,
        "duel_prompts": task.n_duel,
        "heldout_prompts": len(task.heldout_ids),
        **drawing,
    }
    made = Task(command.out.stem, task.prompts, task.n_duel, texts, lm_log_probs=log_probs, card=card)
    made.save(command.out)
    partial.unlink()
    if left_out := task.card.get("left_out"):
        counts = ", ".join(f"{n} {why}" for why, n in left_out.items())
        console.print(f"Left out of the prompts: {counts}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"Wrote {command.out}: {task.n_duel} duel and {len(task.heldout_ids)} held-out prompts, "
        f"{command.references} references each. Play on it with --set env.task={command.out}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0


def build_references(
    prompts: Sequence[str],
    policy: Policy,
    n: int,
    *,
    seed: int = 0,
    partial: Path | None = None,
    tell: Callable[[int], None] = lambda responses: None,
) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Sample n responses of the reference policy to each prompt.

    Prompts go in batches of like length. Every batch draws from a random stream of its own, so one that is already in
    the partial file is neither drawn again nor shifts the others.

    Args:
        prompts: P texts.
        policy: answers; its frozen reference does.
        n: responses per prompt.
        seed: seed of sampling.
        partial: JSON lines of finished batches: read before, appended to while sampling.
        tell: told how many responses there are, after every batch.

    Returns:
        Texts (P, n) and their log-probabilities under the untempered reference model (P, n), float32.

    Raises:
        ValueError: n is not positive, or a prompt is too long for the model.
    """
    if n < 1:
        raise ValueError(f"references must be at least 1, got {n}")
    import numpy as np

    from duelbench.streams import Streams

    texts = np.empty((len(prompts), n), dtype=object)
    log_probs = np.zeros((len(prompts), n), np.float32)
    order = np.argsort([len(prompt) for prompt in prompts], kind="stable")  # little padding in a batch
    batches = np.array_split(order, math.ceil(len(order) * n / ROWS_AT_ONCE))
    done = _finished(partial)
    for number, at in enumerate(batches):
        if number not in done:
            asked = {"prompt": tuple(prompts[i] for i in at)}
            drawn = policy.sample(asked, n, Streams(seed).generator(f"references/{number}"), reference=True)
            done[number] = {"texts": drawn.actions.tolist(), "log_probs": drawn.reference_log_probs.tolist()}
            _append(partial, {"batch": number, **done[number]})
        for row, i in enumerate(at):
            texts[i] = done[number]["texts"][row]
        log_probs[at] = done[number]["log_probs"]
        tell(n * sum(map(len, batches[: number + 1])))
    return texts, log_probs


def partial_file(out: Path, prompts: Sequence[str], drawing: dict[str, Any]) -> Path:
    """Where finished batches are kept until all are done. Each set of prompts, model and seed has its own file."""
    said = json.dumps([list(prompts), drawing, ROWS_AT_ONCE], sort_keys=True)
    return out.with_name(f".{out.stem}-{hashlib.sha256(said.encode()).hexdigest()[:12]}.partial.jsonl")


def _finished(partial: Path | None) -> dict[int, dict[str, Any]]:
    """Batches in a partial file, by number; an incomplete last line is removed."""
    if partial is None or not partial.is_file():
        return {}
    whole = partial.read_bytes().rpartition(b"\n")[0].splitlines()
    partial.write_bytes(b"".join(line + b"\n" for line in whole))
    rows = [json.loads(line) for line in whole]
    return {row["batch"]: row for row in rows}


def _append(partial: Path | None, row: dict[str, Any]) -> None:
    if partial is not None:
        with partial.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _task_options(command: TaskCommand) -> dict[str, Any]:
    """Only the options given, so that a source without columns is not asked for any."""
    given = {
        "prompt": command.prompt_column,
        "split": command.split,
        "heldout_split": command.heldout_split,
        "longest": command.longest,
        "limit": command.limit,
        "heldout": command.heldout,
    }
    defaults = {"prompt": "prompt", "split": "train"}
    return {name: value for name, value in given.items() if value is not None and value != defaults.get(name)}
