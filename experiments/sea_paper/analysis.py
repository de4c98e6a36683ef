"""From records to tables and figures.

    python -m duelbench.experiments.sea_paper.analysis --runs results/sea_paper   # more records, then everything
    python -m duelbench.experiments.sea_paper.analysis                            # everything from records.csv

Differences are paired by seed, with Student t intervals; a dagger marks those that stay separated once all comparisons
of their column are counted (Holm). Label multipliers are read at win rates chosen before any run was looked at.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray

from duelbench.experiments.records import Records, add_records
from duelbench.experiments.sea_paper.figures import draw_parts
from duelbench.experiments.sea_paper.sweep import AGENTS, METRICS, OPTIMIZERS, RULES, SCALES, VARIANTS, Part, run_ids
from duelbench.records.files import write_atomic
from duelbench.records.record import load_runs
from duelbench.results.report.comparison.wording import multiplier_text
from duelbench.results.report.subject import THRESHOLDS
from duelbench.results.statistics.curves import multipliers
from duelbench.results.statistics.estimates import holm, mean_interval, p_value, paired_differences, standard_error

HERE = Path(__file__).parent
_FEWEST_PAIRS = 3  # with two, an interval says nothing but that
MARKS = (
    "Means ± standard error, in parentheses differences with 95 % Student t intervals, paired by seed. Bold: the "
    "interval leaves out 0. †: so it does with Holm's correction for all comparisons of the column."
)
CONTRASTS = tuple(itertools.combinations(("6 SEA, best of 8", "5 active, best of 8", "4 passive, best of 8"), 2))
"""Variants that differ in one thing: mixing, and active exploration; and the first from the last."""
Scores = Callable[[str], dict[int, float]]
"""{seed: score} of what goes by a name."""


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
    if min(map(len, found.values())) < _FEWEST_PAIRS:
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


def comparison_table(names: list[str], base: str, columns: dict[str, tuple[Scores, int]]) -> str:
    """One row a name: mean ± standard error and the difference to the base, of each column with its decimals.

    What is marked, and how: ``MARKS``.
    """
    head = ["", *columns]
    lines = [head, ["---"] * len(head)]
    told = [_against(of, names, base, digits) for of, digits in columns.values()]
    for name in names:
        means = [_mean(of(name), digits) for of, digits in columns.values()]
        lines.append([name, *(mean + against[name] for mean, against in zip(means, told, strict=True))])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mean(scores: dict[int, float], digits: int) -> str:
    if not scores:
        return "–"
    values = np.array(list(scores.values()))
    error = standard_error(values)
    text = f"{values.mean():.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")
    return text.replace("-", "−")


def _against(scores: Scores, names: list[str], base: str, digits: int) -> dict[str, str]:
    """{name: `` (+0.05 [+0.01, +0.09])``}, marked as ``MARKS`` says; empty for the base and where pairs are too few."""
    found = {name: paired_differences(scores(name), scores(base)) for name in names if name != base}
    found = {name: differences for name, differences in found.items() if len(differences) >= _FEWEST_PAIRS}
    told = dict(zip(found, marked(list(found.values()), digits), strict=True))
    return {name: f" ({told[name]})" if name in told else "" for name in names}


def marked(family: Sequence[NDArray[np.float64]], digits: int) -> list[str]:
    """Means of differences with their intervals, marked as ``MARKS`` says; Holm's correction is for this family."""
    told = []
    for differences, adjusted in zip(family, holm([p_value(differences) for differences in family]), strict=True):
        e = mean_interval(differences)
        text = f"{e.value:+.{digits}f} [{e.low:+.{digits}f}, {e.high:+.{digits}f}]".replace("-", "−")
        told.append((f"**{text}**" if e.separated else text) + ("†" if adjusted < 0.05 else ""))
    return told


def _saving(records: Records, scale: str, optimizer: str) -> str:
    """How many times fewer labels SEA needs than ``online`` at the preset win rates."""
    pair = [
        records.stacked(run_ids("scales", (scale, optimizer, name)), "offline_win_rate") for name in ("online", "sea")
    ]
    online, sea = pair
    if online is None or sea is None or min(len(online), len(sea)) < _FEWEST_PAIRS:
        return ""
    found = multipliers(online, sea, THRESHOLDS, np.random.default_rng(0))
    told = [f"{m.threshold:g}: {text}" for m in found if (text := multiplier_text(m))]
    return f"Labels of `online` for one of `sea`, at preset win rates: {'; '.join(told) or 'not known'}."


def seeds_text(scores: Scores, names: list[str]) -> str:
    """How many seeds there are of what is compared."""
    counts = sorted({len(scores(name)) for name in names})
    if len(counts) > 1:
        return f"{counts[0]} to {counts[-1]} seeds (incomplete)"
    return "1 seed" if counts == [1] else f"{counts[0]} seeds"


if __name__ == "__main__":
    main()
