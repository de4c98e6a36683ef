"""The README's tables are those of the committed records, and the records keep what the method promises."""

import json

import numpy as np
import pytest

from duelbench.experiments.rank.simulate import Voters, play
from duelbench.experiments.rank.tables import RECORDS, median_interval, tables


def test_the_tables_are_rebuilt_from_the_records():
    assert tables() in (RECORDS.parent / "README.md").read_text("utf-8")


def test_the_error_rate_holds():
    for line in (RECORDS / "errors.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        n = row["rankings"]
        assert row["put_out"] / n <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / n)


def test_a_ranking_is_settled_and_the_same_again():
    one, two = (
        play(Voters(np.array([0.0, 3.0, -1.0]), np.random.default_rng(0), 0.5, 0.3), "information", 0, cap=400)
        for _ in range(2)
    )
    assert one == two and one["settled"] and one["right"] and not one["best_put_out"]


@pytest.mark.parametrize(("n", "low", "high"), [(6, 1, 6), (10, 2, 9), (20, 6, 15), (40, 14, 27)])
def test_the_interval_of_a_median_is_that_of_the_tables_of_the_sign_test(n, low, high):
    assert median_interval(range(1, n + 1)) == ((n + 1) / 2, low, high)


def test_chosen_pairs_take_fewer_votes_than_random_ones_to_the_same_certainty():
    rows = [json.loads(line) for line in (RECORDS / "votes-100-information.jsonl").read_text("utf-8").splitlines()]
    random = [json.loads(line) for line in (RECORDS / "votes-100-random.jsonl").read_text("utf-8").splitlines()]
    assert [row["seed"] for row in rows] == [row["seed"] for row in random] == list(range(40))
    assert all(row["settled"] and row["right"] for row in rows)
    assert all(one["votes"] < other["votes"] for one, other in zip(rows, random, strict=True))
