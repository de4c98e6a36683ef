"""Race TRL's OnlineDPOTrainer against duelbench's agents: separate processes, turn by turn, on the same work.

    python -m duelbench.experiments.speed.race --model DIR --trl-python TRL_VENV/bin/python

Prints a markdown table: CPU seconds of a step (median over rounds and steps), against TRL's faster well-set setting
and against TRL as it comes, and peak memory. One thread: CPU seconds then depend little on what else the machine does.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

HERE = Path(__file__).parent
WELL_SET = ("trl-fp32", "trl-autocast")
STOCK = "trl-stock"
PARTS = (
    "generate",
    "ref_forward",
    "policy_forward",
    "policy_backward",
    "clip",
    "optimizer",
    "posterior",
    "reward",
    "other",
)

Records = dict[str, list[dict[str, Any]]]


@dataclass
class Race:
    """Options of a race."""

    model: Path
    """Folder of a Llama-type model with its tokenizer."""
    trl_python: Path | None = None
    """Interpreter that has trl; without it only duelbench runs."""
    stock: bool = True
    """Also run TRL as it comes, which is slow."""
    sea: bool = False
    """Also run sea with 20 candidates, with our default posterior and with the paper's."""
    rounds: int = 2
    """Times that every contender runs."""
    warm: int = 1
    """Steps of a run that are not counted."""
    steps: int = 5
    """Steps of a run that are."""
    out: Path | None = None
    """File for all records, JSON."""


def contenders(race: Race) -> dict[str, list[str]]:
    """The command of each."""
    own = [sys.executable, "-m", "duelbench.experiments.speed.ours"]
    commands = {"duelbench online": own}
    if race.sea:
        commands["duelbench sea, M = 20"] = [*own, "--agent", "sea"]
        commands["the same with the paper's ensemble"] = [*own, "--agent", "sea", "--posterior", "ensemble"]
    if race.trl_python:
        trl = [str(race.trl_python), str(HERE / "trl_online.py")]
        commands |= {"trl-fp32": trl, "trl-autocast": [*trl, "--autocast"]}
        if race.stock:
            commands[STOCK] = [*trl, "--stock"]
    return commands


def run(command: list[str], race: Race) -> dict[str, Any]:
    """One contender in a process of its own, so that its peak memory is its own.

    Raises:
        RuntimeError: it failed.
    """
    options = {"model": race.model, "warm": race.warm, "steps": race.steps}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *words], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def play(race: Race, console: Console) -> Records:
    """All rounds; the order turns by one each round."""
    commands = contenders(race)
    records: Records = {name: [] for name in commands}
    order = list(commands)
    for number in range(race.rounds):
        for name in order:
            records[name].append(run(commands[name], race))
            console.print(
                f"round {number + 1}: {name}: {records[name][-1]['step_cpu_s']:.3f} CPU s a step", style="dim"
            )
            if race.out:
                race.out.write_text(json.dumps(records, indent=1))
        order = order[1:] + order[:1]
    return records


def median(records: list[dict[str, Any]], key: str) -> float:
    """Over all measured steps of all rounds."""
    return statistics.median(second for record in records for second in record[key])


def tables(records: Records) -> str:
    """Times with their ratios, then the parts of a step, in markdown."""
    times = {name: median(runs, "step_cpu_s_all") for name, runs in records.items()}
    well_set, stock = min((times[name] for name in WELL_SET if name in times), default=None), times.get(STOCK)
    lines = ["| | CPU s a step | × best well-set TRL | × TRL as it comes | peak MB |", "|---|---|---|---|---|"]
    for name, seconds in times.items():
        peak = statistics.median(record["peak_rss_mb"] for record in records[name])
        ratios = (f"{seconds / base:.2f}" if base else "–" for base in (well_set, stock))
        lines.append(f"| {name} | {seconds:.3f} | {' | '.join(ratios)} | {peak:.0f} |")
    lines += ["", f"| CPU s | {' | '.join(PARTS)} |", "|---" * (len(PARTS) + 1) + "|"]
    for name, runs in records.items():
        cells = [statistics.median(r["split_wall_cpu_s"].get(part, (0.0, 0.0))[1] for r in runs) for part in PARTS]
        lines.append(f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run and print."""
    race = tyro.cli(Race, description=__doc__)
    records = play(race, Console(stderr=True))
    Console(soft_wrap=True).print(tables(records), markup=False, highlight=False)


if __name__ == "__main__":
    main()
