"""From records to tables and figures.

    python -m duelbench.experiments.sea_paper.analysis --runs results/sea_paper   # more records, then everything
    python -m duelbench.experiments.sea_paper.analysis                            # everything from records.csv

Differences are paired by seed, with Student t intervals; a dagger marks those that stay separated once all comparisons
of their column are counted (Holm). Label multipliers are read at win rates chosen before any run was looked at.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from duelbench.experiments.comparison.tables import FEWEST_PAIRS, MARKS, Scores, comparison_table, marked, seeds_text
from duelbench.experiments.records import Records, add_records
from duelbench.experiments.sea_paper.figures import draw_parts
from duelbench.experiments.sea_paper.sweep import AGENTS, METRICS, OPTIMIZERS, RULES, SCALES, VARIANTS, Part, run_ids
from duelbench.records.files import write_atomic
from duelbench.records.record import load_runs
from duelbench.results.report.comparison.words.wording import multiplier_text
from duelbench.results.report.subject import THRESHOLDS
from duelbench.results.statistics.curves import multipliers
from duelbench.results.statistics.estimates import paired_differences

HERE = Path(__file__).parent
CONTRASTS = tuple(itertools.combinations(("6 SEA, best of 8", "5 active, best of 8", "4 passive, best of 8"), 2))
"""Variants that differ in one thing: mixing, and active exploration; and the first from the last."""


@dataclass
class Analysis:
    """Options of the analysis."""

    runs: Path | None = None
    """Folder of new runs; None takes the records as they are."""
    out: Path = HERE
    """Where records, tables and figures are."""


def main() -> None:
    """Write RESULTS.md and its figures."""
    options = tyro.cli(Analysis)
    if options.runs is not None:
        add_records(options.out / "records.csv", load_runs(options.runs), METRICS)
    records = Records.read(options.out / "records.csv")
    write_atomic(options.out / "RESULTS.md", results(records))
    draw_parts(records, options.out)


def results(records: Records) -> str:
    """Everything that is told in numbers, as Markdown."""
    parts = [f"# Results\n\nWritten by `analysis.py` from `records.csv`; see README.md for what they mean. {MARKS}"]
    parts += [_scale(records, scale) for scale in SCALES]
    parts += [_part(records, "ablation", "1 passive, policy", list(VARIANTS)), _contrasts(records)]
    parts += [_part(records, "rules", "BAI-TS", list(RULES))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _contrasts(records: Records) -> str:
    """Who deploys the best of eight, against each other; empty where nobody was run."""
    final = _scores(records, "ablation", ("tiny", "dpo"), "offline_win_rate")
    found = {pair: paired_differences(final(pair[0]), final(pair[1])) for pair in CONTRASTS}
    if min(map(len, found.values())) < FEWEST_PAIRS:
        return ""
    told = zip(found, marked(list(found.values()), 3), strict=True)
    return "\n".join(f"* {one} less {other}: {text} in offline win rate" for (one, other), text in told)


def _scale(records: Records, scale: str) -> str:
    """Tables of one model size: final and anytime win rates of every optimizer, and what SEA saves."""
    blocks = [f"## {scale}: {SCALES[scale].labels} labels"]
    for optimizer in OPTIMIZERS:
        found = _compared(records, "scales", (scale, optimizer), "online", list(AGENTS))
        if found is None:
            blocks.append(f"**{OPTIMIZERS[optimizer]}**: not run yet.")
            continue
        seeds, table = found
        blocks += [f"**{OPTIMIZERS[optimizer]}**, {seeds}; differences to `online`.", table]
        blocks += filter(None, [_saving(records, scale, optimizer)])
    return "\n\n".join(blocks)


def _part(records: Records, part: Part, base: str, names: list[str]) -> str:
    found = _compared(records, part, ("tiny", "dpo"), base, names)
    if found is None:
        return f"## {part}: not run yet"
    seeds, table = found
    return f"## {part}: tiny, DPO, {seeds}; differences to {base}\n\n{table}"


def _compared(
    records: Records, part: Part, where: tuple[str, str], base: str, names: list[str]
) -> tuple[str, str] | None:
    """How many seeds there are, and the table of what was compared; None if nothing was run."""
    final = _scores(records, part, where, "offline_win_rate")
    regret = _scores(records, part, where, "cumulative_average_regret")
    if not any(final(name) for name in names):
        return None
    columns = {
        "offline win rate": (final, 3),
        "anytime": (_scores(records, part, where, "offline_win_rate", average=True), 3),
        "online win rate": (_scores(records, part, where, "online_win_rate", average=True), 3),
        "cumulative pseudo-regret": (regret, 0),
    }
    return seeds_text(final, names), comparison_table(names, base, columns)


def _scores(records: Records, part: Part, where: tuple[str, str], metric: str, *, average: bool = False) -> Scores:
    read = records.average if average else records.final
    return lambda name: read(run_ids(part, (*where, name)), metric)


def _saving(records: Records, scale: str, optimizer: str) -> str:
    """How many times fewer labels SEA needs than ``online`` at the preset win rates."""
    pair = [
        records.stacked(run_ids("scales", (scale, optimizer, name)), "offline_win_rate") for name in ("online", "sea")
    ]
    online, sea = pair
    if online is None or sea is None or min(len(online), len(sea)) < FEWEST_PAIRS:
        return ""
    found = multipliers(online, sea, THRESHOLDS, np.random.default_rng(0))
    told = [f"{m.threshold:g}: {text}" for m in found if (text := multiplier_text(m))]
    return f"Labels of `online` for one of `sea`, at preset win rates: {'; '.join(told) or 'not known'}."


if __name__ == "__main__":
    main()
