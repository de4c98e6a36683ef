"""Measure every reference regret with our agents and print the table, in standard errors.

    python -m duelbench.experiments.reference_regrets.check --seeds 200

A row is off by (ours − theirs) / √(s.e.² + s.e.²); where the same instances are played the difference is smaller than
that suggests, so the number is cautious.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from duelbench.experiments.reference_regrets.references import PROBLEMS, REFERENCES, Reference
from duelbench.records.spec import Judging, RunSpec
from duelbench.runs.execute import execute


@dataclass(frozen=True)
class Check:
    """Options of the check."""

    seeds: int = 200
    """Seeds on the matrices; problems with given instances play those."""
    workers: int = os.cpu_count() or 1
    """Processes."""
    out: Path = Path("results/reference_regrets")
    """Output folder; what was measured there is not measured again."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Our figure beside a reference: mean, standard error, and the difference in combined standard errors."""

    reference: Reference
    mean: float
    error: float

    @property
    def off(self) -> float:
        """(ours − theirs) / √(s.e.² + s.e.²), with our error alone where theirs is not known."""
        return (self.mean - self.reference.mean) / float(np.hypot(self.error, np.nan_to_num(self.reference.error)))


def spec_of(reference: Reference, seeds: int) -> RunSpec:
    """The lock-step run that a reference is compared with."""
    problem = PROBLEMS[reference.problem]
    return RunSpec(
        env=problem.env,
        agent=reference.agent,
        seed=0,
        labels=problem.labels,
        batch=1,
        judging=Judging(every=problem.labels // 10),
        env_kwargs=problem.kwargs,
        agent_options=reference.options,
        lockstep=problem.instances or seeds,
    )


def measure(references: list[Reference], seeds: int, out: Path, workers: int = 1) -> list[Measured]:
    """Play what is not yet there, and read every figure.

    Raises:
        RuntimeError: with the traceback of a run that failed.
    """
    specs = {spec.asked_id: spec for spec in (spec_of(reference, seeds) for reference in references)}
    outcomes = {o.spec.asked_id: o for o in execute(list(specs.values()), out, workers=min(workers, len(specs)))}
    found = []
    for reference in references:
        outcome = outcomes[spec_of(reference, seeds).asked_id]
        if outcome.folder is None:
            raise RuntimeError(f"{reference.agent} on {reference.problem} failed:\n{outcome.error}")
        with np.load(outcome.folder / "curves.npz", allow_pickle=False) as curves:
            last = curves[f"cumulative_{reference.metric}_regret"][:, -1] * PROBLEMS[reference.problem].scale
        found.append(Measured(reference, float(last.mean()), float(last.std(ddof=1) / np.sqrt(len(last)))))
    return found


def table(measured: list[Measured]) -> str:
    """A Markdown table."""
    lines = ["| problem | agent | regret | ours | reference | by | off (s.e.) |", "|---|---|---|---|---|---|---|"]
    for m in sorted(measured, key=lambda m: (list(PROBLEMS).index(m.reference.problem), m.mean)):
        r = m.reference
        options = "".join(f" {name}={value}" for name, value in r.options.items())
        theirs = f"{r.mean:,.1f}" + ("" if np.isnan(r.error) else f" ± {r.error:.1f}")
        lines.append(
            f"| {r.problem} | {r.agent}{options} | {r.metric} | {m.mean:,.1f} ± {m.error:.1f} | {theirs} | {r.source} "
            f"| {m.off:+.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    options = tyro.cli(Check)
    print(table(measure(REFERENCES, options.seeds, options.out, options.workers)))


if __name__ == "__main__":
    main()
