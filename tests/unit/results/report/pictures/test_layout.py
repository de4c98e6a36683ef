"""Nothing in a picture is cut off or overlaps, however long names are and however many agents there are."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from drawn_sections import arms, make_run, section
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from duelbench.results.report.comparison.section import Section
from duelbench.results.report.comparison.tasks import sections
from duelbench.results.report.comparison.words.findings import multiplier_curves
from duelbench.results.report.pictures import drawing, plots
from duelbench.results.report.pictures.panels import Panel, further_panels
from duelbench.results.report.pictures.radar import save_radar
from duelbench.results.statistics.scores import Score

LONG = "examples/agents/my_package.py:AVeryLongAgentNameThatNobodyWouldChoose[learning_rate=0.0001]"


def long_metric() -> Section:
    runs = [make_run(agent, seed) for agent in (LONG, "online") for seed in range(5)]
    name = "a_metric_of_a_third_party_whose_name_has_more_letters_than_a_panel_has_room_for"
    for run in runs:
        for row in run.rows:
            row[name] = 1e6 * row["simple_regret"]
    (found,) = sections(runs)
    return found


def pictures() -> dict[str, tuple[Section, list[Panel] | None, int | None]]:
    many, metric = arms({"uniform": 0.5, "greedy": 0.3, "oracle": 0.0}, agents=22), long_metric()
    steep = arms({"uniform": 5e5, "rucb": 1e4, LONG: 1.0})
    shown: dict[str, tuple[Section, list[Panel] | None, int | None]] = {}
    for columns in (None, 1):
        shown |= {f"many, {columns}": (many, None, columns), f"steep, {columns}": (steep, None, columns)}
        shown[f"long, {columns}"] = (section(3, (LONG, LONG + "2", "online")), None, columns)
    shown["log axes"] = (many, list(further_panels(many)), None)
    shown["long metric"] = (metric, [Panel(name) for name in metric.metrics], None)
    return shown


PICTURES = pictures()


def boxes(figure: Figure, texts: list[Text]) -> list[Bbox]:
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    return [text.get_window_extent(renderer) for text in texts]


def check(figure: Figure) -> None:
    """Every text is inside; neither panels with all their labels, nor names in the legend, meet each other."""
    with matplotlib.rc_context(drawing._THEME):
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        panels = [axes.get_tightbbox(renderer) for axes in figure.axes]
        names = boxes(figure, [artist for artist in figure.artists if isinstance(artist, Text)])
        others = boxes(figure, figure.texts)
    for box in (*panels, *names, *others):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    for one, other in combinations((*panels, *names, *others), 2):
        assert not one.overlaps(other)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    found: list[Figure] = []

    def keep(path: Path, size: tuple[float, float], draw: object) -> None:
        with matplotlib.rc_context(drawing._THEME):
            found.append(drawing.laid_out(size, draw))  # type: ignore[arg-type]

    monkeypatch.setattr(plots, "save_png", keep)
    monkeypatch.setattr("duelbench.results.report.pictures.radar.save_png", keep)
    return found


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_is_cut_off_and_nothing_overlaps(name: str, drawn: list[Figure], tmp_path: Path) -> None:
    shown, panels, columns = PICTURES[name]
    plots.overview(shown, tmp_path / "picture.png", panels, columns)
    check(drawn[0])
    sizes = [axes.get_position().size * figure.get_size_inches() for figure in drawn for axes in figure.axes]
    assert np.min(sizes) > 1.3  # inches that every panel has left in both directions


def test_what_stands_round_a_lone_panel_is_inside_too(drawn: list[Figure], tmp_path: Path) -> None:
    five = section(5, (LONG, "online", "sea"))
    plots.multiplier(five, "online", multiplier_curves(five, "online", [0.55, 0.65, 0.9]), tmp_path / "multiplier.png")
    tasks = ["basic", "many_arms", "a_task_with_a_name_that_is_rather_long", "delay", "ties"]
    for agents in (["sea"], [LONG, "sea", "online"]):
        scores = [Score(task, agent, (0.2, 0.4), "") for agent in agents for task in tasks]
        save_radar(tmp_path / "radar.png", tasks, scores)
    for figure in drawn:
        check(figure)


def test_a_long_name_keeps_both_its_ends(drawn: list[Figure], tmp_path: Path) -> None:
    plots.overview(section(3, (LONG, "online")), tmp_path / "narrow.png", columns=1)
    said = [artist.get_text() for artist in drawn[0].artists if isinstance(artist, Text)]
    assert "online" in said and any(
        s.startswith("examples/agents") and s.endswith("0.0001]") and "…" in s for s in said
    )
