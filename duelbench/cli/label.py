"""``duelbench label``: a page on which people answer the duels of an agent, then the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console

from duelbench.cli.arguments import REPEATED, UNSET
from duelbench.errors import UsageError, install
from duelbench.records.votes import Posed

if TYPE_CHECKING:
    from duelbench.label.session import Session
    from duelbench.records.spec import RunSpec

console = Console(stderr=True)
_PACKAGES = ("starlette", "uvicorn", "markdown_it")
_OWN = ("127.0.0.1", "localhost", "::1")


@dataclass
class LabelCommand:
    """Let people answer an agent's duels on a page in their browser.

    The agent chooses what is asked and learns after every round. Give the same command again to go on: no answer is
    lost, however the server or the browser ended.
    """

    task: str
    """Prompts: a CSV, JSONL or Parquet file, a folder, a hub data set, a task."""
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
    annotators: int = 1
    """People who judge each duel; the majority is the answer."""
    repeats: float = 0.0
    """Share of questions that the person has answered before."""
    gold: Annotated[Path | None, UNSET] = None
    """Pairs with a known answer: columns `prompt`, `chosen`, `rejected`."""
    gold_share: float = 0.05
    """Share of questions that are such pairs."""
    ahead: int = 0
    """Duels that may lack an answer when the agent goes on."""
    lease: float = 600.0
    """Seconds until an unanswered duel goes to somebody else."""
    guidelines: Annotated[Path | None, UNSET] = None
    """Markdown file that is shown beside the questions."""
    title: Annotated[str, UNSET] = "Which response is better?"
    """Heading of the page."""
    set: Annotated[tuple[str, ...], REPEATED] = ()
    """As for `duelbench run`, e.g. `policy.lora_rank=8`."""
    judge_oracle: Annotated[str | None, UNSET] = None
    """Who judges the policy on held-out prompts. Default: nobody."""
    judge_every: Annotated[int | None, UNSET] = None
    """Labels between two such judgements."""
    host: str = "127.0.0.1"
    """Another address is open to your network, unencrypted."""
    port: int = 8765
    """Port; 0 takes any that is free."""
    out: Path = Path("results/label")
    """Output folder."""
    threads: int = 1
    """Torch threads."""


def label(command: LabelCommand, line: str) -> int:
    """Serve the page until every duel is answered, then write the report; returns the exit status.

    Raises:
        UsageError: something that was asked for does not exist, or a package is missing.
    """
    try:
        from duelbench.label.serving import serve, token_of
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        raise UsageError(f"duelbench label needs {error.name}: {install('label')}") from error
    from duelbench.cli.report import write_report
    from duelbench.label.checking import Checks
    from duelbench.label.session import Session
    from duelbench.records.record import load_runs

    checks = Checks(command.repeats, _gold(command.gold), command.gold_share)
    guidelines = command.guidelines.read_text(encoding="utf-8") if command.guidelines else ""
    spec = _spec(command)

    def make() -> Session:
        return Session(
            spec=spec,
            out=command.out,
            ahead=command.ahead,
            annotators=command.annotators,
            lease=command.lease,
            checks=checks,
            command=line,
        )

    if command.host not in _OWN:
        console.print(
            f"[yellow]Open to the network at {command.host}, without encryption:[/yellow] whoever has the address can "
            "answer",
            highlight=False,
        )
    session = serve(
        make,
        token=token_of(command.out),
        host=command.host,
        port=command.port,
        guidelines=guidelines,
        title=command.title,
        ready=_say_address,
    )
    runs = load_runs(command.out)
    write_report(command.out, runs, as_json=False, ids={session.spec.run_id})
    return 0 if session.finished else 1


def _say_address(session: Session, address: str) -> None:
    done = f", {session.desk.answered} of them answered" if session.desk.answered else ""
    console.print(f"{session.spec.labels} duels{done}. Answer them here, and stop with Ctrl-C:", highlight=False)
    console.print(address, markup=False, highlight=False, soft_wrap=True)


def _spec(command: LabelCommand) -> RunSpec:
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
        options={"env.task": command.task} | options,
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

    task = load_task(str(path), {"heldout": 0})
    if task.references.shape[1] != 2:
        raise UsageError(f"{path}: gold pairs need the columns prompt, chosen and rejected")
    rows = zip(task.prompts, task.references.tolist(), strict=True)
    return tuple(Posed(-number, prompt, *pair) for number, (prompt, pair) in enumerate(rows, 1))
