"""From records to tables and figures.

    python -m duelbench.experiments.sea_paper.analysis --runs results/sea_paper   # more records, then everything
    python -m duelbench.experiments.sea_paper.analysis                            # everything from records.csv

Differences are paired by seed, with Student t intervals; bands and label multipliers come from whole-run bootstraps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from duelbench.experiments.records import Records, add_records
from duelbench.experiments.sea_paper.figures import draw_parts
from duelbench.experiments.sea_paper.sweep import AGENTS, METRICS, OPTIMIZERS, RULES, SCALES, VARIANTS, Part, run_ids
from duelbench.records.files import write_atomic
from duelbench.records.record import load_runs
from duelbench.results.report.findings import multiplier_text, signed
from duelbench.results.statistics.curves import multipliers
from duelbench.results.statistics.estimates import mean_interval, paired_differences, standard_error

HERE = Path(__file__).parent
_FEWEST_PAIRS = 3  # with two, an interval says nothing but that
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
    parts = ["# Results\n\nWritten by `analysis.py` from `records.csv`; see README.md for what they mean."]
    parts += [_scale(records, scale) for scale in SCALES]
    parts += [_part(records, "ablation", "1 passive, policy", list(VARIANTS))]
    parts += [_part(records, "rules", "BAI-TS", list(RULES))]
    return "\n\n".join(parts) + "\n"


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
    """One row a name: mean ± standard error and the difference to the base, of each column with its decimals."""
    head = ["", *columns]
    lines = [head, ["---"] * len(head)]
    for name in names:
        cells = [f"{_mean(of(name), digits)}{_against(of, name, base, digits)}" for of, digits in columns.values()]
        lines.append([name, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mean(scores: dict[int, float], digits: int) -> str:
    if not scores:
        return "–"
    values = np.array(list(scores.values()))
    error = standard_error(values)
    text = f"{values.mean():.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")
    return text.replace("-", "−")


def _against(scores: Scores, name: str, base: str, digits: int) -> str:
    """`` (+0.05 [+0.01, +0.09])``, bold where the interval leaves out 0."""
    differences = paired_differences(scores(name), scores(base))
    if name == base or len(differences) < _FEWEST_PAIRS:
        return ""
    found = mean_interval(differences)
    text = f"{found.value:+.{digits}f} [{found.low:+.{digits}f}, {found.high:+.{digits}f}]".replace("-", "−")
    return f" (**{text}**)" if found.separated else f" ({text})"


def _saving(records: Records, scale: str, optimizer: str) -> str:
    """How many times fewer labels SEA needs than ``online`` for what ``online`` reaches."""
    pair = [
        records.stacked(run_ids("scales", (scale, optimizer, name)), "offline_win_rate") for name in ("online", "sea")
    ]
    online, sea = pair
    if online is None or sea is None or min(len(online), len(sea)) < 3:
        return ""
    best = float(np.maximum.accumulate(online.values.mean(0))[-1])
    start = float(online.values[:, 0].mean())
    threshold = start + 0.9 * (best - start)
    (found,) = multipliers(online, sea, [threshold], np.random.default_rng(0))
    goal = f"{signed(threshold - start)} over the start, nine tenths of the most that `online` gains"
    if not np.isfinite(found.agent_labels):
        return f"`sea` does not get to {goal}."
    ratio = multiplier_text(found, min(len(online), len(sea)))
    if ratio == "unknown":
        return f"`sea` gets to {goal}, but with how many labels saved these seeds do not tell."
    return f"To {goal}: {ratio} labels of `online` for one of `sea`."


def seeds_text(scores: Scores, names: list[str]) -> str:
    """How many seeds there are of what is compared."""
    counts = sorted({len(scores(name)) for name in names})
    if len(counts) > 1:
        return f"{counts[0]} to {counts[-1]} seeds (incomplete)"
    return "1 seed" if counts == [1] else f"{counts[0]} seeds"


if __name__ == "__main__":
    main()
