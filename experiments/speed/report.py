"""How long a report takes: made-up records of a large sweep, in the form in which runs leave them, read and drawn.

python -m duelbench.experiments.speed.report                  # 10 tasks x 10 agents x 100 seeds = 10,000 runs
python -m duelbench.experiments.speed.report --seeds 5 --keep results/made_up
"""

from __future__ import annotations

import json
import logging
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from duelbench.records.plan import Plan, Planned
from duelbench.records.record import CALIBRATION_FILE, SCHEMA_VERSION, load_runs
from duelbench.records.spec import Judging, RunSpec
from duelbench.results.report.page import write_report

LABELS, EVALUATIONS = 2048, 9
AGENTS = ("uniform", "offline", "online", "apl", "xpo", "sea", "sea-ee", "mine:Bold", "mine:Shy", "mine:Wild")
PREDICTING = ("sea", "sea-ee")
VERSIONS = {"python": "3.12.0", "duelbench": "0.1.0", "numpy": "2.4.6", "torch": "2.13.0"}


@dataclass
class Options:
    """Size of the sweep."""

    tasks: int = 10
    agents: int = 10
    seeds: int = 100
    keep: Path | None = None
    """Folder to write to and leave there; a temporary one if not given."""


def planned(options: Options) -> list[RunSpec]:
    """The runs of the sweep; tasks differ in the temperature of their oracle."""
    return [
        RunSpec(
            "LLMDuelPool-v0",
            agent,
            seed,
            LABELS,
            judging=Judging(every=LABELS // (EVALUATIONS - 1)),
            env_kwargs={"temperature": round(0.5 + 0.1 * task, 1)},
            learner={"learning_rate": 0.01},
        )
        for task in range(options.tasks)
        for agent in AGENTS[: options.agents]
        for seed in range(options.seeds)
    ]


def write_record(folder: Path, spec: RunSpec) -> None:
    """A finished run as ``RunFolder`` writes it, without playing it or waiting for the disk."""
    rng = np.random.default_rng(int(spec.run_id, 16))
    speed = AGENTS.index(spec.agent) / len(AGENTS) * (1.0 if spec.agent != "uniform" else 0.0)
    labels = np.linspace(0, spec.labels, EVALUATIONS).astype(int)
    gain = speed * (1 - np.exp(-3 * labels / spec.labels)) + 0.02 * rng.standard_normal(EVALUATIONS).cumsum()
    rows = [_row(rng, int(n), float(g)) for n, g in zip(labels, gain, strict=True)]
    timing = [
        {"labels": int(n), "wall_seconds": 0.01 * n * (1 + 9 * speed), "generated_tokens": 64.0 * n} for n in labels
    ]
    samples = [{"prompt": f"Prompt {i}?", "before": "It rains. " * 12, "after": "A fox sang. " * 12} for i in range(8)]
    manifest = {
        "schema": SCHEMA_VERSION,
        "run_id": spec.run_id,
        "spec": spec.to_json(),
        "command": "duelbench sweep made-up",
        "created": "2026-01-01T00:00:00+00:00",
        "versions": VERSIONS,
        "git": "0123abc",
        "comparator": "the best of 64",
        "reference": "64 stored reference responses to the same prompt",
        "judge": "reader",
    }
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for name, lines in (("metrics", rows), ("timing", timing)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines), encoding="utf-8")
    (folder / "samples.json").write_text(json.dumps(samples, indent=1), encoding="utf-8")
    if spec.agent in PREDICTING:
        (folder / CALIBRATION_FILE).write_text(json.dumps(_predictions(rng)), encoding="utf-8")
    (folder / "DONE").touch()


def _row(rng: np.random.Generator, labels: int, gain: float) -> dict[str, float]:
    regrets = {f"cumulative_{kind}_regret": labels * (1.5 - gain) for kind in ("average", "weak", "probability")}
    rates = ("offline_win_rate", "offline_win_probability", "online_win_rate", "online_win_probability")
    learning = ("loss", "accuracy", "margin", "grad_norm", "posterior_accuracy", "posterior_loss")
    row = {"labels": labels, "rounds": labels // 32, "invalid_answers": 0, "pairs": 32.0, "simple_regret": 1.7 - gain}
    row |= regrets | {name: 0.5 + 0.3 * gain for name in rates} | {"offline_utility": gain}
    return row | {name: float(rng.random()) for name in learning}


def _predictions(rng: np.random.Generator) -> dict[str, list[float]]:
    truth, spread = rng.random(256), 0.2 * rng.random(256)
    guess = np.clip(truth + spread * rng.standard_normal(256), 0, 1)
    columns = {"probability": guess, "spread": spread, "truth": truth}
    return {name: np.round(values, 6).tolist() for name, values in columns.items()}


def measure(options: Options, folder: Path) -> dict[str, Any]:
    """Write the records, then read and report them; seconds, peak memory and size of the page."""
    specs = planned(options)
    for spec in specs:
        write_record(folder / "runs" / spec.folder_name, spec)
    Plan("made-up", "A made-up sweep", tuple(Planned(spec) for spec in specs)).write(folder)
    begun, started = time.perf_counter(), time.process_time()
    runs = load_runs(folder)
    loaded = time.process_time()
    page = write_report(folder, runs)
    done = time.process_time()
    return {
        "runs": len(runs),
        "load_cpu_s": round(loaded - started, 1),
        "report_cpu_s": round(done - loaded, 1),
        "wall_s": round(time.perf_counter() - begun, 1),
        "page_MB": round(page.stat().st_size / 1e6, 1),
        "peak_MiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    """Measure and say the numbers."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = tyro.cli(Options, description=__doc__)
    if options.keep is not None:
        found = measure(options, options.keep)
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(options, Path(folder))
    logging.info(json.dumps(found))


if __name__ == "__main__":
    main()
