"""Rank simulated items: votes until the best is settled, against random pairs; and how often what is settled is wrong.

    python -m duelbench.experiments.rank.simulate votes --items 100 --seeds 10 --out experiments/rank/records
    python -m duelbench.experiments.rank.simulate errors --seeds 20000 --out experiments/rank/records

Items have the strengths 1.5 Φ⁻¹((k + ½)/K) in random order; votes are Bradley–Terry with ties as in ``--ties`` and an
advantage of the first place as in ``--place``. What is run here is what ``duelbench rank`` runs, without the files.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from duelbench.rank.choose import expected_chance, make_chooser
from duelbench.rank.statistics.bradley_terry import Floats, Strengths, fit
from duelbench.rank.statistics.evidence import Evidence, stake
from duelbench.rank.statistics.goal import Goal
from duelbench.records.files import write_atomic
from duelbench.streams import Streams

CAP = {10: 4_000, 100: 20_000, 1000: 40_000}
"""Votes after which a run gives up."""
ERROR = 0.05
TIES, PLACE = 0.5, 0.3
"""Davidson's exp(ν), and the advantage of the first place in logits."""


class Voters:
    """Votes of people who share a taste.

    Args:
        strengths: of the items in logits, (K,).
        rng: of the votes.
        ties: exp(ν).
        place: advantage of the first place.
    """

    def __init__(self, strengths: Floats, rng: np.random.Generator, ties: float = 0.0, place: float = 0.0) -> None:
        self.strengths, self._rng, self._ties, self._place = strengths, rng, ties, place

    def vote(self, first: int, second: int) -> float:
        """1 for the first, 0 for the second, ½ for a tie."""
        d = self.strengths[first] - self.strengths[second] + self._place
        weights = np.array([np.exp(-d / 2), self._ties, np.exp(d / 2)])
        return (0.0, 0.5, 1.0)[int(np.searchsorted(weights.cumsum(), self._rng.random() * weights.sum()))]


def play(voters: Voters, by: str, seed: int, *, goal: str = "top1", cap: int, batch: int = 1) -> dict[str, Any]:
    """One ranking, until it is settled or the votes are spent; strengths are fitted anew every 2 % of the votes."""
    items = len(voters.strengths)
    streams, wanted = Streams(seed), Goal.of(goal, items)
    sides, chooser = streams.generator("sides"), make_chooser(by, items, wanted, streams.generator("pairs"))
    evidence, best = Evidence(items, ERROR), int(voters.strengths.argmax())
    firsts, seconds, verdicts = list[int](), list[int](), list[float]()
    guessed, left = list[tuple[int, bool]](), list[tuple[int, int]]()
    strengths: Strengths | None = None
    while True:
        columns = np.array(firsts, np.int64), np.array(seconds, np.int64), np.array(verdicts)
        strengths = fit(items, *columns, start=strengths)
        order = np.argsort(-strengths.mean, kind="stable")
        guessed.append((len(firsts), int(order[0]) == best))
        left.append((len(firsts), int(evidence.left.sum())))
        settled = wanted.reached(evidence, order)
        if settled or len(firsts) >= cap:
            break
        waiting: Counter[tuple[int, int]] = Counter()
        for _ in range(max(batch, len(firsts) // 50)):
            pair = chooser.choose(strengths, evidence, waiting, lambda one, other: True)
            if pair is None:
                break
            one, other = pair
            chance = float(expected_chance(strengths, np.array([one]), np.array([other]))[0])
            waiting[min(pair), max(pair)] += 1
            turned = sides.random() < 0.5
            first, second = (other, one) if turned else (one, other)
            verdict = voters.vote(first, second)
            firsts.append(first)
            seconds.append(second)
            verdicts.append(verdict)
            evidence.add(first, second, verdict, 1.0 - chance if turned else chance)
            chooser.hear(first, second, verdict)
    return {
        "items": items,
        "by": by,
        "goal": goal,
        "seed": seed,
        "votes": len(firsts),
        "settled": settled,
        "left": int(evidence.left.sum()),
        "best_put_out": bool(not evidence.left[best]),
        "right": _right(wanted, order, voters),
        "sure_from": _sure_from(guessed),
        "left_over_time": _thinned(left),
    }


def _right(goal: Goal, order: Any, voters: Voters) -> bool:
    truth = np.argsort(-voters.strengths, kind="stable")
    return bool((order == truth).all()) if goal.k == 0 else set(order[: goal.k]) == set(truth[: goal.k])


def _sure_from(guessed: Sequence[tuple[int, bool]]) -> int | None:
    """Votes from which on the estimated best was the true best to the end; None if it is not at the end."""
    since: int | None = None
    for votes, right in guessed:
        since = (votes if since is None else since) if right else None
    return since


def _thinned(curve: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The points where the number changes."""
    return [point for at, point in enumerate(curve) if at == 0 or point[1] != curve[at - 1][1]]


def spread(items: int, rng: np.random.Generator) -> Floats:
    """Strengths at normal quantiles, in random order."""
    return rng.permutation(1.5 * norm.ppf((np.arange(items) + 0.5) / items))


def votes(items: int, seeds: int, ways: Sequence[str], out: Path) -> None:
    """Votes to settle the best of K items, for each way to choose pairs; a seed with a record is not played again."""
    for by in ways:
        path = out / f"votes-{items}-{by}.jsonl"
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
        for seed in range(len(rows), seeds):
            rng = Streams(seed).generator("voters")
            voters = Voters(spread(items, rng), rng, TIES, PLACE)
            rows.append(play(voters, by, seed, cap=CAP[items], batch=max(1, items // 10)))
            _write(path, rows)


def errors(rankings: int, out: Path) -> None:
    """How often the best is ever put out where that is hardest: two equally good items, a look after every vote.

    Stakes follow the votes so far, which are nothing but luck. All rankings are played at once.
    """
    rows = []
    for ties, place in ((0.0, 0.0), (TIES, 0.0), (0.0, 2.0), (TIES, 2.0)):
        rng = Streams(0).generator(f"errors {ties} {place}")
        wins, wealth, doubt = np.ones((rankings, 2)), np.zeros(rankings), np.zeros(rankings)
        for votes in range(1, 1001):
            first = rng.random(rankings) < 0.5  # whether the best stands first
            d = np.where(first, place, -place)
            tied = rng.random(rankings) < ties / (ties + np.exp(d / 2) + np.exp(-d / 2))
            won = rng.random(rankings) < 1.0 / (1.0 + np.exp(-d))
            staked = stake(wins[:, 1] / wins.sum(-1))  # that the best loses
            wealth += np.where(tied, 0.0, np.log1p(np.where(won, -staked, staked)))
            doubt = np.maximum(doubt, wealth)
            wins += np.where(tied, 0.0, 1.0)[:, None] * np.stack([won, ~won], -1)
            if votes in (100, 1000):
                put_out = int((doubt >= np.log(1.0 / ERROR)).sum())
                rows.append({"ties": ties, "place": place, "votes": votes, "rankings": rankings, "put_out": put_out})
    _write(out / "errors.jsonl", rows)


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    write_atomic(path, "".join(json.dumps(row) + "\n" for row in rows))


def main() -> None:
    """Play what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("votes", "errors"))
    parser.add_argument("--items", type=int, choices=sorted(CAP), default=10)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--by", nargs="*", default=["information", "random", "double_ts"])
    parser.add_argument("--out", type=Path, default=Path("experiments/rank/records"))
    asked = parser.parse_args()
    if asked.what == "votes":
        votes(asked.items, asked.seeds, asked.by, asked.out)
    else:
        errors(asked.seeds, asked.out)


if __name__ == "__main__":
    main()
