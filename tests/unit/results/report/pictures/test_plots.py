from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from drawn_sections import arms, make_run, section
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from duelbench.records.files import write_atomic
from duelbench.results.report.comparison.section import Section
from duelbench.results.report.comparison.tasks import sections
from duelbench.results.report.comparison.words.findings import multiplier_curves
from duelbench.results.report.pictures import plots
from duelbench.results.report.pictures.drawing import save_csv
from duelbench.results.report.pictures.panels import (
    Panel,
    default_panels,
    draw_panel,
    drawn_curves,
    further_panels,
    guide_styles,
)


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_overview_writes_a_picture_and_exactly_what_it_shows(tmp_path: Path) -> None:
    few = section(3)
    path = plots.overview(few, tmp_path / "overview.png")
    assert path is not None
    with Image.open(path) as image:
        assert image.width == pytest.approx(10.2 * 160, abs=2)
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 50  # not a blank page
    rows = read(tmp_path / "overview.csv")
    assert {r["metric"] for r in rows} == {"offline_win_rate", "online_win_rate", "simple_regret"}

    curves = few.curves("sea", "offline_win_rate")
    assert curves is not None
    sea = [r for r in rows if (r["agent"], r["metric"]) == ("sea", "offline_win_rate")]
    assert {r["series"] for r in sea} == {"mean", "seed 0", "seed 1", "seed 2"}  # too few seeds for a band
    for name, expected in [("mean", curves.values.mean(axis=0)), ("seed 1", curves.values[1])]:
        np.testing.assert_allclose([float(r["value"]) for r in sea if r["series"] == name], expected)
    np.testing.assert_allclose([float(r["labels"]) for r in sea if r["series"] == "mean"], curves.labels)


def test_five_seeds_are_drawn_as_a_band_around_the_mean(tmp_path: Path) -> None:
    plots.overview(section(5), tmp_path / "one.png", [Panel("offline_win_rate")])
    rows = read(tmp_path / "one.csv")
    assert {r["series"] for r in rows} == {"mean", "low", "high"}
    low, mean, high = (
        np.array([float(r["value"]) for r in rows if r["series"] == name]) for name in ("low", "mean", "high")
    )
    assert (low <= mean).all() and (mean <= high).all()


def test_pictures_are_the_same_every_time_and_leave_no_trace(tmp_path: Path) -> None:
    before = dict(rcParams)
    for name in ("a.png", "b.png"):
        plots.overview(section(5), tmp_path / name, [Panel("offline_win_rate")])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert dict(rcParams) == before
    assert {p.name for p in tmp_path.iterdir()} == {"a.png", "a.csv", "b.png", "b.csv"}


def test_multiplier_data_says_what_the_statistics_say(tmp_path: Path) -> None:
    five = section(5)
    found = multiplier_curves(five, "online", [0.55, 0.65, 0.9])
    assert plots.multiplier(five, "online", found, tmp_path / "multiplier.png") is not None
    rows = read(tmp_path / "multiplier.csv")
    assert [(r["agent"], r["threshold"]) for r in rows] == [("sea", t) for t in ("0.55", "0.65", "0.9")]
    at = next(r for r in rows if float(r["threshold"]) == pytest.approx(0.65))
    ratio = float(at["base_labels"]) / float(at["agent_labels"])
    assert float(at["multiplier"]) == pytest.approx(ratio) and 2 < ratio < 4
    assert float(at["low"]) <= ratio <= float(at["high"])


def test_nothing_to_draw_writes_nothing(tmp_path: Path) -> None:
    empty = section(1, ("online",))
    assert plots.overview(empty, tmp_path / "overview.png", [Panel("loss")]) is None
    few = section(3)
    for one in (empty, few):  # nobody to compare with; too few seeds for an interval
        found = multiplier_curves(one, "online", [0.55, 0.6])
        assert plots.multiplier(one, "online", found, tmp_path / "multiplier.png") is None
    assert list(tmp_path.iterdir()) == []


def test_free_text_regret_is_called_pseudo_regret() -> None:
    for env in ("LLMDuel-v0", "mypackage:MyDuel-v0"):  # what decides is that a language model writes
        (found,) = sections([make_run("online", 0, env=env, policy={"model": "tiny"})])
        assert found.metric("simple_regret").title == "simple pseudo-regret"
    assert section(1).metric("simple_regret").title == "simple regret"
    assert not section(1).metric("third_party_regret").higher_is_better


def test_an_agent_looks_the_same_in_all_tasks_and_like_no_other() -> None:
    both = [make_run(agent, 0) for agent in ("mine", "sea", "yours")]
    one = [make_run(agent, 0, env="Other-v0") for agent in ("sea", "yours")]
    first, second = sections([*both, *one])
    assert first.looks == second.looks and len(set(first.looks.values())) == 3


def test_an_agent_name_is_text_not_a_formula(tmp_path: Path) -> None:
    assert plots.overview(section(1, ("online", r"$\frac$ & co")), tmp_path / "overview.png") is not None


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.csv"
    save_csv(path, ["a"], [[1]])

    def fail(self: Path, target: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, b"half")
    assert path.read_text() == "a\n1\n"


def panel_axes(of: Section, panel: Panel) -> Axes:
    axes = Figure().subplots()
    draw_panel(axes, of, panel, drawn_curves(of, panel.metric))
    return axes


def test_overview_on_arms_shows_regret_twice_then_weak_or_borda_then_the_arm_deployed(tmp_path: Path) -> None:
    shown = [(panel.metric, panel.log_labels) for panel in default_panels(arms({"rucb": 0.1}))]
    regret, weak, simple = "cumulative_average_regret", "cumulative_weak_regret", "simple_regret"
    assert shown == [(regret, False), (regret, True), (weak, False), (simple, True)]
    copeland = arms({"rucb": 0.1}, without="winner")
    names = [panel.metric for panel in default_panels(copeland)]
    assert names == ["cumulative_copeland_regret"] * 2 + ["cumulative_borda_regret", "simple_regret"]
    assert [panel.metric for panel in further_panels(copeland)] == ["parameter_error"]
    assert plots.overview(arms({"rucb": 0.1}), tmp_path / "overview.png") is not None
    rows = read(tmp_path / "overview.csv")
    curves = [r for r in rows if r["series"] != "guide"]
    assert len(curves) == 3 * 3 * 6 and {r["metric"] for r in curves} == {regret, weak, simple}  # each curve once


def test_guides_do_not_move_the_limits_and_are_the_lines_they_claim_to_be() -> None:
    task = arms({"rucb": 0.001})
    free = panel_axes(arms({"rucb": 0.001}, without="guides"), Panel("cumulative_copeland_regret"))
    axes = panel_axes(task, Panel("cumulative_average_regret"))
    assert axes.get_ylim() == pytest.approx(free.get_ylim()) and axes.get_xlim() == (0, 4000)
    uniform, _, slope = (np.asarray(line.get_xydata()) for line in axes.lines[-3:])
    assert len(axes.lines) == len(free.lines) + 3
    np.testing.assert_allclose(uniform[:, 1], 0.5 * uniform[:, 0])
    np.testing.assert_allclose(slope[:, 1], 7.0 * np.log(slope[:, 0]), atol=1e-12)
    assert len(set(guide_styles(task, task.metrics).values())) == 3


def test_zooming_in_leaves_out_who_learned_little_and_only_them() -> None:
    panel = Panel("cumulative_average_regret", log_labels=True, closer=True)
    learned = 4000 * 0.1 * 1.05
    axes = panel_axes(arms({"uniform": 0.5, "rucb": 0.1, "oracle": 0.0}), panel)
    assert learned < axes.get_ylim()[1] < 1.3 * learned and "zoomed in" in axes.texts[0].get_text()
    everyone = panel_axes(arms({"rucb": 0.1, "other": 0.2, "oracle": 0.0}), panel)
    assert everyone.get_ylim()[1] > 4000 * 0.2 and "zoomed in" not in everyone.texts[0].get_text()
    nobody = panel_axes(arms({"uniform": 0.5, "rucb": 0.4}), panel)
    assert nobody.get_ylim()[1] > 4000 * 0.5


def test_what_lies_before_the_first_label_does_not_stretch_a_logarithmic_picture() -> None:
    axes = panel_axes(arms({"rucb": 0.1}), Panel("simple_regret", log_labels=True))
    assert axes.get_xscale() == "log" and axes.get_xlim() == (1, 4000) and axes.get_ylim()[1] < 2
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "10", "100", "1,000", "4,000"]
    both = panel_axes(arms({"rucb": 0.1}), Panel("parameter_error", log_labels=True, log_values=True))
    assert both.get_yscale() == "log" and "$" not in "".join(t.get_text() for t in both.get_yticklabels())


def test_the_legend_of_25_agents_and_their_guides_fits_the_picture(tmp_path: Path) -> None:
    many = arms({"uniform": 0.5, "greedy": 0.3, "oracle": 0.0}, agents=22)
    assert len(set(many.looks.values())) == 25
    assert plots.overview(many, tmp_path / "many.png") is not None
    with Image.open(tmp_path / "many.png") as image:
        pixels = np.asarray(image.convert("L"))
    assert (pixels[:, :4] == 255).all() and (pixels[:, -4:] == 255).all() and (pixels[:4] == 255).all()


def _with_second(probability: bool) -> Section:
    runs = [make_run("online", seed) for seed in range(5)]
    first, second = ("offline_win_probability", "second_win_probability") if probability else (None, "second_win_rate")
    for run in runs:
        for row in run.rows:
            rate = row.pop("offline_win_rate") if first else row["offline_win_rate"]
            row |= ({first: rate} if first else {}) | {second: 1.1 - 1.2 * rate}
        run.spec["judging"] = {"second": "stern"}
    (found,) = sections(runs)
    return found


@pytest.mark.parametrize("probability", [False, True])
def test_both_judges_stand_beside_each_other_on_one_scale(
    probability: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[Figure] = []
    monkeypatch.setattr(plots, "save_png", lambda path, size, draw: (pages.append(figure := Figure()), draw(figure)))
    plots.overview(_with_second(probability), tmp_path / "overview.png")
    (page,) = pages
    first, second = page.axes[:2]
    what = "probability" if probability else "rate"
    assert [axes.get_title() for axes in (first, second)] == [f"Offline win {what}", f"Second judge's win {what}"]
    assert first.get_ylim() == second.get_ylim()
    low, high = first.get_ylim()
    assert low < 0.2 and high > 0.75  # where both curves are
    assert any("judged by lexicon, and by the second judge stern" in text.get_text() for text in page.texts)
