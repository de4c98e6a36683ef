"""Measure generation, agents and TRL on one GPU, row by row, within some minutes.

    python -m duelbench.experiments.gpu.measure --out gpu.json [--trl-python TRL/bin/python]

README.md says what each row is. Every row is a process of its own, so that its memory is its own; a row that fails says
why, and the others go on. After ``--minutes`` no row is begun, and one that runs is ended. Nothing is fetched.
``--toy`` does the same with toy sizes, on any machine, to see that it works: its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from duelbench.experiments.gpu.rows import Plan, card_row, models_row, play
from duelbench.experiments.gpu.tables import tables

_NEEDED = ("torch", "transformers", "safetensors", "accelerate", "peft")
_HAS = "import importlib.util as u; print([u.find_spec(name) is not None for name in ('trl', 'vllm')])"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured.

    Attributes:
        models: most important first; the first takes part in no race.
        work: of the agents' rows, over the defaults of ``agents.Work``.
        race: of a race's contenders (``experiments/speed/work.py``).
        most: seconds of a row.
    """

    models: tuple[str, ...]
    work: dict[str, int]
    race: dict[str, int]
    most: float


GPU = Size(
    ("tiny", "smollm2-135m", "pythia-1b"),
    {},
    {"batch": 32, "prompt-len": 24, "new-tokens": 64, "warm": 3, "steps": 8},
    120.0,
)
TOY = Size(
    ("mini", "toy"),
    {
        "prompts": 2,
        "samples": 2,
        "tokens": 4,
        "draws": 1,
        "batch": 2,
        "candidates": 3,
        "warm": 1,
        "rounds": 1,
    },
    {"batch": 2, "prompt-len": 12, "new-tokens": 4, "warm": 1, "steps": 1},
    600.0,  # a busy machine, perhaps
)


def arguments(line: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON file, rewritten after every row; logs beside it")
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything")
    parser.add_argument("--models", nargs="+", help="packaged names, names in models.py, or folders")
    parser.add_argument("--trl-python", help="interpreter that has trl: its rows run there")
    parser.add_argument("--vllm", type=json.loads, default={}, help='options of our sampler, e.g. {"sleep": true}')
    parser.add_argument("--toy", action="store_true", help="toy sizes")
    return parser.parse_args(line)


def missing_packages() -> str:
    """What to do about packages without which no row can be measured; empty if there are all."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if not missing:
        return ""
    return (
        f"{sys.executable} lacks {', '.join(missing)}: pip install 'duelbench[lm]', or, on a machine without network, "
        "wheels that were downloaded elsewhere (experiments/gpu/README.md)"
    )


def has_trl_and_vllm(python: str | None) -> tuple[bool, bool]:
    """What an interpreter has."""
    if python is None:
        return False, False
    try:
        done = subprocess.run([python, "-c", _HAS], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise SystemExit(f"--trl-python {python} is no Python interpreter that runs here: {error}") from error
    trl, vllm = json.loads(done.stdout.lower())
    if not trl:
        raise SystemExit(f"--trl-python {python} has no trl: {python} -m pip install trl==1.16.0")
    return trl, vllm


def left_out(plan: Plan, models: dict[str, Any]) -> list[str]:
    """Rows that are not even tried, and why."""
    reasons = [f"every model: {models['failed']}"] if "failed" in models else []
    if not plan.rows() or plan.rows()[0].kind != "tests":
        reasons.append("the GPU's tests: this folder has no tests/gpu, run it in the repository")
    if not plan.vllm:
        reasons.append(f"rows with vLLM: {sys.executable} has none (pip install 'vllm>=0.30')")
    if plan.trl is None:
        reasons.append("rows of TRL: no --trl-python")
    elif plan.vllm and not plan.trl_vllm:
        reasons.append(f"TRL with vLLM: {plan.trl} has no vLLM")
    if plan.device == "cpu":
        reasons.append("figures of a GPU: torch sees none")
    return reasons


def measure(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Measure row after row, writing the record after each."""
    size, started = TOY if options.toy else GPU, time.monotonic()
    names = options.models or list(size.models)
    trl, trl_vllm = has_trl_and_vllm(options.trl_python)
    record: dict[str, Any] = {"command": _command(), "minutes": options.minutes, "toy": options.toy}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.with_suffix(".log").open("w+") as log:

        def left() -> float:
            return 60 * options.minutes - (time.monotonic() - started)

        record["card"] = play(card_row(size.most), left(), log)
        found = play(models_row(names, scratch, size.most), left(), log)
        plan = Plan(
            models=names,
            folders=found.get("folders", {}),
            vllm=find_spec("vllm") is not None,
            trl=options.trl_python if trl else None,
            trl_vllm=trl_vllm,
            device="cuda" if record["card"].get("cuda_available") else "cpu",
            work=size.work,
            race=size.race,
            vllm_options=options.vllm,
            most=size.most,
        )
        record |= {"models": found, "left_out": left_out(plan, found), "work": size.work, "race": size.race, "rows": []}
        for row in plan.rows():
            record["rows"].append(ended := play(row, left(), log))
            print(f"{row.kind} {row.name} {row.what}: {ended.get('failed', 'done')}", file=sys.stderr, flush=True)
            options.out.write_text(json.dumps(record, indent=1) + "\n")
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    return record


def _command() -> str:
    return shlex.join(["python", "-m", "duelbench.experiments.gpu.measure", *sys.argv[1:]])


def main(line: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    options = arguments(line)
    if said := missing_packages():
        raise SystemExit(said)
    with tempfile.TemporaryDirectory() as scratch:
        record = measure(options, Path(scratch))
    print(tables(record))  # this program's output


if __name__ == "__main__":
    main()
