"""Build experiments/leaderboard.md from its committed records.

    python -m duelbench.experiments.leaderboard.build
    python -m duelbench.experiments.leaderboard.build --runs FOLDER     # add its finished runs to the records first

What is in it: seven agents on the pool, and lock-step agents on the smoke tasks of the behaviour suite. The page tells
how the runs are played.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from duelbench.experiments.records import COSTS, Columns, add_records, read_records
from duelbench.records.files import write_atomic
from duelbench.records.record import Run, SeedRows, load_runs
from duelbench.records.spec import RunSpec
from duelbench.results.report.formats import markdown
from duelbench.results.report.subject import Subject
from duelbench.study.suite import UNIFORM, select, task_specs
from duelbench.study.sweep import Sweep

RECORDS = Path(__file__).with_name("records.csv")
PAGE = Path(__file__).parent.with_suffix(".md")
METRICS = (
    "offline_win_rate",
    "online_win_rate",
    "cumulative_average_regret",
    "cumulative_copeland_regret",
    "simple_regret",
)
POOL_SEEDS, SUITE_SEEDS = 10, 20
POOL_AGENTS = ("uniform", "offline", "online", "apl", "xpo", "sea", "sea-ee")
SUITE_AGENTS = ("greedy", "rucb", "double_ts", "self_sparring", "max_pair_ucb", "laplace_ts")

HEADER = f"""# Leaderboard

Made from [the runs' records](leaderboard/records.csv) by `python -m duelbench.experiments.leaderboard.build`; a test
builds it again. To play the runs and add them to the records (a few minutes on two cores):

```bash
duelbench run --env LLMDuelPool-v0 --seeds {POOL_SEEDS} --out results/leaderboard/pool \\
    {" ".join(f"-a {agent}" for agent in POOL_AGENTS)}
duelbench suite --smoke --seeds {SUITE_SEEDS} --out results/leaderboard/suite \\
    {" ".join(f"-a {agent}" for agent in SUITE_AGENTS)}
python -m duelbench.experiments.leaderboard.build --runs results/leaderboard/pool results/leaderboard/suite
```

The pool's records were played from the language model's own features (`env.features=lm`), and with a duel of two
identical responses as a tie that costs a label (`env.identical=tie`): the defaults then, and not now.

Seeds 0, 1, … were not used for tuning. To enter, open a pull request with the agent and its records.

"""


@dataclass
class Options:
    """What to build from."""

    runs: tuple[Path, ...] = ()
    """Output folders whose finished runs are added to the records first."""


def pool_specs() -> list[RunSpec]:
    """The agents of the pool, as `duelbench run` plays them."""
    return Sweep("The pool", ["LLMDuelPool-v0"], POOL_AGENTS, seeds=POOL_SEEDS).specs()


def suite_specs() -> list[RunSpec]:
    """Uniform pairs and the others on the smoke tasks, as `duelbench suite` plays them: all seeds at once."""
    return [
        spec
        for task in select(smoke=True)
        for name in (UNIFORM, *SUITE_AGENTS)
        for spec in task_specs(task, name, range(SUITE_SEEDS))
    ]


def recorded_runs(specs: list[RunSpec], records: dict[str, Columns]) -> list[Run]:
    """The runs of these specifications as far as they are in the records."""
    found = []
    for spec in specs:
        ids = {seed: f"{spec.asked_id}/{seed}" for seed in range(spec.seed, spec.seed + spec.lockstep)}
        for seed, run_id in (ids or {spec.seed: spec.asked_id}).items():
            if run_id in records:
                found.append(_run(spec, seed, run_id, records[run_id]))
    return found


def _run(spec: RunSpec, seed: int, run_id: str, columns: Columns) -> Run:
    arrays = {name: np.array(values) for name, values in columns.items()}
    spent = zip(columns["labels"], *(columns[cost] for cost in COSTS), strict=True)
    return Run(
        run_id=run_id,
        spec=spec.to_json() | {"agent": spec.agent_label, "seed": seed},
        rows=SeedRows(arrays["labels"], {name: arrays[name] for name in METRICS}),
        timing=[dict(zip(("labels", *COSTS), row, strict=True)) for row in spent],
        samples=[],
        finished=True,
        manifest={"guides": [], "arms": spec.lockstep > 0, "role": "floor" if spec.agent == UNIFORM else "rival"},
    )


def page(records: dict[str, Columns]) -> str:
    """The whole leaderboard."""
    parts = {"The pool": (pool_specs(), "online"), "The behaviour suite, smoke tasks": (suite_specs(), UNIFORM)}
    subjects = [
        Subject.of(RECORDS.parent, recorded_runs(specs, records), title=title, baseline=baseline)
        for title, (specs, baseline) in parts.items()
    ]
    return HEADER + "\n".join(markdown(subject, level=2) for subject in subjects)


def main() -> None:
    """Add runs to the records, if any are given, and write the page."""
    ours = {spec.asked_id for spec in pool_specs() + suite_specs()}
    for folder in tyro.cli(Options, description=__doc__).runs:
        runs = [run for run in load_runs(folder) if run.asked_id.partition("/")[0] in ours]
        add_records(RECORDS, [run for run in runs if not run.spec.get("lockstep")], METRICS)
        add_records(RECORDS, [run for run in runs if run.spec.get("lockstep")], METRICS, last_only=True)
    write_atomic(PAGE, page(read_records(RECORDS)))


if __name__ == "__main__":
    main()
