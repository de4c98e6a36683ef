from __future__ import annotations

import base64
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reports import ROLES, Page
from scipy import stats as scipy_stats

from duelbench.records.record import Run, SeedRows
from duelbench.results.report.comparison import sections
from duelbench.results.report.findings import (
    baseline_name,
    compare,
    failures,
    headline,
    headline_metric,
    multiplier_text,
    sentence,
)
from duelbench.results.report.formats import labels_needed, power_laws
from duelbench.results.report.page import summary, write_report
from duelbench.results.report.panels import default_panels
from duelbench.results.report.styles import CEILING, CYCLE, FLOOR
from duelbench.results.statistics.curves import Multiplier

HOSTILE = '<script>alert("x")</script> & $title ${body}'


def make_run(agent: str, seed: int, final: float, env: str = "LLMDuelPool-v0", **changes: Any) -> Run:
    rows = [
        {"labels": 0.0, "offline_win_rate": 0.5, "simple_regret": 1.0},
        {"labels": 50.0, "offline_win_rate": 0.25 + final / 2, "simple_regret": 0.9},
        {"labels": 100.0, "offline_win_rate": final, "simple_regret": 1 - final},
    ]
    sample = {"prompt": "Why is the sky blue?", "before": "Because.", "after": f"{agent} says: scattering."}
    made: dict[str, Any] = {
        "run_id": f"{env}-{agent}-{seed}-{sorted(changes)}",
        "spec": {"env": env, "env_kwargs": {}, "agent": agent, "seed": seed, "labels": 100},
        "rows": rows,
        "timing": [{"labels": 100.0, "wall_seconds": 12.5, "generated_tokens": 6400.0}],
        "samples": [sample],
        "finished": True,
        "manifest": {"command": "duelbench sweep", "versions": {"numpy": "2.4"}, "judge": "lexicon"},
    }
    return Run(**(made | changes))


ONLINE = {0: 0.60, 1: 0.64, 2: 0.62, 3: 0.61, 4: 0.63}
SEA = {0: 0.71, 1: 0.72, 2: 0.74, 3: 0.70, 4: 0.73}
APL = {0: 0.61, 1: 0.63, 2: 0.63, 3: 0.60, 4: 0.63}


def three_agents(seeds: int = 5) -> list[Run]:
    scores = {"online": ONLINE, "sea": SEA, "apl": APL}
    return [make_run(agent, s, scores[agent][s]) for agent in scores for s in range(seeds)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("report"), three_agents())


def test_page_is_one_file_that_parses_and_loads_nothing(report: Path) -> None:
    page = Page(report)
    assert "script" not in page.tags and "link" not in page.tags
    assert page.images and all(src.startswith("data:image/png;base64,") for src in page.images)
    assert base64.b64decode(page.images[0].split(",")[1]) == next(report.parent.glob("*overview.png")).read_bytes()
    assert {link[1:] for link in page.links} <= set(page.ids)  # every link stays on the page and leads somewhere
    assert not re.search(r"\$\{?[a-z]+", page.text)


def test_page_holds_the_numbers_computed_independently(report: Path) -> None:
    text = Page(report).text
    for scores in (ONLINE, SEA, APL):
        values = np.array(list(scores.values()))
        low, high = scipy_stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=scipy_stats.sem(values))
        assert f"{values.mean():.3f} [{low:.3f}, {high:.3f}]" in text
    difference = np.array(list(SEA.values())) - np.array(list(ONLINE.values()))
    low, high = scipy_stats.t.interval(0.95, 4, loc=difference.mean(), scale=scipy_stats.sem(difference))
    assert f"sea beats online: +{difference.mean():.3f} offline win rate [+{low:.3f}, +{high:.3f}]" in text
    # The mean curves are straight lines from 0.5 at 0 labels to the mean at 100.
    sea, online = (10 / (np.mean(list(s.values())) - 0.5) for s in (SEA, ONLINE))
    assert f"{sea:.0f}" in text and f"{online:.0f}" in text and f"{online / sea:.2f}× [" in text
    assert "not in 100" in text  # nobody reaches 0.8
    assert "12.5 s" in text and "6,400" in text and "duelbench sweep" in text and "numpy 2.4" in text
    assert "sea says: scattering." in text and "Because." in text


def test_page_lists_every_run(report: Path) -> None:
    text = Page(report).text
    assert all(run.run_id in text for run in three_agents())


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


def test_unfinished_runs_are_shown_and_never_averaged(tmp_path: Path) -> None:
    whole = three_agents(2)
    failed = make_run("sea", 7, 0.99, finished=False, error="Traceback\nRuntimeError: oracle <down>")
    early = make_run("apl", 8, 0.01, finished=False)
    assert summary([*whole, failed, early]) == summary(whole)
    page = Page(write_report(tmp_path, [*whole, failed, early]))
    assert "2 unfinished runs left out of every number and picture." in page.text
    assert "RuntimeError: oracle <down>" in page.text and "stopped early" in page.text
    assert failed.run_id in page.text and early.run_id in page.text


def test_only_unfinished_runs_make_a_page_too(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path, [make_run("sea", 0, 0.7, finished=False, rows=[])]))
    assert "No run is finished yet" in page.text
    assert Page(write_report(tmp_path, [])).text


def test_hostile_text_is_escaped(tmp_path: Path) -> None:
    sample = {"prompt": HOSTILE, "before": HOSTILE, "after": HOSTILE}
    spec = {"env": f"Env{HOSTILE}-v0", "agent": HOSTILE, "seed": 0}
    manifest = dict.fromkeys(("command", "judge", "reference", "comparator", "git"), HOSTILE)
    hostile = make_run("x", 0, 0.7, run_id=HOSTILE, samples=[sample], spec=spec, manifest=manifest)
    broken = make_run("x", 1, 0.7, run_id=HOSTILE + "1", spec=spec, finished=False, error=HOSTILE)
    path = write_report(tmp_path, [hostile, broken], title=HOSTILE)
    page = Page(path)
    assert "script" not in page.tags and HOSTILE in page.text
    assert path.parent == tmp_path and all(p.parent == tmp_path for p in tmp_path.rglob("*"))


def test_single_seed_has_no_interval_and_json_stays_valid(tmp_path: Path) -> None:
    runs = three_agents(1)
    found = summary(runs)
    assert found["agents"]["sea"]["offline_win_rate"] == {"mean": SEA[0], "se": None, "n": 1}
    json.dumps(found, allow_nan=False)
    text = Page(write_report(tmp_path, runs)).text
    assert "sea against online: +0.110 offline win rate in one seed: no interval." in text
    assert "beats" not in text and "nan" not in text.lower() and "inf" not in text.lower()


def test_missing_metrics_and_uneven_grids(tmp_path: Path) -> None:
    rows = [
        {"labels": 0.0, "loss": float("nan")},
        {"labels": 60.0, "loss": 0.5},
        {"labels": 103.0, "loss": 0.4},
    ]
    runs = [*three_agents(2), make_run("mine", 0, 0.0, rows=rows)]
    found = summary(runs)["agents"]
    assert set(found["mine"]) == {"loss", "labels"} and "loss" not in found["sea"]
    assert found["mine"]["labels"] == {"mean": 103.0, "se": None, "n": 1}  # consumed, wherever scores are read
    assert found["sea"]["labels"] == {"mean": 100.0, "se": 0.0, "n": 2}
    assert found["mine"]["loss"]["mean"] == pytest.approx(0.5 - 0.1 * 40 / 43)  # read at 100 labels, as all others
    assert "mine" in Page(write_report(tmp_path, runs)).text


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


def test_a_multiplier_in_words() -> None:
    known = Multiplier(0.7, 300.0, 100.0, 3.0, 2.5, 3.75)
    assert multiplier_text(known) == "3.00× [2.50, 3.75]"
    assert multiplier_text(dataclasses.replace(known, low=0.0, high=np.inf)) == "3.00× (no interval)"
    assert multiplier_text(dataclasses.replace(known, high=np.inf)) == "at least 2.50×"
    ahead = dataclasses.replace(known, base_labels=np.inf, value=np.inf, high=np.inf)
    assert multiplier_text(ahead) == "at least 2.50×"
    assert multiplier_text(dataclasses.replace(ahead, low=0.0)) == ""
    behind = dataclasses.replace(known, agent_labels=np.inf, value=0.0, low=0.0, high=0.4)
    assert multiplier_text(behind) == "at most 0.40×"
    assert multiplier_text(dataclasses.replace(behind, high=np.inf)) == ""
    assert multiplier_text(dataclasses.replace(behind, base_labels=np.inf, value=np.nan)) == ""


def test_multipliers_over_several_and_logarithmic_labels(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path, three_agents(), also_against=["apl", "absentee"], log_labels=True)).text
    assert "how many online needs for one" in page and "how many apl needs for one" in page
    assert "absentee" not in page
    (section,) = sections(three_agents())
    assert all(panel.log_labels for panel in default_panels(section, True))
    assert not any(panel.log_labels for panel in default_panels(section))


def test_a_power_law_is_told_with_its_interval() -> None:
    labels, law = np.array([16.0, 64.0, 256.0, 1024.0]), "offline_win_rate"
    runs = []
    for seed, b in enumerate((0.28, 0.30, 0.31, 0.32, 0.29)):
        rows = [{"labels": 0.0, law: 0.5}]
        rows += [{"labels": n, law: 1.0 - 0.5 * (n / 8.0) ** -b} for n in labels.tolist()]
        runs.append(make_run("sea", seed, 0.5, rows=rows))
    grid = power_laws(sections(runs)[0])
    assert grid is not None and grid.rows == (("sea", "0.300 [0.280, 0.320]", "8 [8, 8]"),)
    assert power_laws(sections(three_agents())[0]) is None  # two points make no law


def test_only_win_rates_that_somebody_reached_are_columns() -> None:
    (section,) = sections(three_agents())
    grid = labels_needed(section, "online", [0.55, 0.6, 0.95])
    assert grid is not None and grid.header == ("agent", "0.55", "0.6") and "left out" in grid.note
    assert labels_needed(section, "online", [0.95]) is None


def test_what_says_nothing_is_not_drawn(tmp_path: Path) -> None:
    """A count that is 0 from start to end, and an accuracy over the handful of pairs of one round."""
    runs = [
        dataclasses.replace(
            run, rows=[row | {"invalid_answers": 0.0, "posterior_accuracy": 0.2, "loss": 0.5} for row in run.rows]
        )
        for run in three_agents(2)
    ]
    write_report(tmp_path, runs)
    drawn = (tmp_path / "LLMDuelPool-v0-further.csv").read_text(encoding="utf-8")
    assert "loss" in drawn and "invalid_answers" not in drawn and "posterior_accuracy" not in drawn


def test_on_a_phone_every_cell_knows_its_column(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    assert 'data-label="Holm, of 2"' in text and 'data-label="final difference"' in text
    assert '<source media="(max-width: 640px)"' in text


def test_a_verdict_counts_how_many_were_compared(tmp_path: Path) -> None:
    """One agent is ahead by a little: alone that is separated, among six that are no different it is not."""
    gains = [0.001, 0.002, 0.003, 0.006, 0.0075]  # p = 0.034
    runs = [make_run("online", seed, 0.5) for seed in range(5)]
    runs += [make_run("sea", seed, 0.5 + gain) for seed, gain in enumerate(gains)]
    (alone,) = compare(sections(runs)[0], "online")
    assert alone.verdict == alone.verdict_of_many == "ahead" and alone.adjusted == alone.p < 0.05
    noise = [0.01, -0.01, 0.02, -0.02, 0.0]
    runs += [make_run(f"rival{i}", seed, 0.5 + gain) for i in range(5) for seed, gain in enumerate(noise)]
    found = {c.agent: c for c in compare(sections(runs)[0], "online")}
    assert found["sea"].verdict == "ahead" and found["sea"].verdict_of_many == "open"
    assert found["sea"].adjusted == pytest.approx(6 * found["sea"].p)
    page = Page(write_report(tmp_path, runs)).text
    assert "Holm, of 6" in page and "not separated once all comparisons are counted (Holm)" in page


UNIFORM_PAIRS = 0.5
LABELS = np.array([0.0, 1.0, 10.0, 100.0, 200.0])


def arms_runs(finals: dict[str, list[float]], regret: str = "cumulative_average_regret", **env: Any) -> list[Run]:
    """Lock-step runs: an agent's seeds end at the regrets given, and grow to them linearly."""
    guides = [
        {"metric": regret, "name": "uniform pairs", "shape": "linear", "coefficient": UNIFORM_PAIRS, "says": "chance"},
        {"metric": regret, "name": "c ln T", "shape": "log", "coefficient": 7.0, "says": "slope <only>"},
    ]
    spec = {"env": "MatrixDuel-v0", "env_kwargs": {"matrix": "bt10"} | env, "labels": 200}
    manifest = {"guides": guides, "comparator": "the best arm", "reference": "nobody", "judge": "known preferences"}
    manifest["arms"] = True
    return [
        make_run(
            agent,
            seed,
            0.0,
            run_id=f"{agent}0123/{seed}",
            samples=[],
            spec=spec | {"agent": agent, "seed": seed, "lockstep": len(values)},
            rows=SeedRows(LABELS, {regret: LABELS / 200 * final, "simple_regret": np.full(5, 0.25)}),
            timing=[{"labels": 200.0, "wall_seconds": 0.05}],
            manifest=manifest
            | {"agent_config": {"alpha": 0.51} if agent == "rucb" else {}, "role": ROLES.get(agent, "rival")},
        )
        for agent, values in finals.items()
        for seed, final in enumerate(values)
    ]


FINALS = {
    "oracle": [0.0] * 10,
    "rucb": [20.0, 22.0, 24.0, 26.0, 28.0, 30.0, 32.0, 34.0, 36.0, 90.0],
    "uniform": [100.0 + 0.1 * seed for seed in range(10)],
    "greedy": [10.0, 12.0, 14.0, 16.0, 18.0, 97.0, 98.0, 99.0, 100.0, 89.9],
}


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
    assert failures(section) == {"uniform": 1.0, "greedy": 0.4, "rucb": 0.1, "oracle": 0.0}
    (unguided,) = sections([dataclasses.replace(r, manifest=r.manifest | {"guides": []}) for r in arms_runs(FINALS)])
    assert failures(unguided) == {}


def test_page_on_arms(tmp_path: Path) -> None:
    path = write_report(tmp_path, arms_runs(FINALS))
    text = Page(path).text
    values = np.array(FINALS["rucb"])
    low, high = np.quantile(values, [0.1, 0.9])
    assert f"{np.median(values):.1f} {low:.1f} {high:.1f} {values.std(ddof=1):.1f} 10.0 %" in text
    assert "rucb0123 (10 seeds)" in text and "rucb0123/" not in text
    assert "50 ms 4,000" in text and "tokens" not in text
    assert "Duels decided by known preferences" in text and "nobody" not in text and "win rate" not in text.lower()
    assert "alpha = 0.51" in text and "c ln T: slope <only>" in text
    assert {p.name for p in tmp_path.glob("*.png")} == {
        "MatrixDuel-v0-overview.png",
        "MatrixDuel-v0-overview-narrow.png",
    }
    assert "nan" not in text.lower()


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
