"""The study's pictures: policies against data, selected prompts, and what posteriors say against what is true."""

from __future__ import annotations

import csv
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from duelbench.experiments.comparison.drawing import curve, dress
from duelbench.experiments.records import Records
from duelbench.experiments.selection_rules.calibration import COMPARED
from duelbench.experiments.selection_rules.sweep import BASE, PLACES, PROMPTS, RULES, run_ids
from duelbench.results.report.pictures.drawing import caption, save_png
from duelbench.results.report.pictures.legends import legend
from duelbench.results.report.pictures.styles import FAINT, MUTED, styles
from duelbench.results.statistics.estimates import mean_interval, paired_differences

_AXES = {"offline_win_rate": "policy", "rm_accuracy": "data"}
_CLEAREST = "neural"  # where rules are apart
_FEWEST = 50  # duels of a bin that is shown


def draw_all(records: Records, out: Path) -> None:
    """Write rules.png, prompts.png and, where there are data, reliability.png."""
    save_png(out / "rules.png", (11, 8.4), partial(_rules, records))
    save_png(out / "prompts.png", (11, 4.2), partial(_prompts, records))
    if (out / "reliability.csv").exists():
        save_png(out / "reliability.png", (11, 4.6), partial(_reliability, out))


def _rules(records: Records, figure: Figure) -> None:
    """Two panels a place, what policies and what data are worth; one line a rule, the best policy on top."""
    order = sorted(RULES, key=lambda rule: _mean(_differences(records, _CLEAREST, rule, "offline_win_rate")))
    grid = figure.subplots(2, len(PLACES) // 2 * len(_AXES), sharey=True)
    panels = [(place, metric) for place in PLACES for metric in _AXES]
    for axes, (place, metric) in zip(grid.flat, panels, strict=True):
        found = [_differences(records, place, rule, metric) for rule in order]
        axes.axvline(0.0, color=FAINT, linestyle=":", linewidth=1)
        for row, values in enumerate(found):
            _interval(axes, row, values)
        axes.set_title(place if metric == panels[0][1] else "")
        axes.set_xlabel(_AXES[metric], color=MUTED)
        axes.tick_params(axis="x", labelsize=8)
    grid[0, 0].set_yticks(range(len(order)), order)
    caption(
        figure,
        f"Differences to {BASE}, paired by seed, after all labels: means, 95 % intervals; filled where 0 is outside. "
        "Policy: offline win rate. Data: held-out accuracy of a reward model trained on the pairs.",
    )


def _interval(axes: Axes, row: int, values: NDArray[np.float64]) -> None:
    if not len(values):
        return
    found = mean_interval(values)
    apart = found.separated
    color = FAINT if not apart else "#0072B2" if found.value > 0 else "#CC3311"
    axes.plot([found.low, found.high], [row, row], color=color, linewidth=1.4)
    axes.plot(found.value, row, marker="o", markersize=5, color=color, markerfacecolor=color if apart else "white")


def _differences(records: Records, place: str, rule: str, metric: str) -> NDArray[np.float64]:
    scores, base = (records.final(run_ids("rules", (place, name)), metric) for name in (rule, BASE))
    return paired_differences(scores, base)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _prompts(records: Records, figure: Figure) -> None:
    shown = styles(PROMPTS)
    panels = {"offline_win_rate": 0.5, "simple_regret": None}
    for (metric, level), axes in zip(panels.items(), figure.subplots(1, 2), strict=True):
        for name, style in shown.items():
            curve(axes, records, run_ids("prompts", ("pool", name)), metric, style)
        dress(axes, metric.replace("_", " "), "labels", level)
    legend(figure, shown)
    caption(figure, "pool, BAI-TS; one prompt of four is kept. Means; bands: 95 % Student t.")


def _reliability(out: Path, figure: Figure) -> None:
    """Left: the mean truth where a posterior says p. Right: its spread against its error, a point a posterior."""
    shown = styles(COMPARED)
    said, spread = figure.subplots(1, 2)
    bins = _rows(out / "reliability.csv")
    scores = _rows(out / "calibration.csv")
    for name, (color, dashes) in shown.items():
        places: dict[int, list[dict[str, float]]] = defaultdict(list)
        for row in bins[name]:
            places[int(min(row["said"], 0.9999) * 10)].append(row)
        points = [_pooled(rows) for _, rows in sorted(places.items()) if sum(r["duels"] for r in rows) >= _FEWEST]
        if points:
            said.plot(*zip(*points, strict=True), color=color, linestyle=dashes, marker="o", markersize=3)
        x, y = ([row[kind] for row in scores[name]] for kind in ("spread", "rms_error"))
        spread.plot(x, y, color=color, marker="o", linestyle="", markersize=4, alpha=0.7)
    for axes in (said, spread):
        axes.axline((0, 0), slope=1, color=FAINT, linestyle=":", linewidth=1)
    said.set(title="what is said and what is true", xlabel="said: P(first wins)", ylabel="true, mean of the bin")
    spread.set(
        title="spread and error", xlabel="root mean square spread", ylabel="root mean square error", xlim=(0, None)
    )
    spread.set_ylim(0, None)
    legend(figure, shown)
    caption(figure, "pool, all labels of random_pair. Dotted: said is true; the spread is the error.")


def _pooled(rows: list[dict[str, float]]) -> tuple[float, float]:
    """Means of said and true over the duels of one bin of all seeds."""
    weight = np.array([row["duels"] for row in rows])
    return float(weight @ [row["said"] for row in rows] / weight.sum()), float(
        weight @ [row["true"] for row in rows] / weight.sum()
    )


def _rows(path: Path) -> dict[str, list[dict[str, float]]]:
    """Rows of a table by posterior."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[row.pop("posterior")].append({name: float(value) for name, value in row.items()})
    return found
