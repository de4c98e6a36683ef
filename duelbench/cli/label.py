"""``duelbench label``: a page on which people answer the duels of an agent, or ready pairs; then the report."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from duelbench.cli.arguments import REPEATED, UNSET
from duelbench.cli.page_options import PageOptions, console, serve_page
from duelbench.errors import UsageError

if TYPE_CHECKING:
    from duelbench.label.asking.checking import Checks
    from duelbench.records.answers.votes import Posed
    from duelbench.records.spec import RunSpec

_OF_A_RUN = (
    "model",
    "agent",
    "labels",
    "batch",
    "env",
    "seed",
    "ahead",
    "set",
    "judge_oracle",
    "judge_every",
    "threads",
)


@dataclass
class LabelCommand:
    """Let people answer an agent's duels, or pairs that you have, on a page in their browser.

    With `--task` an agent chooses what is asked and learns after every round; with `--pairs` every pair of a table is
    asked. Give the same command again to go on: no answer is lost, however the server or the browser ended.
    """

    task: Annotated[str | None, UNSET] = None
    """Prompts: a CSV, JSONL or Parquet file, a folder, a hub data set, a task."""
    pairs: Annotated[Path | None, UNSET] = None
    """Instead: a table with columns `prompt`, `first`, `second`."""
    model: Annotated[str | None, UNSET] = None
    """Model that writes responses and is aligned, as for `duelbench run`."""
    agent: str = "sea"
    """Agent that chooses the duels: a name or `file.py:Class`."""
    labels: int = 200
    """Duels that people answer."""
    batch: int = 8
    """Duels per round; the agent learns after each round."""
    env: Annotated[Literal["LLMDuel-v0", "LLMDuelPool-v0"], tyro.conf.arg(metavar="ID")] = "LLMDuel-v0"
    """LLMDuelPool-v0: responses come from the task."""
    seed: int = 0
    """Seed of the run."""
    page: PageOptions = field(default_factory=PageOptions)
    gold: Annotated[Path | None, UNSET] = None
    """Pairs with a known answer: columns `prompt`, `chosen`, `rejected`."""
    gold_share: float = 0.05
    """Share of questions that are such pairs."""
    ahead: int = 0
    """Duels that may lack an answer when the agent goes on."""
    set: Annotated[tuple[str, ...], REPEATED] = ()
    """As for `duelbench run`, e.g. `policy.lora_rank=8`."""
    judge_oracle: Annotated[str | None, UNSET] = None
    """Who judges the policy on held-out prompts. Default: nobody."""
    judge_every: Annotated[int | None, UNSET] = None
    """Labels between two such judgements."""
    out: Path = Path("results/label")
    """Output folder."""
    threads: int = 1
    """Torch threads."""


def label(command: LabelCommand, line: str) -> int:
    """Serve the page until every duel is answered, then write the report; returns the exit status.

    Raises:
        UsageError: something that was asked for does not exist, or a package is missing.
    """
    from duelbench.label.asking.checking import Checks

    checks = Checks(command.page.repeats, _gold(command.gold), command.gold_share)
    if command.pairs is not None:
        return _label_pairs(command, command.pairs, checks)
    if command.task is None:
        raise UsageError("say what is asked about: --task questions.csv for prompts, --pairs pairs.csv for ready pairs")
    return _label_run(command, command.task, checks, line)


def _label_run(command: LabelCommand, task: str, checks: Checks, line: str) -> int:
    """People answer the duels of an agent."""
    from duelbench.cli.report import write_report
    from duelbench.label.session import Session
    from duelbench.records.record import load_runs

    spec, page = _spec(command, task), command.page

    def make() -> Session:
        asked: dict[str, Any] = {"annotators": page.annotators, "lease": page.lease, "checks": checks}
        return Session(spec, out=command.out, ahead=command.ahead, command=line, **asked)

    session = serve_page(page, command.out, make, "duelbench label")
    write_report(command.out, load_runs(command.out), as_json=False, ids={session.spec.run_id})
    return 0 if session.finished else 1


def _label_pairs(command: LabelCommand, table: Path, checks: Checks) -> int:
    """People answer ready pairs."""
    from duelbench.label.ready_pairs import ReadyPairs, read_pairs

    defaults = {one.name: one.default for one in fields(command)}
    if unfit := [name for name in ("task", *_OF_A_RUN) if getattr(command, name) != defaults[name]]:
        said = ", ".join(f"--{name.replace('_', '-')}" for name in unfit)
        raise UsageError(f"every pair of {table} is asked and no agent plays: leave out {said}")
    pairs, page = read_pairs(table), command.page

    def make() -> ReadyPairs:
        return ReadyPairs(pairs, command.out, annotators=page.annotators, lease=page.lease, checks=checks)

    asked = serve_page(page, command.out, make, "duelbench label")
    console.print(f"Labels: {asked.labels}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Report: {asked.report}", markup=False, highlight=False, soft_wrap=True)
    return 0 if asked.finished else 1


def _spec(command: LabelCommand, task: str) -> RunSpec:
    """The run that people answer."""
    from duelbench.label.specify import people_spec
    from duelbench.study.options import read_settings

    options: dict[str, Any] = {name: values[0] for name, values in read_settings(command.set).items()}
    judging = {"oracle": command.judge_oracle, "every": command.judge_every}
    return people_spec(
        command.env,
        command.agent,
        labels=command.labels,
        batch=command.batch,
        seed=command.seed,
        model=command.model,
        options={"env.task": task} | options,
        judging={name: value for name, value in judging.items() if value is not None},
        threads=command.threads,
    )


def _gold(path: Path | None) -> tuple[Posed, ...]:
    """Pairs with a known answer.

    Raises:
        UsageError: the file is no preference set.
    """
    if path is None:
        return ()
    from duelbench.envs.text.tasks import load_task
    from duelbench.records.answers.votes import Posed

    task = load_task(str(path), {"heldout": 0})
    if task.references.shape[1] != 2:
        raise UsageError(f"{path}: gold pairs need the columns prompt, chosen and rejected")
    rows = zip(task.prompts, task.references.tolist(), strict=True)
    return tuple(Posed(-number, prompt, *pair) for number, (prompt, pair) in enumerate(rows, 1))
