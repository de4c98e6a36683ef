"""``duelbench rank``: rank items of your own by duels."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from duelbench.cli.arguments import REPEATED, UNSET
from duelbench.cli.page_options import PageOptions, console, serve_page

if TYPE_CHECKING:
    from duelbench.protocols import Oracle
    from duelbench.rank.ranking import Ranking
    from duelbench.records.answers.votes import Vote


@dataclass
class RankCommand:
    """Rank items of your own: choose pairs, ask about them, and stop when it is settled.

    The same command goes on where it stopped, and asks nothing twice. The report is `ranking.html`.
    """

    items: tyro.conf.Positional[Path]
    """Table of items, models' answers (`.jsonl`), or votes to replay."""
    judge: Annotated[str | None, UNSET] = None
    """Who answers: `people`, `judge:URL#MODEL`, `file.py:name`, any oracle."""
    judge_options: Annotated[str, UNSET] = "{}"
    """JSON object, e.g. `{"connection": {"concurrency": 16}}`."""
    question: str = "Which is better?"
    """Asked where items answer no prompt."""
    columns: Annotated[tuple[str, ...], REPEATED] = ()
    """Columns to show. Default: all but the name."""
    until: str = "top1"
    """What is to be settled: `top1`, `top3`, `order`."""
    error: float = 0.05
    """How often what is settled is wrong, at most."""
    by: str = "information"
    """Who chooses pairs; also `random`, `double_ts`."""
    votes: int = 1000
    """Votes at most, earlier ones included."""
    seed: int = 0
    """Seed of pairs and sides."""
    page: PageOptions = field(default_factory=PageOptions)
    out: Annotated[Path | None, UNSET] = None
    """Output folder. Default: results/rank-NAME."""
    dry_run: Annotated[bool, UNSET] = False
    """Only say how much would be asked at most."""
    json: Annotated[bool, UNSET] = False
    """Print the ranking as a JSON object as the last line."""


def rank(command: RankCommand, line: str) -> int:
    """Ask the missing questions and write the report; returns 0 if the ranking is settled or the votes are spent.

    Raises:
        UsageError: the file holds nothing to rank, nobody answers, or there is no such goal or agent.
    """
    from duelbench.errors import UsageError
    from duelbench.oracles import make_oracle
    from duelbench.rank.contest import read_contest
    from duelbench.rank.ranking import Ranking
    from duelbench.rank.report import summary, verdict, write_report

    contest = read_contest(command.items, columns=command.columns, question=command.question)
    if not contest.votes and command.judge is None:
        raise UsageError(
            f"{command.items} holds {len(contest.names)} items and no votes: say with --judge who answers, people, a "
            "function file.py:name or a chat model judge:http://localhost:8000/v1#MODEL"
        )
    if contest.votes and command.judge is not None:
        raise UsageError("votes that exist are replayed, and their texts are unknown: leave out --judge")
    oracle = None if command.judge is None else make_oracle(command.judge, **_options(command.judge_options))
    if oracle is not None and (said := forecast(contest, oracle, command.votes)):
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    if command.dry_run:
        return 0
    out = command.out or Path("results") / f"rank-{command.items.stem}"
    repeats = oracle is None or not getattr(oracle, "gives_verdicts", False)
    ranking = Ranking(
        contest, out, until=command.until, error=command.error, by=command.by, seed=command.seed, repeats=repeats
    )
    votes: list[Vote] = []
    status = 1
    try:
        if command.judge == "people":
            status, votes = _ask_people(command, ranking, out)
        else:
            status = _ask(command, ranking, oracle)
    finally:
        page = write_report(ranking, out, votes)
        found = summary(ranking)
        ranking.close()
    console.print(verdict(found), markup=False, highlight=False, soft_wrap=True)
    if oracle is not None and (told := _told(oracle)):
        console.print(told, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Report: {page}", markup=False, highlight=False, soft_wrap=True)
    if command.json:
        print(json.dumps(found))
    return status


def _ask(command: RankCommand, ranking: Ranking, oracle: Oracle | None) -> int:
    """Ask an oracle, or replay existing votes; returns the exit status."""
    from duelbench.errors import UnansweredError
    from duelbench.rank import sources

    try:
        if oracle is None:
            sources.replay(ranking)
        else:
            sources.play(ranking, oracle, votes=command.votes, seed=command.seed)
    except (UnansweredError, sources.DownError) as error:
        console.print(f"[red]stopped:[/red] {error}. The same command goes on.", highlight=False, soft_wrap=True)
        return 1
    return 0


def _ask_people(command: RankCommand, ranking: Ranking, out: Path) -> tuple[int, list[Vote]]:
    """Serve the page; returns the exit status, and what people said."""
    from duelbench.label.asking.checking import Checks
    from duelbench.label.rank_by_people import RankByPeople

    page = command.page

    def make() -> RankByPeople:
        checks = Checks(page.repeats)
        return RankByPeople(
            ranking, out, votes=command.votes, annotators=page.annotators, lease=page.lease, checks=checks
        )

    asked = serve_page(page, out, make, "duelbench rank --judge people", command.question)
    return (0 if asked.finished else 1), asked.desk.said()


def forecast(contest: Any, oracle: Any, votes: int) -> str:
    """The most that a judge over HTTP will be asked."""
    if not hasattr(oracle, "counts"):
        return ""
    texts = list(contest.texts.values())
    shown = (
        len(oracle.template)
        + 2 * sum(map(len, texts)) / len(texts)
        + sum(map(len, contest.prompts)) / len(contest.prompts)
    )
    return (
        f"At most {votes:,} votes, each asked in both orders: up to {2 * votes:,} requests to {oracle.name}, which "
        f"read about {2 * votes * shown / 4.0:,.0f} tokens"
    )


def _told(oracle: Any) -> str:
    """Requests and tokens of a judge over HTTP in this process."""
    counts = getattr(oracle, "counts", None)
    if counts is None or not counts.asked:
        return ""
    return (
        f"Judge: {counts.asked:,} duels in {counts.requests:,} requests, {counts.read:,} tokens read, "
        f"{counts.written:,} written; {counts.flipped / counts.asked:.1%} of the verdicts turned round with the order, "
        f"{counts.unreadable / counts.asked:.1%} could not be read, {counts.refused / counts.asked:.1%} had no reply; "
        f"the answer shown first was named in {counts.chose_first / max(1, counts.replies):.1%} of the replies"
    )


def _options(text: str) -> dict[str, Any]:
    from duelbench.errors import UsageError

    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"--judge-options expects a JSON object, got {text!r} ({error})") from error
    if not isinstance(options, dict):
        raise UsageError(f"--judge-options expects a JSON object, got {text!r}")
    return options
