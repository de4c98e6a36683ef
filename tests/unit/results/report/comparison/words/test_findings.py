from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from finished_runs import FINALS, LABELS, arms_runs, make_run, three_agents
from reports import Page

from duelbench.records.record import SeedRows
from duelbench.results.report.comparison.tasks import sections
from duelbench.results.report.comparison.words.findings import (
    baseline_name,
    compare,
    failure_rates,
    headline,
    headline_metric,
    sentence,
)
from duelbench.results.report.comparison.words.wording import multiplier_text
from duelbench.results.report.formats import markdown
from duelbench.results.report.page import write_report
from duelbench.results.report.subject import Subject
from duelbench.results.report.terminal import terminal
from duelbench.results.statistics.curves import Multiplier


def test_headline_is_not_flattering() -> None:
    (section,) = sections(three_agents())
    assert headline(section, "online", compare(section, "online")) == (
        "sea beats online; apl is not separated from online: offline win rate after 100 oracle labels."
    )
    reversed_baseline = compare(section, "sea")
    assert [c.verdict for c in reversed_baseline] == ["behind", "behind"]
    assert sentence(section, reversed_baseline[0]).startswith(f"{reversed_baseline[0].agent} is behind sea: −0.")
    assert headline(section, "nobody", []) == "No finished run of nobody to compare with."


def test_regret_is_better_when_lower() -> None:
    runs = three_agents()
    runs = [
        dataclasses.replace(run, rows=[{k: row[k] for k in ("labels", "simple_regret")} for row in run.rows])
        for run in runs
    ]
    (section,) = sections(runs)
    found = {c.agent: c for c in compare(section, "online")}
    assert found["sea"].metric == "simple_regret" and found["sea"].verdict == "ahead"
    assert found["sea"].final is not None and found["sea"].final.value < 0
    assert found["sea"].improvement.value == 1.0


def test_a_multiplier_in_words() -> None:
    known = Multiplier(0.7, 300.0, 100.0, 3.0, 2.5, 3.75)
    assert multiplier_text(known) == "3.00× [2.50, 3.75]"
    assert multiplier_text(dataclasses.replace(known, low=0.0, high=np.inf)) == "3.00×"
    assert multiplier_text(dataclasses.replace(known, high=np.inf)) == "at least 2.50×"
    ahead = dataclasses.replace(known, base_labels=np.inf, value=np.inf, high=np.inf)
    assert multiplier_text(ahead) == "at least 2.50×"
    assert multiplier_text(dataclasses.replace(ahead, low=0.0)) == ""
    behind = dataclasses.replace(known, agent_labels=np.inf, value=0.0, low=0.0, high=0.4)
    assert multiplier_text(behind) == "at most 0.40×"
    assert multiplier_text(dataclasses.replace(behind, high=np.inf)) == ""
    assert multiplier_text(dataclasses.replace(behind, base_labels=np.inf, value=np.nan)) == ""


def test_a_verdict_counts_how_many_were_compared(tmp_path: Path) -> None:
    """One agent is ahead by a little: alone that is separated, among six that are no different it is not."""
    gains = [0.001, 0.002, 0.003, 0.006, 0.0075]  # p = 0.034
    runs = [make_run("online", seed, 0.5) for seed in range(5)]
    runs += [make_run("sea", seed, 0.5 + gain) for seed, gain in enumerate(gains)]
    (alone,) = compare(sections(runs)[0], "online")
    assert alone.verdict == alone.alone == "ahead" and alone.adjusted == alone.p < 0.05
    noise = [0.01, -0.01, 0.02, -0.02, 0.0]
    runs += [make_run(f"rival{i}", seed, 0.5 + gain) for i in range(5) for seed, gain in enumerate(noise)]
    found = {c.agent: c for c in compare(sections(runs)[0], "online")}
    assert found["sea"].verdict == "open" and found["sea"].alone == "ahead"
    assert found["sea"].adjusted == pytest.approx(6 * found["sea"].p)
    page = Page(write_report(tmp_path, runs)).text
    assert "sea beats online" not in page and "counts all 6 comparisons (Holm)" in page
    assert "sea is not separated from online" in page and "taken alone it would be" in page
    subject = Subject.of(tmp_path, runs)
    assert "beats online" not in markdown(subject) and "ahead" not in terminal(subject)


@pytest.mark.parametrize("regret", ["cumulative_average_regret", "cumulative_copeland_regret"])
def test_on_arms_the_verdict_is_on_regret_against_uniform_pairs(regret: str) -> None:
    (section,) = sections(arms_runs(FINALS, regret))
    assert headline_metric(section) == regret and section.numeric
    assert list(section.agents) == ["uniform", "greedy", "rucb", "oracle"]
    assert baseline_name(section, "online") == "uniform" and baseline_name(section, "rucb") == "rucb"
    found = compare(section, "uniform")
    assert [c.agent for c in found] == ["rucb", "greedy"]  # best first; the oracle is no rival
    assert [c.verdict for c in found] == ["ahead", "ahead"]
    said = headline(section, "uniform", found)
    assert said.startswith("rucb and greedy beat uniform: cumulative ")
    assert said.endswith("after 200 oracle labels. Least: rucb, 34.2 on average; greedy is not separated from it.")


def test_average_regret_goes_before_copeland_and_simple_regret() -> None:
    runs = [
        dataclasses.replace(r, rows=SeedRows(LABELS, r.rows.columns | {"cumulative_copeland_regret": LABELS}))
        for r in arms_runs(FINALS)
        if isinstance(r.rows, SeedRows)
    ]
    (section,) = sections(runs)
    assert headline_metric(section) == "cumulative_average_regret"


def test_a_seed_failed_from_nine_tenths_of_uniform_pairs_on() -> None:
    (section,) = sections(arms_runs(FINALS))  # uniform pairs lose 100: the limit is 90
    assert failure_rates(section) == {"uniform": 1.0, "greedy": 0.4, "rucb": 0.1, "oracle": 0.0}
    (unguided,) = sections([dataclasses.replace(r, manifest=r.manifest | {"guides": []}) for r in arms_runs(FINALS)])
    assert failure_rates(unguided) == {}
