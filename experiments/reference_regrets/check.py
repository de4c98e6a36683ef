"""Measure every reference regret with our agents, keep it in ``measured.csv``, and write RESULTS.md from that.

    python -m duelbench.experiments.reference_regrets.check --seeds 200

A row is off by (ours − theirs) / √(s.e.² + s.e.²); where the same instances are played the difference is smaller than
that suggests, so the number is cautious.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from duelbench.experiments.reference_regrets.references import PROBLEMS, REFERENCES, Reference
from duelbench.records.files import write_atomic
from duelbench.records.spec import Judging, RunSpec
from duelbench.results.report.pictures.drawing import save_csv
from duelbench.runs.execute import execute

MEASURED = Path(__file__).with_name("measured.csv")
PAGE = MEASURED.with_name("RESULTS.md")


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


def measure(references: Sequence[Reference], seeds: int, out: Path, workers: int = 1) -> list[Measured]:
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


def save(measured: Sequence[Measured]) -> None:
    """Write what was measured, in the order of the references."""
    rows = [(m.reference.problem, m.reference.agent, f"{m.mean:.6g}", f"{m.error:.6g}") for m in measured]
    save_csv(MEASURED, ("problem", "agent", "mean", "error"), rows)


def read() -> list[Measured]:
    """What was measured: a line for each reference."""
    with MEASURED.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    found = []
    for reference, line in zip(REFERENCES, lines, strict=True):
        if (reference.problem, reference.agent) != (line["problem"], line["agent"]):
            raise ValueError(f"{MEASURED} has other references than references.py: measure again")
        found.append(Measured(reference, float(line["mean"]), float(line["error"])))
    return found


def results() -> str:
    """The page from the committed measurements."""
    measured = read()
    beyond = {limit: sum(abs(m.off) > limit for m in measured) for limit in (2, 3)}
    head = (
        "Written by a program from `measured.csv`. Regret is mean ± standard error; “off” is the difference in combined"
    )
    told = f"{len(measured)} comparisons: {beyond[2]} off by more than 2, {beyond[3]} by more than 3."
    return f"# Results\n\n{head} standard errors. {told}\n\n{table(measured)}\n"


def table(measured: Sequence[Measured]) -> str:
    """A Markdown table."""
    lines = [
        "| problem | agent | regret | ours | reference | by | off |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for m in sorted(measured, key=lambda m: (list(PROBLEMS).index(m.reference.problem), m.mean)):
        r = m.reference
        options = "".join(f" {name}={value}" for name, value in r.options.items())
        theirs = f"{r.mean:,.1f}" + ("" if np.isnan(r.error) else f" ± {r.error:.1f}")
        lines.append(
            f"| {r.problem} | {r.agent}{options} | {r.metric} | {m.mean:,.1f} ± {m.error:.1f} | {theirs} | {r.source} "
            f"| {m.off:+.1f} |".replace("-", "−")
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, and write both files."""
    options = tyro.cli(Check)
    save(measure(REFERENCES, options.seeds, options.out, options.workers))
    write_atomic(PAGE, results())


if __name__ == "__main__":
    main()
