"""What votes say about the people behind them, against worked examples."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from duelbench.records.answers.votes import Kind, Said, Shown, Vote
from duelbench.results.people import agreement, outliers, summary

_number = itertools.count()


def vote(
    who: str, number: int, said: Said, *, kind: Kind = "duel", swapped: bool = False, seconds: float = 5.0
) -> Vote:
    return Vote(Shown(str(next(_number)), number, kind, who, swapped), said, seconds, "2026-01-01T00:00:00.000+00:00")


def by_hand(labels: dict[str, list[Said | None]]) -> float:
    """Krippendorff's α for nominal data from its definition: 1 − D_observed / D_expected, over pairable values."""
    units = [[v for v in column if v is not None] for column in zip(*labels.values(), strict=True)]
    units = [unit for unit in units if len(unit) > 1]
    values = [value for unit in units for value in unit]
    n = len(values)
    observed = sum(sum(a != b for a, b in itertools.permutations(unit, 2)) / (len(unit) - 1) for unit in units) / n
    expected = sum(a != b for a, b in itertools.permutations(values, 2)) / (n * (n - 1))
    return 1 - observed / expected


def test_alpha_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(2)
    said: list[Said | None] = ["first", "second", "tie", "both_bad", None]
    labels = {who: [said[i] for i in rng.integers(5, size=40)] for who in "abc"}
    labels["b"] = [one if i % 3 else other for i, (one, other) in enumerate(zip(labels["a"], labels["b"], strict=True))]
    votes = [vote(who, i, one) for who, column in labels.items() for i, one in enumerate(column) if one is not None]
    assert agreement(votes) == pytest.approx(by_hand(labels))
    found = summary(votes)
    assert found["alpha"] == pytest.approx(by_hand(labels))
    of_c = {who: [v if labels["c"][i] is not None else None for i, v in enumerate(row)] for who, row in labels.items()}
    assert found["people"]["c"]["alpha"] == pytest.approx(by_hand(of_c))


def test_alpha_is_unknown_where_nothing_tells() -> None:
    assert agreement([]) is None
    assert agreement([vote("a", 1, "first"), vote("b", 2, "second")]) is None  # no duel has two labels
    assert agreement([vote("a", 1, "first"), vote("b", 1, "first")]) is None  # all alike
    assert agreement([vote(w, n, s) for w in "ab" for n, s in enumerate(("first", "second"))]) == 1.0


def test_one_persons_measures() -> None:
    votes = [
        vote("a", 1, "first"),
        vote("a", 2, "second", swapped=True),  # the left one
        vote("a", 3, "tie"),
        vote("a", 4, "both_bad"),
        vote("a", 5, "skip"),
        vote("a", 1, "first", kind="repeat", swapped=True),  # the right one
        vote("a", 2, "tie", kind="repeat"),
        vote("a", -1, "first", kind="gold"),
        vote("a", -2, "second", kind="gold", swapped=True),
        vote("a", -3, "tie", kind="gold"),
    ]
    found = summary(votes)["people"]["a"]
    assert (found["labels"], found["ties"], found["both_bad"], found["skips"]) == (4, 1, 1, 1)
    assert (found["repeats"], found["same"], found["gold"]) == (2, 0.5, 3)
    assert found["right"] == pytest.approx(1 / 3)
    assert found["left"] == pytest.approx(4 / 5)
    assert found["alpha"] is None and found["median_seconds"] == 5.0


def test_outliers_are_those_of_the_modified_z_score() -> None:
    seconds = np.exp(np.random.default_rng(0).normal(1.5, 0.4, 200))
    assert sum(outliers(seconds.tolist())) <= 2
    assert outliers([*seconds.tolist(), 0.05, 400, 900]) == (outliers(seconds.tolist())[0] + 1, 2)
    assert outliers([]) == outliers([3.0, 3.0, 3.0, 90.0]) == (0, 0)
