"""Several tasks together: scores, standings, and what a page says of a sweep that is not complete."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from reports import Page, pool_run, suite_run
from scipy import stats as scipy_stats

from duelbench.records.plan import Plan, Planned
from duelbench.records.record import Run
from duelbench.records.spec import RunSpec
from duelbench.results.report.comparison.standings import Overview, task_scores
from duelbench.results.report.comparison.tasks import sections
from duelbench.results.report.page import write_report
from duelbench.results.report.parts import origins, overview
from duelbench.results.report.subject import THRESHOLDS, Subject

SEEDS = range(10)


def many_tasks() -> list[Run]:
    """``good`` halves the regret of uniform pairs or wins 8 in 10; ``bad`` is no better than them."""
    runs = []
    for place, task in enumerate(("basic", "noise", "delay")):
        for seed in SEEDS:
            lost = 100.0 + seed + 50 * place  # every seed is another instance
            runs += [
                suite_run("uniform", seed, lost, task),
                suite_run("good", seed, 0.5 * lost, task),
                suite_run("bad", seed, 1.1 * lost, task),
                suite_run("oracle", seed, 0.0, task),
            ]
    wins = {"uniform": 0.5, "good": 0.8, "bad": 0.45, "oracle": 1.0}
    return runs + [pool_run(agent, seed, w + 0.001 * seed) for agent, w in wins.items() for seed in SEEDS]


def test_scores_are_relative_to_uniform_pairs_on_the_same_seed() -> None:
    found = {s.name: task_scores(s) for s in sections(many_tasks())}
    assert set(found) == {"basic", "noise", "delay", "LLMDuelPool-v0"}
    for name in ("basic", "noise", "delay"):
        values = found[name].values
        assert set(values["good"].values()) == {0.5} and set(values["uniform"].values()) == {0.0}
        assert set(values["bad"].values()) == {0.0} and set(values["oracle"].values()) == {1.0}
    assert found["LLMDuelPool-v0"].values["good"][3] == pytest.approx((0.803 - 0.5) / 0.5)
    assert found["LLMDuelPool-v0"].values["bad"][0] == 0.0


def test_a_task_without_uniform_pairs_uses_their_recorded_guide_or_has_no_score() -> None:
    guide = {
        "metric": "cumulative_average_regret",
        "name": "uniform pairs",
        "shape": "linear",
        "coefficient": 2.0,
        "says": "chance",
    }
    runs = [suite_run("good", seed, 50.0, manifest={"guides": [guide]}) for seed in SEEDS]
    (section,) = sections(runs)
    assert set(task_scores(section).values["good"].values()) == {0.75}  # uniform pairs lose 2 · 100
    (unguided,) = sections([suite_run("good", seed, 50.0) for seed in SEEDS])
    assert task_scores(unguided).reason == "uniform pairs did not play it" and not task_scores(unguided).values


def test_standings_are_the_statistics_of_the_scores() -> None:
    found = Overview.of(sections(many_tasks()), "online")
    assert found.baseline == "uniform"  # nobody is called online
    assert [s.agent for s in found.standings] == ["good", "uniform", "bad", "oracle"]  # who knows the truth is last
    good = found.standings[0]
    scores = np.array([0.5] * 30 + [(0.8 + 0.001 * seed - 0.5) / 0.5 for seed in SEEDS])
    assert good.aggregate is not None and good.n == 40 and good.failed == 0.0
    assert good.aggregate.center.value == pytest.approx(scipy_stats.trim_mean(scores, 0.25))
    assert good.aggregate.mean.value == pytest.approx(np.mean([0.5, 0.5, 0.5, scores[30:].mean()]))
    assert good.improvement is not None and good.improvement.value == 1.0
    assert found.standings[2].failed == 1.0 and found.standings[1].improvement is None


def test_who_did_not_play_every_task_has_no_aggregate() -> None:
    runs = [*many_tasks(), *(suite_run("late", seed, 1.0) for seed in SEEDS)]
    found = Overview.of(sections(runs), "uniform")
    late = next(s for s in found.standings if s.agent == "late")
    assert found.standings[-1] == late and late.aggregate is None and late.improvement is None
    assert "1 of 4 tasks played" in overview.standings_table(found).__html__()


def test_few_seeds_have_numbers_without_intervals() -> None:
    found = Overview.of(sections([run for run in many_tasks() if run.spec["seed"] < 4]), "uniform")
    for s in found.standings:
        assert s.aggregate is not None and s.aggregate.mean.known and not s.aggregate.center.known
        assert s.improvement is None or not s.improvement.known


def test_pictures_of_all_tasks_and_their_data(tmp_path: Path) -> None:
    found = Overview.of(sections(many_tasks()), "uniform")
    assert overview.draw_overview(found, tmp_path / "overview.png") is not None
    with (tmp_path / "overview.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["agent"] == "good"]
    share = {round(float(row["score"]), 3): float(row["share_above"]) for row in rows}
    assert share[0.0] == 1.0 and share[0.5] == pytest.approx(0.25) and share[0.7] == 0.0
    assert overview.draw_radar(found, tmp_path / "radar.png") is not None


def test_two_spokes_make_no_radar(tmp_path: Path) -> None:
    runs = [run for run in many_tasks() if not run.run_id.startswith("delay")]
    assert overview.draw_radar(Overview.of(sections(runs), "uniform"), tmp_path / "radar.png") is None
    assert list(tmp_path.iterdir()) == []


def test_the_page_of_several_tasks_leads_from_every_number_to_its_runs(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path, many_tasks()))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "3 tasks with arms together" in page.text and "160 finished runs" in page.text  # the pool is of another kind
    assert {"#basic", "#noise", "#delay", "#provenance"} <= page.links
    assert (tmp_path / "radar.png").exists() and "script" not in page.tags
    assert "What is finished" not in page.text


# Sweeps


def specs(env_kwargs: dict[str, str], agents: tuple[str, ...] = ("online", "sea")) -> list[RunSpec]:
    return [RunSpec("LLMDuelPool-v0", agent, seed, 100, env_kwargs=env_kwargs) for agent in agents for seed in range(6)]


def played(spec: RunSpec, win_rate: float, **changes: object) -> Run:
    run = pool_run(spec.agent, spec.seed, win_rate, spec.env_kwargs["task"])
    return dataclasses.replace(run, run_id=spec.run_id, spec=spec.to_json(), **changes)  # type: ignore[arg-type]


@pytest.fixture
def sweep(tmp_path: Path) -> list[RunSpec]:
    planned = specs({"task": "A"}) + specs({"task": "B"})
    Plan("x", "Who wins <here>?", tuple(map(Planned, planned)), baseline="sea", thresholds=(0.51, 0.52)).write(tmp_path)
    return planned


def test_a_sweeps_page_says_what_its_plan_says(sweep: list[RunSpec], tmp_path: Path) -> None:
    runs = [played(spec, 0.6 + 0.01 * spec.seed) for spec in sweep]
    subject = Subject.of(tmp_path, runs)
    assert (subject.title, subject.baseline, subject.thresholds) == ("Who wins <here>?", "sea", (0.51, 0.52))
    assert origins.progress(subject) == "24 of 24 planned runs finished"
    page = Page(write_report(tmp_path, runs))
    assert "Who wins <here>?" in page.text and "Against sea" in page.text and "0.52" in page.text
    asked = Subject.of(tmp_path, runs, title="Mine", baseline="online", thresholds=[0.9])
    assert (asked.title, asked.baseline, asked.thresholds) == ("Mine", "online", (0.9,))
    nowhere = Subject.of(tmp_path / "nowhere", runs)
    assert (nowhere.title, nowhere.baseline, nowhere.thresholds) == ("duelbench report", "online", THRESHOLDS)


def test_an_incomplete_sweep_is_visibly_incomplete(sweep: list[RunSpec], tmp_path: Path) -> None:
    trace = "Traceback\nOracleDown: no <answer>"
    runs = [played(spec, 0.6) for spec in sweep[:8]]
    runs += [played(spec, 0.9, finished=False, error=trace, rows=[]) for spec in sweep[8:10]]
    runs += [
        played(sweep[10], 0.9, finished=False),
        played(RunSpec("LLMDuelPool-v0", "apl", 0, 100, env_kwargs={"task": "A"}), 0.5),
    ]
    subject = Subject.of(tmp_path, runs)
    assert origins.progress(subject) == (
        "8 of 24 planned runs finished, 2 failed, 1 unfinished, 13 missing (shown as such, in no average); "
        "besides them 1 run not of the plan"
    )
    assert origins.progress(Subject.of(tmp_path, runs[-1:], planned=[])) == "1 finished run"
    page = Page(write_report(tmp_path, runs))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert "What is finished" in page.text and "2 of 6" in page.text and "0 of 6" in page.text
    assert "sea failed 2–3 0 of 100" in page.text and "sea unfinished 4" in page.text
    assert "sea missing 5 0 of 100 – not begun" in page.text
    assert "online missing 0–5 0 of 100 – not begun" in page.text
    assert page.text.count("OracleDown: no <answer>") == 2  # once in the table, once as a traceback
    assert "traceback of sea, seeds 2–3" in page.text
    assert "2 unfinished" not in page.text.split("What is finished")[0]


def test_missing_runs_are_in_no_number(sweep: list[RunSpec], tmp_path: Path) -> None:
    runs = [played(spec, 0.6 + 0.01 * spec.seed) for spec in sweep if spec.seed < 5]
    whole, without = Subject.of(tmp_path, runs), Subject.of(tmp_path / "nowhere", runs, baseline="sea")
    for one, other in zip(whole.sections, without.sections, strict=True):
        assert one.agents == other.agents and one.end == other.end and one.metrics == other.metrics
        assert len(one.unfinished) == 2 and not other.unfinished
    assert whole.overviews[0].standings == without.overviews[0].standings


def test_many_ids_are_folded_away_and_all_there(tmp_path: Path) -> None:
    runs = [pool_run("sea", seed, 0.6) for seed in range(30)]
    page = Page(write_report(tmp_path, runs))
    assert all(run.run_id in page.text for run in runs)
    assert "30 runs" in page.text and "details" in page.tags
