"""The study's pictures: policies against data, selected prompts, and what posteriors say against what is true."""

from __future__ import annotations

import csv
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from duelbench.experiments.records import Records
from duelbench.experiments.sea_paper.figures import curve, dress
from duelbench.experiments.selection_rules.calibration import COMPARED
from duelbench.experiments.selection_rules.sweep import BASE, PLACES, PROMPTS, RULES, run_ids
from duelbench.report.drawing import FAINT, MUTED, caption, legend, save_png, styles
from duelbench.statistics.estimates import paired_differences, standard_error

_AXES = {"rm_accuracy": "accuracy of a reward model trained on the pairs", "offline_win_rate": "offline win rate"}
_FEWEST = 50  # duels of a bin that is shown


def draw_all(records: Records, out: Path) -> None:
    """Write rules.png, prompts.png and, where there are data, reliability.png."""
    save_png(out / "rules.png", (5 * len(PLACES), 5.4), partial(_rules, records))
    save_png(out / "prompts.png", (11, 4.2), partial(_prompts, records))
    if (out / "reliability.csv").exists():
        save_png(out / "reliability.png", (11, 4.6), partial(_reliability, out))


def _rules(records: Records, figure: Figure) -> None:
    """One panel a place, one point a rule: what its data are worth against what its policy is worth."""
    shown = styles(RULES)
    for place, axes in zip(PLACES, figure.subplots(1, len(PLACES)), strict=True):
        for rule, (color, _) in shown.items():
            _point(axes, records, place, rule, color)
        axes.set_title(place)
        if not axes.texts:
            axes.set_axis_off()
            axes.text(0.5, 0.5, "not run yet", color=MUTED, ha="center", transform=axes.transAxes)
            continue
        axes.axhline(0.0, color=FAINT, linestyle=":", linewidth=1)
        axes.axvline(0.0, color=FAINT, linestyle=":", linewidth=1)
        axes.set_xlabel(_AXES["rm_accuracy"], color=MUTED)
    figure.axes[0].set_ylabel(_AXES["offline_win_rate"], color=MUTED)
    caption(figure, f"Differences to {BASE}, paired by seed, after all labels: means and standard errors.")


def _point(axes: Axes, records: Records, place: str, rule: str, color: str) -> None:
    found = []
    for metric in _AXES:
        scores, base = (records.final(run_ids("rules", (place, name)), metric) for name in (rule, BASE))
        found.append(paired_differences(scores, base))
    if not all(len(values) for values in found):
        return
    x, y = (values.mean() for values in found)
    errors = [standard_error(values) or 0.0 for values in found]
    axes.errorbar(x, y, xerr=errors[0], yerr=errors[1], color=color, marker="o", markersize=4, linewidth=0.8, alpha=0.8)
    axes.annotate(rule, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7.5, color=color)


def _prompts(records: Records, figure: Figure) -> None:
    shown = styles(PROMPTS)
    panels = {"offline_win_rate": 0.5, "simple_regret": None}
    for (metric, level), axes in zip(panels.items(), figure.subplots(1, 2), strict=True):
        for name, style in shown.items():
            curve(axes, records, run_ids("prompts", ("pool", name)), metric, style)
        dress(axes, metric.replace("_", " "), "labels", level)
    legend(figure, shown)
    caption(figure, "pool, BAI-TS; one prompt of four is kept. Means; bands: 95 % whole-run bootstrap.")


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
