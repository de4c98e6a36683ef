"""How well people answered: agreement with each other, themselves and known answers; time; which side they prefer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.records.answers.votes import Said, Vote

_OUTLIER = 3.5
"""Modified z-score of the logarithm of the time above which an answer is an outlier (Iglewicz and Hoaglin, 1993)."""
_CATEGORIES: tuple[Said, ...] = ("first", "second", "tie", "both_bad")


def summary(votes: Sequence[Vote]) -> dict[str, Any]:
    """What the votes of a run say about the people behind them.

    Args:
        votes: those that count, in the order of each person.

    Returns:
        ``alpha``: Krippendorff's α of all labels, None where no duel has two; ``doubly``: duels with two labels or
        more; ``people``: for each what ``of_person`` gives.
    """
    labels = [vote for vote in votes if vote.shown.kind == "duel" and vote.said != "skip"]
    names = dict.fromkeys(vote.shown.annotator for vote in votes)
    doubly = sum(count > 1 for count in Counter(vote.shown.number for vote in labels).values())
    people = {name: of_person(name, votes, labels) for name in names}
    return {"alpha": agreement(labels), "doubly": doubly, "people": people}


def of_person(name: str, votes: Sequence[Vote], labels: Sequence[Vote]) -> dict[str, Any]:
    """What the votes say about one person; a measure is None where nothing tells.

    Returns:
        Counts of ``labels``, ``ties``, ``both_bad``, ``skips``; ``median_seconds``, and how many answers were far
        ``faster`` or ``slower`` than theirs usually are; ``left``, the share of decided duels in which they preferred
        the side shown first; ``alpha``, of the duels that they and others judged; ``repeats`` that they were asked, and
        the share that was answered the ``same``; ``gold`` pairs that they were asked, and the share that was ``right``.
    """
    mine = [vote for vote in votes if vote.shown.annotator == name]
    own = [vote for vote in labels if vote.shown.annotator == name]
    counts = Counter(vote.said for vote in own)
    decided = [vote for vote in mine if vote.said in ("first", "second")]
    left = [(vote.said == "first") != vote.shown.swapped for vote in decided]
    judged = {vote.shown.number for vote in own}
    before = {vote.shown.number: vote.said for vote in own}
    again = [v for v in mine if v.shown.kind == "repeat" and v.said != "skip" and v.shown.number in before]
    gold = [vote for vote in mine if vote.shown.kind == "gold" and vote.said != "skip"]
    seconds = [vote.seconds for vote in mine if vote.seconds is not None and vote.said != "skip"]
    faster, slower = outliers(seconds)
    return {
        "labels": len(own),
        "ties": counts["tie"],
        "both_bad": counts["both_bad"],
        "skips": sum(vote.said == "skip" for vote in mine),
        "median_seconds": float(np.median(seconds)) if seconds else None,
        "faster": faster,
        "slower": slower,
        "left": _mean(left),
        "alpha": agreement(vote for vote in labels if vote.shown.number in judged),
        "repeats": len(again),
        "same": _mean(vote.said == before[vote.shown.number] for vote in again),
        "gold": len(gold),
        "right": _mean(vote.said == "first" for vote in gold),
    }


def agreement(labels: Iterable[Vote]) -> float | None:
    """Krippendorff's α for nominal data of the labels: 1 for perfect agreement, 0 for that of chance.

    A tie and two bad responses are different answers. None where no duel has two labels, or where all labels are alike,
    so that no chance agreement can be told from a real one.

    Raises:
        ImportError: the package ``krippendorff`` is missing.
    """
    table = _table(labels)
    pairable = table[:, (~np.isnan(table)).sum(0) > 1]
    if len(np.unique(pairable[~np.isnan(pairable)])) < 2:
        return None
    import krippendorff

    alpha = krippendorff.alpha(
        reliability_data=pairable, level_of_measurement="nominal", value_domain=list(range(len(_CATEGORIES)))
    )
    return float(alpha)


def outliers(seconds: Sequence[float]) -> tuple[int, int]:
    """How many answers took far less and far more time than usual: by the modified z-score of its logarithm.

    >>> outliers([5, 6, 7, 5, 6, 8, 0.1, 300])
    (1, 1)
    """
    logs = np.log(np.maximum(np.asarray(seconds, np.float64), 1e-3))
    if len(logs) < 3:
        return 0, 0
    centre = np.median(logs)
    spread = np.median(np.abs(logs - centre))
    if spread == 0:
        return 0, 0
    scores = 0.6745 * (logs - centre) / spread
    return int((scores < -_OUTLIER).sum()), int((scores > _OUTLIER).sum())


def _table(labels: Iterable[Vote]) -> NDArray[np.float64]:
    """Labels as people by duels, NaN where somebody said nothing."""
    found = {(vote.shown.annotator, vote.shown.number): _CATEGORIES.index(vote.said) for vote in labels}
    people, duels = (list(dict.fromkeys(key[part] for key in found)) for part in (0, 1))
    table = np.full((len(people), len(duels)), np.nan)
    for (name, number), category in found.items():
        table[people.index(name), duels.index(number)] = category
    return table


def _mean(values: Iterable[bool]) -> float | None:
    known = list(values)
    return float(np.mean(known)) if known else None
