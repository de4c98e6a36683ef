"""From records to tables and figures.

    python -m duelbench.experiments.selection_rules.analysis --runs results/selection_rules   # more records, then all
    python -m duelbench.experiments.selection_rules.analysis                                  # all from the CSV files

Differences are paired by seed, with Student t intervals; a dagger marks those that stay separated
once all comparisons of their column are counted (Holm).
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import tyro
from rich.progress import track
from scipy.stats import spearmanr

from duelbench.experiments.comparison.tables import MARKS, Scores, comparison_table, marked, seeds_text
from duelbench.experiments.records import MOST_SEEDS, Records, add_records, recorded
from duelbench.experiments.selection_rules.calibration import COMPARED, SCORES
from duelbench.experiments.selection_rules.data import data_scores
from duelbench.experiments.selection_rules.figures import draw_all
from duelbench.experiments.selection_rules.sweep import BASE, PLACES, PROMPTS, RULES, Part, part_specs, run_ids
from duelbench.records.files import write_atomic
from duelbench.records.record import Run, load_runs
from duelbench.records.spec import RunSpec
from duelbench.results.statistics.estimates import Estimate, mean_interval, paired_differences

HERE = Path(__file__).parent
METRICS = (
    "offline_win_rate",
    "online_win_rate",
    "simple_regret",
    "cumulative_average_regret",
    "posterior_accuracy",
    "pairs",
    "rm_accuracy",
    "rm_log_loss",
    "linear_accuracy",
    "linear_log_loss",
)
CONTRASTS = (("infomax", "uncertainty"), ("drts", "infomax"), ("drts", "rm_double_ts"), ("drts", "best_worst"))
"""Rules that differ in one thing: the scale, what is sought, the sign of the second, and exploration."""
_FEWEST = 3  # seeds


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
    path = options.out / "records.csv"
    if options.runs is not None:
        for run in _judged(options.runs, recorded(path)):
            add_records(path, [run], METRICS)
    records = Records.read(path)
    calibration = read_calibration(options.out / "calibration.csv")
    write_atomic(options.out / "RESULTS.md", results(records, calibration))
    draw_all(records, options.out)


def _judged(runs: Path, known: set[str]) -> Iterator[Run]:
    """The study's new runs, with the worth of their data in the last row."""
    parts: tuple[Part, ...] = ("rules", "prompts")
    ours = {spec.asked_id for part in parts for spec in part_specs(part, tuple(PLACES), MOST_SEEDS)}
    new = [run for run in load_runs(runs) if run.finished and run.asked_id in ours - known]
    for run in track(new, "judging data"):
        worth = data_scores(RunSpec.from_json(run.manifest["spec"]), run.folder or runs)
        yield replace(run, rows=[*run.rows[:-1], run.rows[-1] | worth])


def results(records: Records, calibration: dict[str, dict[str, dict[int, float]]]) -> str:
    """Everything that is told in numbers, as Markdown."""
    parts = [f"# Results\n\nWritten by `analysis.py` from `records.csv` and `calibration.csv`; see README.md. {MARKS}"]
    parts += [_place(records, place) for place in PLACES]
    parts += [_compared(records, "prompts", "pool", "all prompts", list(PROMPTS), "Which prompts (pool, BAI-TS)")]
    parts += [_calibration(calibration)]
    return "\n\n".join(parts) + "\n"


def _place(records: Records, place: str) -> str:
    table = _compared(records, "rules", place, BASE, list(RULES), f"Which pairs: {place}")
    found = policy_against_data(records, place)
    if found is None:
        return table
    value, low, high = (f"{number:+.2f}".replace("-", "−") for number in (found.value, found.low, found.high))
    told = (
        f"Rank correlation over the {len(RULES)} rules, within a seed, of the policy's offline win rate with the "
        f"accuracy of the reward model trained on the rule's data: {value} [{low}, {high}] on average."
    )
    return "\n\n".join([table, _contrasts(records, place), told])


def _contrasts(records: Records, place: str) -> str:
    """Differences between two rules, offline win rate and then reward model accuracy; all of a place are one family."""
    kinds = [scores_of(records, "rules", place, metric) for metric in ("offline_win_rate", "rm_accuracy")]
    told = iter(marked([paired_differences(of(one), of(other)) for one, other in CONTRASTS for of in kinds], 3))
    return "\n".join(
        f"* `{one}` less `{other}`: {next(told)} in offline win rate, {next(told)} in reward model accuracy"
        for one, other in CONTRASTS
    )


def _compared(records: Records, part: Part, place: str, base: str, names: list[str], title: str) -> str:
    final = scores_of(records, part, place, "offline_win_rate")
    if not any(final(name) for name in names):
        return f"## {title}: not run yet"
    columns = {
        "offline win rate": (final, 3),
        "online win rate": (scores_of(records, part, place, "online_win_rate", average=True), 3),
        "simple regret": (scores_of(records, part, place, "simple_regret"), 3),
        "cumulative regret": (scores_of(records, part, place, "cumulative_average_regret"), 0),
        "reward model accuracy": (scores_of(records, part, place, "rm_accuracy"), 3),
        "linear model accuracy": (scores_of(records, part, place, "linear_accuracy"), 3),
    }
    seeds = seeds_text(final, names)
    head = f"## {title}\n\n{PLACES[place].labels} labels, {seeds}; differences to `{base}`."
    return f"{head}\n\n{comparison_table(names, base, columns)}"


def scores_of(records: Records, part: Part, place: str, metric: str, *, average: bool = False) -> Scores:
    """{seed: score} by name: at the end, or the mean over all labels."""
    read = records.average if average else records.final
    return lambda name: read(run_ids(part, (place, name)), metric)


def policy_against_data(records: Records, place: str) -> Estimate | None:
    """Rank correlation over rules of policy and data: that of each seed which all rules have, averaged.

    The correlation of the rules' means has no honest interval at ten seeds: its bootstrap adds noise to every mean, and
    so lowers what it resamples.
    """
    kinds = [scores_of(records, "rules", place, metric) for metric in ("offline_win_rate", "rm_accuracy")]
    policy, data = ([of(rule) for rule in RULES] for of in kinds)
    shared = sorted(set.intersection(*(set(scores) for scores in (*policy, *data))))
    if len(shared) < _FEWEST:
        return None
    each = [spearmanr([p[seed] for p in policy], [d[seed] for d in data]).statistic for seed in shared]
    return mean_interval(each)


def read_calibration(path: Path) -> dict[str, dict[str, dict[int, float]]]:
    """{score: {posterior: {seed: value}}}; empty if there is no such file."""
    found: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                for score in SCORES:
                    found[score][row["posterior"]][int(row["seed"])] = float(row[score])
    return found


def _calibration(calibration: dict[str, dict[str, dict[int, float]]]) -> str:
    title = "## How far posteriors can be believed (pool, the pairs of `random_pair`)"
    if not calibration:
        return f"{title}: not run yet"

    def scores(score: str) -> Scores:
        return lambda name: calibration[score].get(name, {})

    columns = {score.replace("_", " "): (scores(score), 3) for score in SCORES}
    seeds = seeds_text(scores("accuracy"), list(COMPARED))
    return f"{title}\n\n{seeds}; differences to `ensemble`.\n\n{comparison_table(list(COMPARED), 'ensemble', columns)}"


if __name__ == "__main__":
    main()
