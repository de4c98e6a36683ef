"""Two versions of a run are never mixed: every form of the report shows the newer, and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reports import Page, pool_run

from duelbench.records.record import Run
from duelbench.results.report.comparison.tasks import sections
from duelbench.results.report.comparison.words.findings import notes
from duelbench.results.report.formats import latex, markdown, tidy_csv
from duelbench.results.report.page import summary, write_report
from duelbench.results.report.subject import Subject
from duelbench.results.report.terminal import terminal

OLD, NEW = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"


def version(
    agent: str, seed: int, end: float, created: str, *, code: str = "a", task: str = "t", **options: Any
) -> Run:
    """A run as it is recorded with all that decided its outcome."""
    run = pool_run(agent, seed, end, run_id=f"{agent}-{seed}-{created}-{code}-{task}-{options}")
    resolved = {"agent": options, "learner": {"learning_rate": 0.01}, "env": {"oracle": "reader"}}
    spec = run.spec | {"resolved": resolved, "content": {"agent": code, "task": task}}
    manifest = run.manifest | {"created": created, "spec": spec | {"agent": f"{agent.lower()}.py:{agent}"}}
    return Run(run.run_id, spec, run.rows, run.timing, [], True, manifest)


def edited() -> list[Run]:
    """Three seeds of an agent whose file was then edited, and played again with two; a rival that stayed as it was."""
    old = [version("Mine", seed, 0.9, OLD) for seed in range(3)]
    new = [version("Mine", seed, 0.6, NEW, code="b") for seed in range(2)]
    return [*new, *old, *(version("Rival", seed, 0.7, OLD) for seed in range(3))]


@pytest.mark.parametrize("order", [1, -1])
def test_an_edited_agent_counts_in_its_newer_version_alone(order: int) -> None:
    (section,) = sections(edited()[::order])
    assert {agent: len(runs) for agent, runs in section.agents.items()} == {"Mine": 2, "Rival": 3}
    assert set(section.final("Mine", "offline_win_rate").values()) == {0.6}
    (older,) = section.older
    assert (older.agent, len(older.runs), older.changed) == ("Mine", 3, "the file of agent")


def test_another_task_file_is_another_version_of_all_that_play_it() -> None:
    runs = [version(agent, 0, 0.6, OLD) for agent in ("Mine", "Rival")] + [version("Mine", 0, 0.7, NEW, task="u")]
    (section,) = sections(runs)
    assert {agent: len(found) for agent, found in section.agents.items()} == {"Mine": 1}
    assert [(older.agent, older.changed) for older in section.older] == [
        ("Mine", "the file of task"),
        ("Rival", "the file of task"),
    ]


def test_a_changed_default_is_named_with_both_values() -> None:
    runs = [version("Mine", 0, 0.6, OLD, candidates=4), version("Mine", 0, 0.7, NEW, candidates=8)]
    (section,) = sections(runs)
    assert section.older[0].changed == "agent.candidates 4 → 8"


def test_an_option_that_was_asked_for_is_another_agent_and_no_version() -> None:
    asked = version("Mine", 0, 0.7, NEW, candidates=8)
    asked.spec["agent_options"] = {"candidates": 8}
    (section,) = sections([version("Mine", 0, 0.6, OLD, candidates=4), asked])
    assert not section.older and len(section.agents) == 2


def test_classes_of_one_name_from_two_files_are_two_agents() -> None:
    other = version("Mine", 0, 0.7, NEW, code="b")
    other.manifest["spec"] = other.manifest["spec"] | {"agent": "yours.py:Mine"}
    (section,) = sections([version("Mine", 0, 0.6, OLD), other])
    assert not section.older and list(section.agents) == ["Mine [agent=mine.py:Mine]", "Mine [agent=yours.py:Mine]"]


def test_records_without_contents_are_older_than_any_with() -> None:
    (section,) = sections([pool_run("Mine", 0, 0.9), version("Mine", 0, 0.6, NEW)])
    assert [run.run_id for run in section.runs] == [version("Mine", 0, 0.6, NEW).run_id]
    assert "does not record" in section.older[0].changed


def test_every_form_of_the_report_says_so(tmp_path: Path) -> None:
    said = "There are two versions of Mine; the newer is shown. 3 runs of an older one are left out."
    subject = Subject.of(tmp_path, edited())
    assert said in Page(write_report(tmp_path, edited())).text
    assert said in markdown(subject) and said in latex(subject)
    assert said in " ".join(terminal(subject).split())
    assert "3 runs of older versions left out" in terminal(subject)
    assert ",offline_win_rate,100,0.6," in tidy_csv(subject) and ",100,0.9," not in tidy_csv(subject)
    found = summary(edited())
    assert found["agents"]["Mine"]["offline_win_rate"]["mean"] == pytest.approx(0.6)
    assert [left["agent"] for left in found["older_versions"]] == ["Mine"] and len(found["notes"]) == 1
    assert "older_versions" not in summary(edited()[-3:])


def test_settings_are_shown_as_they_were_resolved(tmp_path: Path) -> None:
    text = Page(write_report(tmp_path, [version("Mine", 0, 0.6, NEW, candidates=8)])).text
    assert "candidates = 8, learner.learning_rate = 0.01" in text
    assert '"oracle": "reader"' in text


def collapsed(**changes: Any) -> Run:
    run = pool_run("Mine", 0, 0.8)
    return Run(run.run_id, run.spec, run.rows[:2], run.timing[:2], [], True, run.manifest | {"ended": "rounds"})


def test_a_run_that_stopped_asking_keeps_its_last_value_and_is_named() -> None:
    (section,) = sections([collapsed(), pool_run("online", 0, 0.7)])
    assert section.end == 100.0
    assert section.final("Mine", "offline_win_rate") == {0: pytest.approx(0.65)}
    assert section.final("online", "offline_win_rate") == {0: pytest.approx(0.7)}
    curves = section.curves("Mine", "offline_win_rate")
    assert curves is not None and curves.labels.tolist() == [0.0, 50.0, 100.0]
    (note,) = notes(section)
    assert note.startswith("1 of 1 runs of Mine stopped asking after 50 of 100 labels")


def test_questions_and_self_duels_are_in_page_markdown_and_json(tmp_path: Path) -> None:
    counts = {"self_duel_share": 0.25, "oracle_calls_duel": 75.0, "oracle_calls_judging": 1200.0}
    run = pool_run("online", 0, 0.6)
    runs = [Run(run.run_id, run.spec, [row | counts for row in run.rows], run.timing, [], True, run.manifest)]
    page = Page(write_report(tmp_path, runs)).text
    table = markdown(Subject.of(tmp_path, runs))
    assert "oracle calls for judging" in page and "25.0 %" in page and "1,200" in page
    assert "| online | 25.0 % | 75 | 1,200 |" in table
    assert summary(runs)["agents"]["online"]["oracle_calls_judging"]["mean"] == 1200.0
