"""Reports and pictures of tasks with arms: guides, many seeds in lock-step, other headlines and baselines."""

from __future__ import annotations

import csv
import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from reports import ROLES

from duelbench.duels.guides import matrix_guides
from duelbench.records.record import Run, SeedRows
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.comparison.tasks import sections
from duelbench.results.report.comparison.words.findings import baseline_name, compare, headline, headline_metric
from duelbench.results.report.page import summary, write_report
from duelbench.results.report.parts import tables
from duelbench.results.report.pictures import plots
from duelbench.results.report.pictures.panels import Panel, draw_panel, drawn_curves
from duelbench.results.report.pictures.styles import styles

LABELS = np.array([0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0])
END = float(LABELS[-1])
REGRET, COPELAND = "cumulative_average_regret", "cumulative_copeland_regret"
LINE = np.array([[0.5, 0.7, 0.8], [0.3, 0.5, 0.6], [0.2, 0.4, 0.5]])
CYCLE = np.array([[0.5, 0.9, 0.1, 0.8], [0.1, 0.5, 0.9, 0.8], [0.9, 0.1, 0.5, 0.8], [0.2, 0.2, 0.2, 0.5]])
UNIFORM = float((LINE[0] - 0.5).mean())  # lost by random pairs, a duel
FINALS = {"uniform": UNIFORM * END, "greedy": 60.0, "rucb": 30.0, "double_ts": 10.0, "oracle": 0.0}


def columns(final: float, seed: int, winner: bool = True) -> dict[str, np.ndarray]:
    regret = final * (1 + 0.01 * (seed % 10)) * np.log1p(LABELS) / np.log1p(END)
    found = {f"cumulative_{kind}_regret": regret * (0.5 + i) for i, kind in enumerate(("copeland", "borda"))}
    if winner:
        found |= {REGRET: regret, "cumulative_weak_regret": 0.1 * regret}
    return found | {"simple_regret": np.exp(-LABELS / 50), "best_arm_rate": (seed < LABELS).astype(float)}


def folder(agent: str, final: float, seeds: range, matrix: np.ndarray = LINE, **spec: Any) -> list[Run]:
    """One lock-step run as it is loaded: a run for each seed."""
    guides = [dataclasses.asdict(guide) for guide in matrix_guides(matrix)]
    settings = {"env": "MatrixDuel-v0", "env_kwargs": {"matrix": "x"}, "agent": agent, "labels": int(END)}
    settings |= {"lockstep": len(seeds)} | spec
    return [
        Run(
            run_id=f"{agent}id{seeds.start}x{len(seeds)}/{seed}",
            spec=settings | {"seed": seed},
            rows=SeedRows(LABELS, columns(final, seed, winner=matrix is LINE)),
            timing=[{"labels": END, "wall_seconds": 0.02}],
            samples=[],
            finished=True,
            manifest={
                "guides": guides,
                "comparator": "the best arm",
                "arms": True,
                "role": ROLES.get(agent, "rival"),
            },
        )
        for seed in seeds
    ]


def everyone(seeds: int = 200, matrix: np.ndarray = LINE) -> list[Run]:
    return [run for agent, final in FINALS.items() for run in folder(agent, final, range(seeds), matrix)]


def section(runs: list[Run]) -> Section:
    (found,) = sections(runs)
    return found


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def text_of(path: Path) -> str:
    page = re.sub(r"<(style|figure).*?</\1>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_headline_is_regret_while_playing() -> None:
    assert headline_metric(section(everyone(2))) == REGRET
    assert headline_metric(section(everyone(2, CYCLE))) == COPELAND  # there is no best arm to measure against
    rows = [{"labels": 0.0, "simple_regret": 1.0, REGRET: 0.0, "offline_win_rate": 0.5}]
    text = [dataclasses.replace(run, rows=rows, manifest=run.manifest | {"arms": False}) for run in everyone(2)]
    assert headline_metric(section(text)) == "offline_win_rate"
    assert headline_metric(section([dataclasses.replace(run, manifest={"arms": True}) for run in text])) == REGRET


def test_a_baseline_that_nobody_can_replace_is_said_to_be_missing() -> None:
    without = section([run for run in everyone(3) if run.spec["agent"] != "uniform"])
    assert baseline_name(without, "online") == "online"
    assert headline(without, "online", compare(without, "online")) == "No finished run of online to compare with."


def test_lock_step_is_no_setting_of_an_agent() -> None:
    runs = folder("rucb", 30.0, range(20)) + folder("rucb", 30.0, range(20, 60)) + folder("uniform", 90.0, range(60))
    found = section(runs)
    assert {agent: len(runs) for agent, runs in found.agents.items()} == {"uniform": 60, "rucb": 60}
    assert compare(found, "uniform")[0].n == 60


def test_a_seed_counts_once_with_the_largest_lock_step() -> None:
    for order in (1, -1):
        parts = [folder("rucb", 30.0, range(10)), folder("rucb", 40.0, range(5, 25))][::order]
        runs = [run for part in parts for run in part] + folder("uniform", 90.0, range(25))
        found = section(runs)
        finals = found.final("rucb", REGRET)
        assert sorted(finals) == list(range(25))
        assert finals[4] == pytest.approx(30 * 1.04) and finals[5] == pytest.approx(40 * 1.05)
        assert compare(found, "uniform")[0].n == 25
        assert summary(runs)["agents"]["rucb"][REGRET]["n"] == 25


def test_a_spread_needs_seeds_and_a_failure_rate_needs_a_guide() -> None:
    assert tables.spread(section(everyone(4))) is None
    guided = section(everyone(10))
    shown = tables.spread(guided)
    assert shown is not None and shown.header[-1] == "failed" and "100.0 %" in [row[-1] for row in shown.rows]
    unguided = section([dataclasses.replace(run, manifest=run.manifest | {"guides": []}) for run in everyone(10)])
    shown = tables.spread(unguided)
    assert shown is not None and "failed" not in shown.header


def test_guides_are_in_the_data(tmp_path: Path) -> None:
    plots.overview(section(everyone(6)), tmp_path / "overview.png")
    rows = [row for row in read(tmp_path / "overview.csv") if row["series"] == "guide"]
    guides = {guide.name: guide for guide in matrix_guides(LINE) if guide.metric == REGRET}
    assert {row["agent"] for row in rows if row["metric"] == REGRET} == set(guides)
    assert {row["metric"] for row in rows} == {REGRET}  # weak and simple regret have no guide
    for name, guide in guides.items():
        points = [(float(row["labels"]), float(row["value"])) for row in rows if row["agent"] == name]
        assert [x for x, _ in points] == LABELS[1:].tolist()  # not at 0 labels
        np.testing.assert_allclose([y for _, y in points], guide.value(LABELS[1:]))
    agents = [row for row in read(tmp_path / "overview.csv") if row["series"] != "guide"]
    assert {row["agent"] for row in agents} == set(FINALS)


def test_a_closer_view_leaves_out_who_has_learned_little() -> None:
    found = section(everyone(6))
    drawn = drawn_curves(found, REGRET)
    whole, closer = Figure().subplots(1, 2)
    draw_panel(whole, found, Panel(REGRET), drawn)
    draw_panel(closer, found, Panel(REGRET, closer=True), drawn)
    assert whole.get_ylim()[1] > UNIFORM * END
    assert 60.0 < closer.get_ylim()[1] < UNIFORM * END  # holds everyone but uniform pairs
    slow = section(everyone(6) + folder("slow", 0.7 * UNIFORM * END, range(6)))
    weak, others = Figure().subplots(1, 2)  # no guide: half of what the uniform agent loses
    draw_panel(weak, slow, Panel("cumulative_weak_regret", closer=True), drawn_curves(slow, "cumulative_weak_regret"))
    assert 6.0 < weak.get_ylim()[1] < 0.1 * UNIFORM * END
    only = section([run for run in everyone(6) if run.spec["agent"] in ("rucb", "double_ts")])
    draw_panel(others, only, Panel(REGRET, closer=True), drawn_curves(only, REGRET))
    assert not any("zoomed" in text.get_text() for text in others.texts)  # nobody is left out


def test_logarithmic_labels_need_no_whole_decade() -> None:
    runs = [
        dataclasses.replace(run, rows=SeedRows(np.array([0.0, 20.0, 90.0]), {REGRET: np.array([0.0, 1.0, 2.0])}))
        for run in everyone(6)
    ]
    found, place = section(runs), Figure().subplots()
    draw_panel(place, found, Panel(REGRET, log_labels=True), drawn_curves(found, REGRET))
    assert place.get_xlim() == (20.0, 90.0) and list(place.get_xticks()) == [20.0, 50.0]


def test_twenty_five_agents_look_different_and_reference_lines_are_grey() -> None:
    found = styles(["chance", "truth", *(f"agent {i}" for i in range(23))], ["chance"], ["truth"])
    assert len(set(map(str, found.values()))) == 25
    for agent in ("chance", "truth"):
        assert 0.0 < np.ptp(to_rgb(found[agent][0])) < 0.12 and min(to_rgb(found[agent][0])) > 0.4


def test_an_unfinished_lock_step_names_its_seeds(tmp_path: Path) -> None:
    (run,) = folder("rmed1", 20.0, range(1), lockstep=200)
    stopped = dataclasses.replace(run, run_id="rmed1id", rows=[], timing=[], finished=False, error="Error: full disk")
    text = text_of(write_report(tmp_path, [*everyone(5), stopped]))
    assert "rmed1 failed 0–199 0 of 1,000 rmed1id Error: full disk" in text
    assert "traceback of rmed1, seeds 0–199" in text
