"""Play the paper's card on a GPU machine, one scale at a time.

    python -m duelbench.experiments.tldr.run --scale 1b --agent sea --agent online
    python -m duelbench.experiments.tldr.run --scale 1b --dry-run      # only print the specifications

The same command again goes on where it stopped.
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from duelbench.experiments.tldr.card import OPTIONS, Setting, run_spec
from duelbench.records.record import load_runs
from duelbench.records.spec import RunSpec
from duelbench.results.report.page import write_report
from duelbench.runs.execute import execute, say_failures


@dataclass
class TLDR:
    """Align Pythia on TL;DR as in arXiv 2411.01493."""

    scale: Literal["1b", "2.8b", "6.9b"] = "1b"
    """Size of the language model."""
    agent: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Agent; repeat for several. Default: all of the paper's: offline, online, apl, xpo, sea, sea-ee."""
    optimizer: Literal["dpo", "ipo", "slic"] = "dpo"
    """Direct optimizer of the policy."""
    seeds: int = 3
    """Number of seeds: 0, 1, …, N − 1."""
    setting: tyro.conf.OmitArgPrefixes[Setting] = field(default_factory=Setting)
    """What may differ from the card."""
    out: Path = Path("results/tldr")
    """Output folder."""
    dry_run: bool = False
    """Print the run specifications, one JSON object a line, and stop."""


def specs_of(options: TLDR) -> list[RunSpec]:
    """The runs that were asked for, seed by seed.

    Raises:
        ValueError: an agent that is not in the card.
    """
    agents = tuple(dict.fromkeys(options.agent or OPTIONS))
    if unknown := sorted(set(agents) - OPTIONS.keys()):
        raise ValueError(f"the card has no agent {unknown[0]!r}: expected one of {', '.join(OPTIONS)}")
    return [
        run_spec(options.scale, agent, seed, options.optimizer, options.setting)
        for seed in range(options.seeds)
        for agent in agents
    ]


def main(argv: list[str] | None = None) -> int:
    """Play what is missing and write the report; returns 1 if a run failed, 2 for bad usage."""
    argv = sys.argv[1:] if argv is None else argv
    options = tyro.cli(TLDR, args=argv, prog="duelbench.experiments.tldr.run")
    console = Console(stderr=True)
    try:
        specs = specs_of(options)
    except ValueError as error:
        console.print(str(error), markup=False, highlight=False)
        return 2
    if options.dry_run:
        for spec in specs:
            print(json.dumps(spec.to_json()))  # the one thing that goes to standard output
        return 0
    command = shlex.join(["python", "-m", "duelbench.experiments.tldr.run", *argv])
    # One after another: each run fills the GPU.
    outcomes = execute(specs, options.out, command=command, console=console)
    failed = say_failures(outcomes, console)
    if len(failed) < len(outcomes):
        report = write_report(options.out, load_runs(options.out))
        console.print(f"Report: {report}", markup=False, highlight=False, soft_wrap=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
