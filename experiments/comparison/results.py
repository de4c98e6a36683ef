"""A study's tables and picture from its records.

Differences are paired by seed, with Student t intervals; a dagger marks those that stay separated once all comparisons
of their column are counted (Holm). Labels are compared at win rates that were chosen before any run was looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from duelbench.experiments.comparison.beliefs import Beliefs, belief_table
from duelbench.experiments.comparison.define import COLUMNS, Comparison
from duelbench.experiments.comparison.drawing import curve, dress
from duelbench.experiments.comparison.tables import MARKS, Scores, comparison_table, seeds_text
from duelbench.experiments.records import Records
from duelbench.results.report.comparison.words.wording import multiplier_text
from duelbench.results.report.pictures.drawing import caption, save_png
from duelbench.results.report.pictures.legends import legend
from duelbench.results.report.pictures.styles import FAINT, MUTED, styles
from duelbench.results.statistics.curves import multipliers
from duelbench.results.statistics.estimates import BAND_MIN_RUNS, Estimate
from duelbench.results.statistics.power_law import power_law

FEWEST = 3  # seeds of which a multiplier is told
PICTURE = "curves.png"


def results(study: Comparison, records: Records, beliefs: Beliefs) -> str:
    """Everything that is told in numbers, as Markdown."""
    head = f"# Results\n\nWritten by a program from `records.csv`; see README.md for what they mean. {MARKS}"
    return "\n\n".join([head, *(_part(study, records, beliefs, title) for title in study.parts)]) + "\n"


def _part(study: Comparison, records: Records, beliefs: Beliefs, title: str) -> str:
    """One world: final scores of its players, labels saved, the laws of their curves, and what posteriors believe."""
    part = study.parts[title]
    final = _scores(study, records, title, "offline_win_rate")
    names = [name for name in part.players if final(name)]
    if not names:
        return f"## {title}\n\nNot played yet."
    columns: dict[str, tuple[Scores, int]] = {"anytime": (_average(study, records, title), 3)}
    for column, (metric, digits) in COLUMNS.items():
        scores = _scores(study, records, title, metric)
        columns |= {column: (scores, digits)} if any(map(scores, names)) else {}
    against = f"; differences to `{part.base}`" if part.base in names else ""
    blocks = [f"## {title}: {seeds_text(final, names)}{against}", comparison_table(names, part.base, columns)]
    blocks += [_saving(study, records, title, *pair) for pair in part.pairs]
    blocks += [_laws(study, records, title, names), belief_table(study, title, beliefs)]
    return "\n\n".join(filter(None, blocks))


def _scores(study: Comparison, records: Records, part: str, metric: str) -> Scores:
    return lambda name: records.final(study.ids(part, name), metric)


def _average(study: Comparison, records: Records, part: str) -> Scores:
    return lambda name: records.average(study.ids(part, name), "offline_win_rate")


def _saving(study: Comparison, records: Records, part: str, base: str, name: str) -> str:
    """How many times fewer labels one needs than the other: at preset win rates, and at the other's last one."""
    one, other = (records.stacked(study.ids(part, player), "offline_win_rate") for player in (base, name))
    if one is None or other is None or min(len(one), len(other)) < FEWEST:
        return ""
    end = float(one.values[:, -1].mean())
    *preset, last = multipliers(one, other, (*study.thresholds, end), np.random.default_rng(0))
    told = [f"{m.threshold:g}: {text}" for m in preset if (text := multiplier_text(m))]
    told += [f"and where `{base}` ends, at {end:.3f}: {text}" for text in [multiplier_text(last)] if text]
    return f"Labels of `{base}` for one of `{name}`, by win rate: {'; '.join(told) or 'not known'}"


def _laws(study: Comparison, records: Records, part: str, names: Sequence[str]) -> str:
    """The power law of each player."""
    rows = ["| w(n) = 1 − ½ (n / a)^(−b) | a, labels | b |", "| --- | --- | --- |"]
    for name in names:
        curves = records.stacked(study.ids(part, name), "offline_win_rate")
        law = power_law(curves) if curves is not None and len(curves) >= FEWEST else None
        if law is not None:
            rows.append(f"| {name} | {_told(law.scale, 0)} | {_told(law.exponent, 2)} |")
    return "\n".join(rows) if len(rows) > 2 else ""


def _told(e: Estimate, digits: int) -> str:
    text = f"{e.value:,.{digits}f}"
    return (f"{text} [{e.low:,.{digits}f}, {e.high:,.{digits}f}]" if e.known else text).replace("-", "−")


def draw(study: Comparison, records: Records) -> None:
    """Learning curves of every world that was played, on a logarithmic axis of labels; nothing if none was."""
    played = [
        title
        for title, part in study.parts.items()
        if part.picture and any(map(_scores(study, records, title, "offline_win_rate"), part.players))
    ]
    if played:
        save_png(study.folder / PICTURE, (4.2 * len(played) + 2.0, 4.6), partial(_curves, study, records, played))


def _curves(study: Comparison, records: Records, played: Sequence[str], figure: Figure) -> None:
    names = tuple(dict.fromkeys(name for title in played for name in study.parts[title].players))
    shown, first = styles(names), study.judging.every
    ticks = [0, *(first * 2**i for i in range(20) if first * 2**i <= study.labels)]
    for title, axes in zip(played, figure.subplots(1, len(played), sharey=True, squeeze=False)[0], strict=True):
        for name in study.parts[title].players:
            curve(axes, records, study.ids(title, name), "offline_win_rate", shown[name])
        limit = study.parts[title].limit
        for name in study.parts[limit].players if limit else ():
            curve(axes, records, study.ids(limit, name), "offline_win_rate", (MUTED, ":"), band=False)
        if study.candidates:
            axes.axhline(study.candidates / (study.candidates + 1), color=FAINT, linestyle=":", linewidth=1)
        dress(axes, title, "labels")
        axes.set_xscale("symlog", base=2, linthresh=first, linscale=0.5)
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.set_ylabel("offline win rate" if title == played[0] else "")
    legend(figure, shown)
    told = [f"{study.env}. Means; bands: 95 % Student t, from {BAND_MIN_RUNS} seeds. Dotted: the start"]
    if study.candidates:
        told.append(f"; the best of {study.candidates} first answers by the true taste")
    if any(study.parts[title].limit for title in played):
        told.append("; ide with features that are the taste's own (grey)")
    caption(figure, f"{''.join(told)}.")
