"""Build experiments/leaderboard.md from its committed records.

    python -m duelbench.experiments.leaderboard.build
    python -m duelbench.experiments.leaderboard.build --runs FOLDER     # add its finished runs of the suite first

What is in it: the agents of pool_study on the pool, and lock-step agents on the smoke tasks of the behaviour suite. The
page tells how the runs are played.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from duelbench.experiments.pool_study.sweep import POOL_STUDY
from duelbench.experiments.records import COSTS, Columns, add_records, read_records
from duelbench.records.files import write_atomic
from duelbench.records.record import Run, SeedRows, load_runs
from duelbench.records.spec import RunSpec
from duelbench.results.report.formats import markdown
from duelbench.results.report.subject import Subject
from duelbench.study.suite import UNIFORM, select, task_specs

RECORDS = Path(__file__).with_name("records.csv")
PAGE = Path(__file__).parent.with_suffix(".md")
METRICS = (
    "offline_win_rate",
    "online_win_rate",
    "cumulative_average_regret",
    "cumulative_copeland_regret",
    "simple_regret",
)
POOL_PART = "reader, warm"
SUITE_SEEDS = 20
SUITE_AGENTS = ("greedy", "rucb", "double_ts", "self_sparring", "max_pair_ucb", "laplace_ts")

HEADER = f"""# Leaderboard

Built from committed records by `python -m duelbench.experiments.leaderboard.build`; a test builds it again. All runs
have today's defaults; seeds 0, 1, … were not used for tuning. The pool's runs are those of the first part of
[pool_study](pool_study/README.md); [the suite's](leaderboard/records.csv) take a few minutes. To play them:

```bash
python -m duelbench.experiments.pool_study play --part "{POOL_PART}" --out results/pool_study
python -m duelbench.experiments.pool_study tell --runs results/pool_study
duelbench suite --smoke --seeds {SUITE_SEEDS} --out results/leaderboard \\
    {" ".join(f"-a {agent}" for agent in SUITE_AGENTS)}
python -m duelbench.experiments.leaderboard.build --runs results/leaderboard
```

To enter, add the agent to `PLAYERS` of `experiments/pool_study/sweep.py` or to `SUITE_AGENTS` of
`experiments/leaderboard/build.py`, and open a pull request with its records.

"""


@dataclass
class Options:
    """What to build from."""

    runs: tuple[Path, ...] = ()
    """Output folders of the suite whose finished runs are added to the records first."""


def pool_specs() -> list[RunSpec]:
    """The agents of the pool."""
    return POOL_STUDY.specs(POOL_PART)


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
        rows=SeedRows(arrays["labels"], {name: arrays[name] for name in METRICS if name in arrays}),
        timing=[dict(zip(("labels", *COSTS), row, strict=True)) for row in spent],
        samples=[],
        finished=True,
        manifest={"guides": [], "arms": spec.lockstep > 0, "role": "floor" if spec.agent == UNIFORM else "rival"},
    )


def page(pool: dict[str, Columns], suite: dict[str, Columns]) -> str:
    """The whole leaderboard, from the records of the pool and those of the suite."""
    parts = {
        "The pool": (recorded_runs(pool_specs(), pool), "online"),
        "The behaviour suite, smoke tasks": (recorded_runs(suite_specs(), suite), UNIFORM),
    }
    subjects = [
        Subject.of(RECORDS.parent, runs, title=title, baseline=baseline) for title, (runs, baseline) in parts.items()
    ]
    return HEADER + "\n".join(markdown(subject, level=2) for subject in subjects)


def main() -> None:
    """Add runs to the records, if any are given, and write the page."""
    ours = {spec.asked_id for spec in suite_specs()}
    for folder in tyro.cli(Options, description=__doc__).runs:
        runs = [run for run in load_runs(folder) if run.asked_id.partition("/")[0] in ours]
        add_records(RECORDS, runs, METRICS, last_only=True)
    write_atomic(PAGE, built())


def built() -> str:
    """The page from the committed records."""
    return page(read_records(POOL_STUDY.records), read_records(RECORDS))


if __name__ == "__main__":
    main()
