"""The study's pictures: win rates of all scales and optimizers, of the ablation and of the exploration rules."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from duelbench.experiments.comparison.drawing import curve, dress
from duelbench.experiments.records import Records
from duelbench.experiments.sea_paper.sweep import AGENTS, OPTIMIZERS, RULES, SCALES, VARIANTS, Part, run_ids
from duelbench.results.report.pictures.drawing import caption, save_png
from duelbench.results.report.pictures.legends import legend
from duelbench.results.report.pictures.styles import styles
from duelbench.results.statistics.estimates import BAND_MIN_RUNS

_BANDS = f"Means; bands: 95 % Student t, from {BAND_MIN_RUNS} seeds. Dotted: the level at the start."


def draw_parts(records: Records, out: Path) -> None:
    """Write scales.png, ablation.png and rules.png."""
    save_png(out / "scales.png", (11, 8.6), partial(_scales, records))
    save_png(out / "ablation.png", (11, 4.4), partial(_parts, records, "ablation", list(VARIANTS)))
    save_png(out / "rules.png", (11, 4.4), partial(_parts, records, "rules", list(RULES)))


def _scales(records: Records, figure: Figure) -> None:
    """One row a model size, one column an optimizer."""
    shown = styles(AGENTS)
    grid = figure.subplots(len(SCALES), len(OPTIMIZERS), sharey="row", squeeze=False)
    for row, (scale, axes_of) in enumerate(zip(SCALES, grid, strict=True)):
        for optimizer, axes in zip(OPTIMIZERS, axes_of, strict=True):
            for name, style in shown.items():
                curve(axes, records, run_ids("scales", (scale, optimizer, name)), "offline_win_rate", style)
            dress(axes, f"{scale}, {OPTIMIZERS[optimizer]}", "labels" if row == len(SCALES) - 1 else "")
        axes_of[0].set_ylabel("offline win rate")
    legend(figure, shown)
    caption(figure, f"{_BANDS} Deployed policy on held-out prompts, against the model's own first answers.")


def _parts(records: Records, part: Part, names: list[str], figure: Figure) -> None:
    """Offline and online win rate side by side."""
    shown = styles(names)
    for axes, metric in zip(figure.subplots(1, 2), ("offline_win_rate", "online_win_rate"), strict=True):
        for name, style in shown.items():
            curve(axes, records, run_ids(part, ("tiny", "dpo", name)), metric, style)
        dress(axes, metric.replace("_", " "), "labels")
    legend(figure, shown)
    caption(figure, f"tiny, DPO. {_BANDS}")
