"""Tables of what was measured, from ``measured.csv``: the machine and the command stand above each."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

MEASURED = Path(__file__).with_name("measured.csv")
RESPONSES_TOKENS = 32 * 8 * 48
"""Tokens that a sampler draws: prompts × responses × tokens of each."""

Row = Mapping[str, float]
"""Measured values by column."""

Rows = Mapping[str, Row]


@dataclass(frozen=True)
class Timing:
    """A table.

    Attributes:
        title: its heading.
        machine: on which it was measured.
        command: that measures it.
        columns: by heading: the text of a cell, from its row and all rows.
    """

    title: str
    machine: str
    command: str
    columns: Mapping[str, Callable[[Row, Rows], str]]


def _value(column: str, digits: int) -> Callable[[Row, Rows], str]:
    return lambda row, rows: f"{row[column]:,.{digits}f}"


def _ratio(column: str, base: str) -> Callable[[Row, Rows], str]:
    return lambda row, rows: f"{row[column] / rows[base][column]:.2f}"


def _faster(row: Row, rows: Rows) -> str:
    one = rows["1,000 runs, one worker"]["wall_s"]
    return f"{one / row['wall_s']:.2f}×" if row is rows["1,000 runs, two workers"] else ""


def _against_before(row: Row, rows: Rows) -> str:
    return f"{row['cpu_s'] / row['before_cpu_s']:.2f}"


def _per_second(row: Row, rows: Rows) -> str:
    return f"{RESPONSES_TOKENS / row['cpu_s']:,.0f}"


XEON = "2 cores of an Intel Xeon with AVX-512 and without AMX, 24 GiB, torch 2.13.0, one thread, nothing else running"
BUSY = (
    "2 cores of an AMD EPYC (AVX-512, no AMX) that others were using, which costs CPU time too; one thread, in turns "
    "with the version before: compare the ratios"
)
QUIET = "2 cores of a quiet machine, one thread a process"

EPYC = "2 cores of an AMD EPYC (AVX-512 with bfloat16, no AMX), torch 2.13.0, one thread, CPU time, in turns"
RACE = "python -m duelbench.experiments.speed.race --model MODEL_FOLDER --trl-python trl/bin/python --sea"

GOALS = {
    "online-smollm2": ("online DPO step on SmolLM2-135M, of TRL's best setting", "≤ 0.30", RACE),
    "online-small": ("the same on 3.4 M parameters", "≤ 0.60", RACE),
    "sea-smollm2": ("SEA, M = 20, on SmolLM2-135M, in `online` steps", "≤ 2.0", RACE),
    "sea-small": ("the same on 3.4 M parameters", "≤ 2.5", RACE),
    "ide": (
        "1,024 labels of `ide` on LLMDuel-v0, CPU s",
        "≤ 120",
        "duelbench run --agent ide --labels 1024 --first-seed 1000 --seeds 1 --workers 1",
    ),
    "lone": (
        "two agents on arms with one seed, whole command, CPU s",
        "≤ 2",
        "duelbench run --env MatrixDuel-v0 --preset arxiv6 --agent rucb --agent double_ts --seeds 1",
    ),
    "fgts": ("FGTS.CDB, steps / CPU s", "≥ 30,000", "python tests/benchmarks/arms_speed.py"),
    "neural": ("neural TS at 20 seeds, steps / CPU s", "≥ 8,000", "python tests/benchmarks/arms_speed.py"),
    "list": ("`duelbench list`, wall s", "≤ 0.7", "duelbench list"),
    "help": ("`duelbench run --help`, wall s", "≤ 0.4", "duelbench run --help"),
    "report": ("report of 10,000 runs, CPU s", "≤ 15", "python -m duelbench.experiments.speed.report"),
    "growth": (
        "a round of duels at 10⁶ labels, in rounds at 10³",
        "about 1",
        "python -m duelbench.experiments.speed.growth",
    ),
    "demo": ("`make demo` from a fresh clone, wall min", "≤ 8", "make demo"),
}
"""What was to be reached, by name: in words, the goal, and the command that measures it."""

MACHINES = {
    "amx": "Intel with AMX, before",
    "xeon": "Intel without AMX, before",
    "epyc_before": "AMD, before",
    "epyc_float32": "AMD in float32, now",
    "epyc": "AMD, now",
}
"""Columns of the table of goals."""

TIMINGS = {
    "trl-smollm2": Timing(
        "A step beside TRL: SmolLM2-135M-Instruct",
        XEON,
        "python -m duelbench.experiments.speed.race --model MODEL_FOLDER --trl-python trl/bin/python --sea "
        "--rounds 1 --steps 2 --no-stock",
        {
            "CPU s a step": _value("cpu_s", 1),
            "× best well-set TRL": _ratio("cpu_s", "trl-fp32"),
            "peak MB": _value("peak_mb", 0),
        },
    ),
    "trl-small": Timing(
        "A step beside TRL: a Llama of 3.4 M parameters",
        XEON,
        "python -m duelbench.experiments.speed.race --model MODEL_FOLDER --trl-python trl/bin/python --sea "
        "--rounds 2 --steps 6",
        {
            "CPU s a step": _value("cpu_s", 3),
            "× best well-set TRL": _ratio("cpu_s", "trl-fp32"),
            "× TRL as it comes": _ratio("cpu_s", "trl-stock"),
            "peak MB": _value("peak_mb", 0),
        },
    ),
    "trl-smollm2-epyc": Timing(
        "The same on another machine: SmolLM2-135M-Instruct",
        EPYC,
        f"{RACE} --rounds 1 --steps 2 --no-stock",
        {
            "CPU s a step": _value("cpu_s", 1),
            "× best well-set TRL": _ratio("cpu_s", "trl-autocast"),
            "peak MB": _value("peak_mb", 0),
        },
    ),
    "trl-small-epyc": Timing(
        "The same on another machine: a Llama of 3.4 M parameters",
        EPYC,
        f"{RACE} --rounds 2 --steps 6",
        {
            "CPU s a step": _value("cpu_s", 3),
            "× best well-set TRL": _ratio("cpu_s", "trl-autocast"),
            "× TRL as it comes": _ratio("cpu_s", "trl-stock"),
            "peak MB": _value("peak_mb", 0),
        },
    ),
    "trl-small-float32": Timing(
        "The same there, ours in float32",
        EPYC,
        f"DUELBENCH_DTYPE=float32 {RACE} --rounds 2 --steps 6 --no-stock",
        {
            "CPU s a step": _value("cpu_s", 3),
            "× best well-set TRL": _ratio("cpu_s", "trl-autocast"),
            "peak MB": _value("peak_mb", 0),
        },
    ),
    "samplers": Timing(
        f"Samplers: {RESPONSES_TOKENS:,} tokens",
        XEON,
        "python -m duelbench.experiments.speed.generation --model MODEL_FOLDER --vllm-python .venv-vllm/bin/python "
        '--rounds 1 --only "generate float32" "own float32" "raw float32 eager" "vllm float32 eager"',
        {
            "CPU s": _value("cpu_s", 1),
            "tokens / CPU s": _per_second,
            "CPU time, ratio": _ratio("cpu_s", "transformers generate"),
        },
    ),
    "reward-models": Timing(
        "A learning step of SEA's reward models beside oat's",
        XEON,
        "python -m duelbench.experiments.speed.ensemble --oat oat --oatlib oatlib --repeats 8",
        {"CPU ms": _value("cpu_ms", 0), "ratio": _ratio("cpu_ms", "oat 0.2.4")},
    ),
    "plain-loop": Timing(
        "Training beside a plain loop over transformers' `generate`, same model",
        "one core of a CPU with AMX, one thread, in turns",
        "make bench BENCH='-k ratio'",
        {
            "labels / CPU s": _value("labels_per_s", 0),
            "of the plain loop": lambda row, rows: f"{row['loop_labels_per_s']:g}",
            "faster": lambda row, rows: f"{row['labels_per_s'] / row['loop_labels_per_s']:.1f}×",
        },
    ),
    "duelpy": Timing(
        "Agents that play arms, beside duelpy's of the same name: bt10, 200 seeds",
        "one core, in turns",
        "python tests/benchmarks/arms_speed.py --duelpy PYTHON_WITH_DUELPY",
        {"faster": lambda row, rows: f"{row['faster']:.0f}×"},
    ),
    "environments": Timing(
        "Duels a second of the environments alone",
        "one core of a CPU with AMX",
        "make bench BENCH='-k duels'",
        {"batches of 32": _value("batch_per_s", 0), "one at a time": _value("single_per_s", 0)},
    ),
    "report": Timing(
        "A report of 10,000 runs",
        QUIET,
        "python -m duelbench.experiments.speed.report",
        {
            "CPU s to read": _value("read_cpu_s", 1),
            "CPU s to report": _value("report_cpu_s", 1),
            "wall s": _value("wall_s", 1),
            "peak MiB": _value("peak_mib", 0),
            "page, MB": _value("page_mb", 1),
        },
    ),
    "commands": Timing(
        "A whole command, start and report included",
        BUSY,
        "time duelbench run --env MatrixDuel-v0 --preset arxiv6 --agent rucb --agent double_ts --seeds 1",
        {"before, CPU s": _value("before_cpu_s", 2), "CPU s": _value("cpu_s", 2), "ratio": _against_before},
    ),
    "contextual": Timing(
        "Agents with features: 20 seeds, 32 arms in 5 dimensions",
        BUSY,
        "python tests/benchmarks/arms_speed.py",
        {
            "before, duels / CPU s": _value("before_per_s", 0),
            "duels / CPU s": _value("per_s", 0),
            "faster": lambda row, rows: f"{row['per_s'] / row['before_per_s']:.2f}×",
        },
    ),
    "growth": Timing(
        "What a duel costs as history grows",
        "2 cores of an AMD EPYC (AVX-512, no AMX) that others were using, one thread, CPU time",
        "python -m duelbench.experiments.speed.growth",
        {
            "a round of 32 duels with its journal, ms": _value("round_ms", 2),
            "a duel of Double TS on arms, µs": _value("duel_us", 0),
            "peak MiB": _value("peak_mib", 0),
        },
    ),
    "sweep": Timing(
        "A sweep of 1,000 short runs",
        QUIET,
        "python -m duelbench.experiments.speed.sweep",
        {"wall s": lambda row, rows: f"{row['wall_s']:.4g}", "faster": _faster},
    ),
}


def results() -> str:
    """All tables, as Markdown."""
    measured = read_measured()
    parts = [
        "# Results\n\nWritten by a program from `measured.csv`. Timings depend on the machine: compare the ratios."
    ]
    sections = [_section(timing, measured[name]) for name, timing in TIMINGS.items()]
    return "\n\n".join([*parts, _goals(measured["goals"]), *sections]) + "\n"


def read_measured() -> dict[str, dict[str, dict[str, float]]]:
    """Measured values by table, row and column."""
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in ("goals", *TIMINGS)}
    with MEASURED.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            found[line["table"]].setdefault(line["row"], {})[line["column"]] = float(line["value"])
    return found


def _goals(rows: Rows) -> str:
    lines = [["", "goal", *MACHINES.values()], ["---"] * (2 + len(MACHINES))]
    for name, (what, goal, _) in GOALS.items():
        lines.append([what, goal, *(f"{rows[name][m]:,.6g}" if m in rows.get(name, {}) else "–" for m in MACHINES)])
    commands = dict.fromkeys(command for _, _, command in GOALS.values())
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## Goals\n\n```bash\n{chr(10).join(commands)}\n```\n\n{table}"


def _section(timing: Timing, rows: Rows) -> str:
    lines = [["", *timing.columns], ["---"] * (1 + len(timing.columns))]
    lines += [[name, *(cell(row, rows) for cell in timing.columns.values())] for name, row in rows.items()]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"## {timing.title}\n\n```bash\n{timing.command}\n```\n\nOn {timing.machine}.\n\n{table}"
