"""``duelbench rank``: rank items of one's own by duels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from duelbench.cli.arguments import UNSET


@dataclass
class RankCommand:
    """Rank items of your own: choose pairs, ask about them, and stop when it is settled.

    The same command again goes on where it stopped, and asks nothing twice. Votes, report (`ranking.html`) and its data
    (`ranking.json`) lie in the output folder.
    """

    items: tyro.conf.Positional[Path]
    """`items.csv` (one item a row), `models.jsonl` (the same prompts answered by several models) or `votes.csv` (votes
    that exist, which are replayed)."""
    judge: Annotated[str | None, UNSET] = None
    """Who answers: `judge:http://localhost:8000/v1#MODEL`, a function `file.py:name` that scores (prompt, text), or any
    oracle (`duelbench list oracles`)."""
    judge_options: str = "{}"
    """Arguments of the judge as a JSON object, e.g. `{"connection": {"concurrency": 16}}`."""
    question: str = "Which is better?"
    """What is asked where the items answer no prompt."""
    columns: tuple[str, ...] = ()
    """Columns of `items.csv` that are shown; repeat for several. Default: all but the name."""
    until: str = "top1"
    """What is to be settled: `top1`, `top3`, `order`."""
    error: float = 0.05
    """Probability with which anything that is called settled is wrong, whenever one stops."""
    by: str = "information"
    """Who chooses pairs: `information`, `random`, or an agent that plays arms by their wins (`double_ts`)."""
    votes: int = 1000
    """Votes at most, those of earlier commands included."""
    seed: int = 0
    """Of pairs and sides."""
    out: Annotated[Path | None, UNSET] = None
    """Output folder. Default: results/rank-NAME."""
    dry_run: Annotated[bool, UNSET] = False
    """Only say how much would be asked at most."""
    json: Annotated[bool, UNSET] = False
    """Print the ranking as one JSON object as the last line of standard output."""


def rank(command: RankCommand, line: str) -> int:
    """Ask what is missing, write the report, and return the exit status: 0 if it is settled or the votes are spent.

    Raises:
        UsageError: the file holds nothing to rank, nobody answers, or there is no such goal or agent.
    """
    from duelbench.errors import UnansweredError, UsageError
    from duelbench.oracles import make_oracle
    from duelbench.rank import sources
    from duelbench.rank.contest import read_contest
    from duelbench.rank.ranking import Ranking
    from duelbench.rank.report import summary, verdict, write_report

    console = Console(stderr=True)
    contest = read_contest(command.items, columns=command.columns, question=command.question)
    if not contest.votes and command.judge is None:
        raise UsageError(
            f"{command.items} holds {len(contest.names)} items and no votes: say with --judge who answers, a function "
            "file.py:name or a chat model judge:http://localhost:8000/v1#MODEL"
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
    status = 0
    try:
        if oracle is None:
            sources.replay(ranking)
        else:
            sources.play(ranking, oracle, votes=command.votes, seed=command.seed)
    except (UnansweredError, sources.DownError) as error:
        console.print(f"[red]stopped:[/red] {error}. The same command goes on.", highlight=False, soft_wrap=True)
        status = 1
    finally:
        page = write_report(ranking, out)
        found = summary(ranking)
        ranking.close()
    console.print(verdict(found), markup=False, highlight=False, soft_wrap=True)
    if oracle is not None and (told := _told(oracle)):
        console.print(told, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Report: {page}", markup=False, highlight=False, soft_wrap=True)
    if command.json:
        print(json.dumps(found))
    return status


def forecast(contest: Any, oracle: Any, votes: int) -> str:
    """How much is asked at most, of a judge over HTTP."""
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
    """What a judge over HTTP did in this process."""
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
