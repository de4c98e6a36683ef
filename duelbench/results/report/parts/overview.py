"""The part of the report about several tasks together: who is ahead on all of them, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from duelbench.results.report.comparison.standings import LOW, Overview, Standing, TaskScores
from duelbench.results.report.grids import NOTHING
from duelbench.results.report.parts.tables import anchor, estimate, probability
from duelbench.results.report.pictures.drawing import caption, save_csv, save_png
from duelbench.results.report.pictures.legends import legend
from duelbench.results.report.pictures.radar import save_radar
from duelbench.results.report.pictures.styles import FAINT, MUTED, Style
from duelbench.results.report.rendering import Table, dotted, link, picture, render
from duelbench.results.statistics.aggregate import profile
from duelbench.results.statistics.estimates import BAND_MIN_RUNS, Floats
from duelbench.results.statistics.scores import Score

_MOST_COLUMNS = 7  # of a table that fits on a page
_FEWEST_SPOKES = 3  # of a radar picture
_LEVELS = np.linspace(0.0, 1.0, 201)


def overview_page(overview: Overview, folder: Path) -> Markup:
    """Everything about the tasks together; pictures and their data are written into the folder."""
    drawn = draw_overview(overview, folder / f"overview-{overview.name}.png")
    radar = draw_radar(overview, folder / "radar.png")
    left = "; ".join(f"{task.section.name} ({task.reason})" for task in overview.left_out)
    return render(
        "overview.html",
        name=overview.name,
        title=overview.title,
        standings=standings_table(overview),
        note=note(overview),
        left_out=left,
        drawn=picture(drawn, "performance profiles of all agents", "wide"),
        by_task=by_task_table(overview),
        radar=picture(radar, "scores on the behaviour suite", "narrow"),
        runs=render("details.html", title="Runs behind these numbers", body=runs_table(overview)),
    )


def standings_table(overview: Overview) -> Table:
    """The aggregate leaderboard."""
    head = ["agent", "runs", "IQM", "mean", "failed", f"P(beats {overview.baseline})"]
    rows = []
    for s in overview.standings:
        name, runs = dotted(overview.looks, s.agent), link(f"#{_runs_anchor(overview, s.agent)}", f"{s.n:,}")
        failed = f"{100 * s.failed:.1f} %"
        if s.aggregate is None:
            played = Markup("<small>{} of {} tasks played</small>").format(len(s.strata), len(overview.tasks))
            rows.append([name, runs, played, NOTHING, failed, NOTHING])
            continue
        better = NOTHING if s.improvement is None else probability(s.improvement)
        rows.append([name, runs, estimate(s.aggregate.center), estimate(s.aggregate.mean), failed, better])
    return Table(head, rows)


def by_task_table(overview: Overview) -> Table:
    """Mean score of each agent on each task; every number leads to its runs. Agents are rows where they are many."""
    agents = [s.agent for s in overview.standings]
    cells = {(t.section.name, a): _task_score(t, a) for t in overview.tasks for a in agents}
    tasks = {t.section.name: link(f"#{t.section.slug}", t.section.name) for t in overview.tasks}
    if len(agents) > _MOST_COLUMNS > len(tasks):
        rows = [[dotted(overview.looks, a), *(cells[name, a] for name in tasks)] for a in agents]
        return Table(["agent", *tasks], rows)
    return Table(["task", *agents], [[to, *(cells[name, a] for a in agents)] for name, to in tasks.items()])


def _task_score(task: TaskScores, agent: str) -> str:
    found = list(task.values.get(agent, {}).values())
    if not found:
        return NOTHING
    mean = float(np.mean(found))
    shown = link(f"#{anchor(task.section, agent)}", f"{mean:.2f}")
    return Markup('<span class="score" style="--score:{}%">{}</span>').format(f"{100 * mean:.0f}", shown)


def runs_table(overview: Overview) -> Table:
    """Where the runs behind an agent's aggregate are listed."""
    rows = []
    for agent in overview.agents:
        links = [
            link(f"#{anchor(t.section, agent)}", f"{t.section.name} ({len(t.values[agent]):,})")
            for t in overview.tasks
            if t.values.get(agent)
        ]
        name = Markup('<span id="{}">{}</span>').format(_runs_anchor(overview, agent), dotted(overview.looks, agent))
        rows.append([name, Markup(" · ").join(links)])
    return Table(["agent", "runs by task"], rows, left=2, wrap=True)


def note(overview: Overview) -> str:
    """What the numbers of the overview are."""
    return (
        f"Scores on {len(overview.tasks)} tasks at their last label: 1 − R / R of uniform pairs on the same seed where "
        "regret is known, (w − ½) / ½ for a win rate w, clipped to [0, 1]. IQM: interquartile mean of all runs. Mean: "
        f"of the tasks’ means. Failed: share of the runs that score {LOW:g} or less. The last column is against "
        f"{overview.baseline}: Mann–Whitney’s probability, averaged over tasks. Brackets: 95 % intervals over "
        f"seeds, of the mean from two runs per task on, of the others from {BAND_MIN_RUNS}; they say nothing about "
        "other tasks, and each stands for itself."
    )


def draw_overview(overview: Overview, path: Path) -> Path | None:
    """Performance profiles, and beside them who ends better than the baseline; None where nobody played every task."""
    ranked = [s for s in overview.standings if s.aggregate is not None]
    if not ranked:
        return None
    looks, rivals = overview.looks, [s for s in ranked if s.improvement is not None]
    drawn = [_Profile(s.agent, profile(s.strata, _LEVELS), looks[s.agent]) for s in ranked]

    def draw(figure: Figure) -> None:
        places = figure.subplots(1, 2 if rivals else 1, squeeze=False, width_ratios=[1.25, 1][: 2 if rivals else 1])
        _profiles(places[0, 0], drawn)
        if rivals:
            _improvements(places[0, 1], rivals, overview.baseline, looks)
        legend(figure, {s.agent: looks[s.agent] for s in ranked})
        caption(figure, f"{len(overview.tasks)} tasks, {_runs(ranked)}; bars: 95 % intervals")

    save_png(path, (10.2 if rivals else 6.4, max(3.9, 1.6 + 0.3 * len(rivals))), draw)
    rows = [
        (p.agent, *values)
        for p in drawn
        for values in zip(*(column.tolist() for column in (_LEVELS, p.share)), strict=True)
    ]
    save_csv(path.with_suffix(".csv"), ("agent", "score", "share_above"), rows)
    return path


def draw_radar(overview: Overview, path: Path) -> Path | None:
    """The behaviour suite's tasks as spokes, where at least three of them were played; None otherwise."""
    tasks = {t.section.name: t for t in overview.tasks if t.section.of_suite}
    agents = [agent for agent in overview.rivals if any(task.values.get(agent) for task in tasks.values())]
    if len(tasks) < _FEWEST_SPOKES or not agents:
        return None
    found = [
        Score(name, agent, tuple(task.values.get(agent, {}).values()), "" if task.values.get(agent) else "not played")
        for name, task in tasks.items()
        for agent in agents
    ]
    save_radar(path, list(tasks), found, overview.looks)
    rows = [(s.task, s.agent, s.mean, s.interval.low, s.interval.high, len(s.values)) for s in found if s.values]
    save_csv(path.with_suffix(".csv"), ("task", "agent", "score", "low", "high", "n"), rows)
    return path


def _runs_anchor(overview: Overview, agent: str) -> str:
    return f"overview-{overview.name}-runs-{overview.agents.index(agent)}"


@dataclass(frozen=True, slots=True)
class _Profile:
    """An agent's performance profile as it is drawn."""

    agent: str
    share: Floats
    style: Style


def _profiles(axes: Axes, drawn: list[_Profile]) -> None:
    for p in drawn:
        color, line = p.style
        axes.plot(_LEVELS, p.share, color=color, linestyle=line, linewidth=1.8)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.02, 1.02)
    axes.set_title("Performance profiles", pad=18)
    axes.text(0, 1.012, "further up and right is better", transform=axes.transAxes, fontsize=8, color=MUTED)
    axes.set_xlabel("score τ: 0 = uniform pairs, 1 = cannot be beaten")
    axes.set_ylabel("share of runs that score above τ")


def _improvements(axes: Axes, rivals: list[Standing], baseline: str, looks: dict[str, Style]) -> None:
    axes.axvline(0.5, color=FAINT, linewidth=1.2, zorder=1)
    for place, s in enumerate(reversed(rivals)):
        assert s.improvement is not None
        color = looks[s.agent][0]
        if s.improvement.known:
            axes.plot([s.improvement.low, s.improvement.high], [place, place], color=color, linewidth=6, alpha=0.35)
        axes.plot([s.improvement.value], [place], "o", color=color, markersize=6)
    axes.set_yticks(range(len(rivals)), [s.agent for s in reversed(rivals)])
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.6, len(rivals) - 0.4)
    axes.set_title(f"Ends better than {baseline}", pad=18)
    note = "probability, averaged over tasks · beyond ½ is better"
    axes.text(0, 1.012, note, transform=axes.transAxes, fontsize=8, color=MUTED)
    axes.set_xlabel(f"P(agent scores above {baseline})")


def _runs(ranked: list[Standing]) -> str:
    counts = [s.n for s in ranked]
    low, high = min(counts), max(counts)
    return f"{low:,} runs an agent" if low == high else f"{low:,} to {high:,} runs an agent"
