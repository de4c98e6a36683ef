"""Compare settings of one agent on tuning seeds (1000 and up), which no reported number ever uses.

    python -m duelbench.experiments.tuning.tune --env LLMDuelPool-v0 --agent online \
        --try learner.learning_rate=1e-3 --try learner.learning_rate=3e-3

Every ``--try`` is one setting: comma-separated ``learner.NAME=VALUE``, ``agent.NAME=VALUE``,
``env.NAME=VALUE``, ``policy.NAME=VALUE`` or ``run.batch=N`` and ``run.evaluation_repeats=N``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from duelbench.defaults import ENV_DEFAULTS
from duelbench.execute import execute
from duelbench.record import load_runs
from duelbench.spec import RunSpec, option_value

METRICS = ("offline_win_rate", "mean_offline_win_rate", "online_win_rate", "cumulative_average_regret", "simple_regret")
FIRST_SEED = 1000


@dataclass
class Tune:
    """Options of a comparison."""

    env: str = "LLMDuelPool-v0"
    """Environment."""
    agent: str = "online"
    """Agent."""
    trials: Annotated[tuple[str, ...], tyro.conf.arg(name="try"), tyro.conf.UseAppendAction] = ("",)
    """One setting each."""
    seeds: int = 5
    """Tuning seeds 1000, 1001, …"""
    labels: int | None = None
    """Budget."""
    judgements: int = 8
    """How often a run is judged."""
    workers: int = os.cpu_count() or 1
    """Processes."""
    out: Path = Path("results/tuning")
    """Output folder."""


def specs_of(options: Tune, setting: str) -> list[RunSpec]:
    """The runs of one setting."""
    defaults = ENV_DEFAULTS[options.env]
    changes: dict[str, dict[str, Any]] = {"learner": {}, "agent": {}, "env": {}, "policy": {}, "run": {}}
    for part in filter(None, setting.split(",")):
        left, _, value = part.partition("=")
        where, _, name = left.partition(".")
        changes[where][name] = option_value(value)
    labels = options.labels or defaults.labels
    run = {"batch": defaults.batch, "evaluation_repeats": defaults.evaluation_repeats} | changes["run"]
    return [
        RunSpec(
            env=options.env,
            agent=options.agent,
            seed=seed,
            labels=labels,
            evaluate_every=max(1, labels // options.judgements),
            env_kwargs=changes["env"],
            agent_options=changes["agent"],
            learner=defaults.learner | changes["learner"],
            policy=defaults.policy | changes["policy"],
            **run,
        )
        for seed in range(FIRST_SEED, FIRST_SEED + options.seeds)
    ]


def main() -> None:
    """Run every setting and print one row for each: mean ± standard error over the tuning seeds."""
    options = tyro.cli(Tune)
    settings = {setting: specs_of(options, setting) for setting in options.trials}
    everything = [spec for specs in settings.values() for spec in specs]
    outcomes = execute(everything, options.out, workers=options.workers)
    runs = {run.run_id: run for run in load_runs(options.out)}
    table = Table("setting", *METRICS, title=f"{options.agent} on {options.env}, {options.seeds} tuning seeds")
    for setting, specs in settings.items():
        rows = [runs[spec.run_id].rows for spec in specs if runs[spec.run_id].finished]
        finals = [
            run[-1] | {"mean_offline_win_rate": np.mean([row["offline_win_rate"] for row in run])} for run in rows
        ]
        values = {name: np.array([final[name] for final in finals]) for name in METRICS if name in finals[0]}
        cells = [f"{v.mean():.3f} ± {v.std(ddof=1) / len(v) ** 0.5:.3f}" for v in values.values()]
        table.add_row(setting or "default", *cells)
    Console(width=160).print(table)
    for outcome in outcomes:
        if outcome.error:
            Console(stderr=True).print(outcome.spec.agent_options, outcome.error, markup=False)


if __name__ == "__main__":
    main()
