"""The report says so where an agent gained by the first judge and lost by the second, and only there."""

from __future__ import annotations

import re

import numpy as np
import pytest
from finished_runs import make_run
from scipy import stats

from duelbench.records.record import Run
from duelbench.results.report.comparison.tasks import sections
from duelbench.results.report.comparison.words.findings import notes
from duelbench.results.report.comparison.words.gaming import gamed

FIRST = {"online": 0.30, "sea": 0.30, "ide": -0.30}
SECOND = {"online": -0.20, "sea": 0.10, "ide": -0.20}


def runs(seeds: int, *, noise: float = 0.01, probability: bool = False) -> list[Run]:
    rng, found = np.random.default_rng(0), []
    for agent, seed in ((agent, seed) for agent in FIRST for seed in range(seeds)):
        run = make_run(agent, seed, 0.5 + FIRST[agent] + noise * rng.standard_normal())
        end = 0.5 + SECOND[agent] + noise * rng.standard_normal()
        for row, share in zip(run.rows, (0.0, 0.5, 1.0), strict=True):
            row["second_win_rate"] = 0.5 + share * (end - 0.5)
            if probability:
                for name in ("offline", "second"):
                    row[f"{name}_win_probability"] = row.pop(f"{name}_win_rate")
        found.append(run)
    return found


@pytest.mark.parametrize("probability", [False, True])
def test_only_who_rises_by_the_first_and_falls_by_the_second_is_named(probability: bool) -> None:
    played = runs(5, probability=probability)
    (section,) = sections(played)
    (said,) = gamed(section)
    assert said.startswith("online gained by the first judge") and said in notes(section)
    name = "second_win_probability" if probability else "second_win_rate"
    falls = [run.rows[-1][name] - run.rows[0][name] for run in played if run.spec["agent"] == "online"]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(falls), scale=stats.sem(falls))
    assert f"({np.mean(falls):.3f} [{low:.3f}, {high:.3f}])" in re.sub("−", "-", said)


def test_nothing_is_said_of_one_seed_of_noise_or_without_a_second_judge() -> None:
    for found in (runs(1), runs(3, noise=0.4), [make_run("online", seed, 0.8) for seed in range(5)]):
        (section,) = sections(found)
        assert gamed(section) == []
