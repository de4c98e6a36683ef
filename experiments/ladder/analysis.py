"""From records to tables and the figure.

    python -m duelbench.experiments.ladder.analysis --runs results/ladder   # more records, then everything
    python -m duelbench.experiments.ladder.analysis                         # everything from records.csv

Differences are paired by seed, with Student t intervals; a dagger marks those that stay separated once all comparisons
of their column are counted (Holm). Labels are compared at win rates chosen before any run was looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tyro
from matplotlib.figure import Figure

from duelbench.experiments.ladder.sweep import LADDER, METRICS, PARTS, RECORDS, THRESHOLDS, WORLDS, run_ids
from duelbench.experiments.records import Records, add_records
from duelbench.experiments.sea_paper.analysis import MARKS, Scores, comparison_table, seeds_text
from duelbench.experiments.sea_paper.figures import curve, dress
from duelbench.records.files import write_atomic
from duelbench.records.record import load_runs
from duelbench.results.report.drawing import caption, legend, save_png
from duelbench.results.report.findings import multiplier_text
from duelbench.results.report.styles import styles
from duelbench.results.statistics.curves import multipliers
from duelbench.results.statistics.estimates import BAND_MIN_RUNS, Estimate
from duelbench.results.statistics.power_law import power_law

HERE = Path(__file__).parent
FEWEST = 3  # seeds of which a multiplier is told
COLUMNS = {
    "offline win rate": ("offline_win_rate", 3),
    "utility": ("offline_utility", 2),
    "KL to the start": ("kl_to_start", 1),
    "entropy": ("response_entropy", 1),
    "tokens": ("response_length", 1),
    "self-duels": ("self_duel_share", 2),
}


@dataclass
class Analysis:
    """Options of the analysis."""

    runs: Path | None = None
    """Folder of new runs; None takes the records as they are."""
    out: Path = HERE
    """Where records, tables and the figure are."""


def main() -> None:
    """Write RESULTS.md and its figure."""
    options = tyro.cli(Analysis)
    if options.runs is not None:
        add_records(options.out / RECORDS.name, load_runs(options.runs), METRICS)
    records = Records.read(options.out / RECORDS.name)
    write_atomic(options.out / "RESULTS.md", results(records))
    draw(records, options.out)


def results(records: Records) -> str:
    """Everything that is told in numbers, as Markdown."""
    parts = [f"# Results\n\nWritten by `analysis.py` from `records.csv`; see README.md for what they mean. {MARKS}"]
    parts += [_world(records, world) for world in WORLDS]
    parts += [_part(records, "ablation", "ide"), _part(records, "limit", "")]
    return "\n\n".join(parts) + "\n"


def _world(records: Records, world: str) -> str:
    told = [_part(records, world, "online")]
    told += filter(None, [_saving(records, world, base, name) for base, name in _PAIRS])
    told += filter(None, [_laws(records, world)])
    return "\n\n".join(told)


_PAIRS = (("online", "ide"), ("online", "online_rm"), ("online", "sea"), ("online_rm", "ide"))


def _part(records: Records, part: str, base: str) -> str:
    """Final scores of a part's players and how they differ from the base."""
    names = [name for name in PARTS[part][1] if _scores(records, part, "offline_win_rate")(name)]
    title = f"## {part}"
    if not names:
        return f"{title}\n\nNot played yet."
    columns = {title: (_scores(records, part, metric), digits) for title, (metric, digits) in COLUMNS.items()}
    final, _ = columns["offline win rate"]
    columns = {"offline win rate": (final, 3), "anytime": (_average(records, part), 3)} | columns
    against = f"; differences to `{base}`" if base in names else ""
    return f"{title}: {seeds_text(final, names)}{against}\n\n{comparison_table(names, base, columns)}"


def _scores(records: Records, part: str, metric: str) -> Scores:
    return lambda name: records.final(run_ids(part, name), metric)


def _average(records: Records, part: str) -> Scores:
    return lambda name: records.average(run_ids(part, name), "offline_win_rate")


def _saving(records: Records, part: str, base: str, name: str) -> str:
    """How many times fewer labels one needs than the other: at preset win rates, and at the other's last one."""
    one, other = (records.stacked(run_ids(part, player), "offline_win_rate") for player in (base, name))
    if one is None or other is None or min(len(one), len(other)) < FEWEST:
        return ""
    end = float(one.values[:, -1].mean())
    found = multipliers(one, other, (*THRESHOLDS, end), np.random.default_rng(0))
    told = [f"{m.threshold:g}: {text}" for m in found[:-1] if (text := multiplier_text(m))]
    last = multiplier_text(found[-1])
    told += [f"at the mean win rate of `{base}` after its last label, {end:.3f}: {last}"] if last else []
    return f"Labels of `{base}` for one of `{name}`, by win rate: {'; '.join(told) or 'not known'}."


def _laws(records: Records, part: str) -> str:
    """The power law of each player."""
    rows = ["| w(n) = 1 − ½ (n / a)^(−b) | a, labels | b |", "| --- | --- | --- |"]
    for name in PARTS[part][1]:
        curves = records.stacked(run_ids(part, name), "offline_win_rate")
        law = power_law(curves) if curves is not None and len(curves) >= FEWEST else None
        if law is not None:
            rows.append(f"| {name} | {_told(law.scale, 0)} | {_told(law.exponent, 2)} |")
    return "\n".join(rows) if len(rows) > 2 else ""


def _told(e: Estimate, digits: int) -> str:
    text = f"{e.value:,.{digits}f}"
    return (f"{text} [{e.low:,.{digits}f}, {e.high:,.{digits}f}]" if e.known else text).replace("-", "−")


def draw(records: Records, out: Path) -> None:
    """Write ladder.png: learning curves of every world that was played, on a logarithmic axis of labels."""
    played = [world for world in WORLDS if any(_scores(records, world, "offline_win_rate")(n) for n in LADDER)]
    if played:
        save_png(out / "ladder.png", (4.2 * len(played) + 1.5, 4.6), partial(_curves, records, played))


def _curves(records: Records, played: Sequence[str], figure: Figure) -> None:
    shown = styles(tuple(LADDER))
    for world, axes in zip(played, figure.subplots(1, len(played), sharey=True, squeeze=False)[0], strict=True):
        for name, style in shown.items():
            curve(axes, records, run_ids(world, name), "offline_win_rate", style)
        dress(axes, world, "labels")
        axes.set_xscale("symlog", base=2, linthresh=128, linscale=0.5)
        axes.set_xticks([0, 128, 256, 512, 1024], ["0", "128", "256", "512", "1024"])
        axes.set_ylabel("offline win rate" if world == played[0] else "")
    legend(figure, shown)
    caption(figure, f"tiny, 1,024 labels. Means; bands: 95 % Student t, from {BAND_MIN_RUNS} seeds.")


if __name__ == "__main__":
    main()
