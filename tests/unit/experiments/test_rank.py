"""The README's tables are those of the committed records, and the records keep what the method promises."""

import json

import numpy as np

from duelbench.experiments.rank.simulate import Voters, play
from duelbench.experiments.rank.tables import RECORDS, tables


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
