from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from finished_runs import LABELS, arms_runs, make_run, three_agents
from reports import Page

from duelbench.records.record import SeedRows
from duelbench.results.report.comparison.tasks import sections
from duelbench.results.report.page import summary, write_report
from duelbench.results.report.pictures.styles import CEILING, CYCLE, FLOOR


def test_several_tasks_are_kept_apart() -> None:
    runs = [make_run("sea", s, 0.7) for s in (0, 1)] + [make_run("sea", 0, 0.9, env="LLMDuel-v0")]
    found = summary(runs)
    assert set(found["envs"]) == {"LLMDuel-v0", "LLMDuelPool-v0"}
    assert found["agents"] == found["envs"]["LLMDuel-v0"]["agents"]
    assert found["envs"]["LLMDuelPool-v0"]["agents"]["sea"]["offline_win_rate"]["n"] == 2


def test_one_agent_with_two_settings_is_two_agents() -> None:
    runs = three_agents(2)
    runs += [
        make_run("sea", s, 0.6, spec=run.spec | {"optimizer": "ipo"}, run_id=f"i{s}") for s, run in enumerate(runs[2:4])
    ]
    (section,) = sections(runs)
    assert list(section.agents) == ["apl", "online", "sea", "sea [optimizer=ipo]"]


def test_another_label_budget_is_another_task_and_the_baseline_is_found_in_both(tmp_path: Path) -> None:
    short = three_agents()
    long = [dataclasses.replace(run, run_id=f"{run.run_id}-long", spec=run.spec | {"labels": 500}) for run in short]
    assert [section.title for section in sections(short + long)] == [
        "LLMDuelPool-v0 [labels=500]",
        "LLMDuelPool-v0 [labels=100]",
    ]
    variants = [dataclasses.replace(r, run_id=f"{r.run_id}-b", spec=r.spec | {"batch": 8}) for r in short]
    (section,) = sections(short + variants)
    assert section.named("online") == "online"
    said = Page(write_report(tmp_path, short + variants)).text
    assert "online [batch=8]" in said and "beat online" in said


def test_two_lockstep_settings_of_one_agent_are_two_agents() -> None:
    first = arms_runs({"rucb": [1.0, 2.0]})
    other = [
        dataclasses.replace(r, run_id=f"b{r.run_id}", spec=r.spec | {"agent_options": {"alpha": 1}}) for r in first
    ]
    (section,) = sections([*first, *other])
    assert [len(runs) for runs in section.agents.values()] == [2, 2]


def test_seed_rows_are_read_as_rows_and_as_columns() -> None:
    run = arms_runs({"rucb": [200.0]})[0]
    last = {"labels": 200.0, "cumulative_average_regret": 200.0, "simple_regret": 0.25}
    assert len(run.rows) == 5 and run.rows[-1] == last and run.rows[3:] == [run.rows[3], last]
    plain = dataclasses.replace(run, rows=list(run.rows))
    (lazy,), (listed,) = sections([run]), sections([plain])
    for metric in (*listed.metrics, "absent"):
        assert lazy.final("rucb", metric) == listed.final("rucb", metric)
    assert lazy.metrics == listed.metrics == ["cumulative_average_regret", "simple_regret"]


def test_unknown_values_of_a_column_are_left_out() -> None:
    run = arms_runs({"rucb": [200.0]})[0]
    error = np.array([np.nan, 4.0, 3.0, 2.0, np.inf])
    gone = np.full(5, np.nan)
    (section,) = sections([dataclasses.replace(run, rows=SeedRows(LABELS, {"parameter_error": error, "gone": gone}))])
    assert section.metrics == ["parameter_error"]
    curves = section.curves("rucb", "parameter_error")
    assert curves is not None and curves.labels.tolist() == [1.0, 10.0, 100.0]
    cut = section.curves("rucb", "parameter_error", until=55.0)
    assert cut is not None and cut.values.tolist() == [[4.0, 3.0, 2.5]]


def test_many_agents_look_different() -> None:
    looks = [FLOOR, CEILING, *CYCLE]
    assert len(CYCLE) >= 24 and len(set(looks)) == len(looks)
