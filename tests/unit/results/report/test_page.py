from __future__ import annotations

import base64
import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from finished_runs import APL, FINALS, ONLINE, SEA, arms_runs, make_run, three_agents
from reports import Page
from scipy import stats as scipy_stats

from duelbench.results.report.comparison.tasks import sections
from duelbench.results.report.page import summary, write_report
from duelbench.results.report.pictures.panels import default_panels

HOSTILE = '<script>alert("x")</script> & $title ${body}'


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


def test_multipliers_over_several_and_logarithmic_labels(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path, three_agents(), also_against=["apl", "absentee"], log_labels=True)).text
    assert "how many online needs for one" in page and "how many apl needs for one" in page
    assert "absentee" not in page
    (section,) = sections(three_agents())
    assert all(panel.log_labels for panel in default_panels(section, True))
    assert not any(panel.log_labels for panel in default_panels(section))


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
    assert 'data-label="verdict"' in text and 'data-label="final difference"' in text
    assert '<source media="(max-width: 640px)"' in text


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


def test_an_agents_name_leads_to_what_it_is(tmp_path: Path) -> None:
    runs = [dataclasses.replace(run, manifest=run.manifest | {"about": "Asks at random."}) for run in three_agents(2)]
    page = Page(write_report(tmp_path, runs))
    (target,) = {link for link in page.links if link.startswith("#about-") and link.endswith("-0")}
    assert target[1:] in page.ids and "Asks at random." in page.text


def test_below_five_seeds_the_missing_interval_is_said_once_and_not_in_every_cell(tmp_path: Path) -> None:
    for seeds in (1, 3):
        text = Page(write_report(tmp_path, three_agents(seeds))).text
        assert "(no interval)" not in text and "<small>no interval" not in text
