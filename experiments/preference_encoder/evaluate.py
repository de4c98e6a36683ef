"""Measure an encoder: how much of a taste is linear in its features, and what n labels teach a reward model on them.

python -m duelbench.experiments.preference_encoder.evaluate [--encoder preference] [--out FILE.csv]

On the prompts of `short-writing`, which no training saw. R² is linear, within prompts, fitted on duel prompts, judged
on held-out ones; accuracy is the share of held-out pairs that Bayesian logistic regression orders as the true utilities
do, after n Bradley–Terry answers on random pairs, its prior's precision chosen by the evidence.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from rich.console import Console
from scipy.special import expit, log_expit

from duelbench.envs.text.tasks.load import load_task
from duelbench.experiments.pool.describe import explained
from duelbench.oracles.reader.reader import Reader
from duelbench.posteriors.encoders.registry import make_encoder
from duelbench.posteriors.laplace import posterior_mode
from duelbench.streams import Streams

TASTES = ("reader-easy", "reader", "reader-hard", "reader-rare")
LABELS = (64, 128, 512, 2048)
_PRECISIONS = 10.0 ** np.arange(-2.0, 3.5, 0.5)
_SEEDS = 5
Floats = NDArray[np.float64]


@dataclass
class Evaluate:
    """Options of the measurement."""

    encoder: str = "preference"
    """Name of the encoder; `stored:NAME` takes the features that the task's file has, `own` the taste's own."""
    task: str = "short-writing"
    """Task with stored references."""
    out: Path | None = None
    """CSV file that the rows are appended to."""
    note: str = ""
    """What the rows are called, if not by the encoder's name."""


def evidence(differences: Floats, precision: float) -> tuple[float, Floats]:
    """Log evidence of n won pairs z (n, p) by Laplace's method, and θ̂."""
    mode, hessian = posterior_mode(differences, precision, np.zeros(differences.shape[1]))
    fit = float(log_expit(differences @ mode).sum() - 0.5 * precision * mode @ mode)
    return fit + 0.5 * (len(mode) * np.log(precision) - np.linalg.slogdet(hessian)[1]), mode


def accuracy(features: Floats, utilities: Floats, n_duel: int, labels: int, seed: int) -> float:
    """Share of random held-out pairs ordered right after some labels on random pairs."""
    rng = Streams(seed).generator("encoder")
    x, u = features[:n_duel], utilities[:n_duel]
    rows = rng.integers(n_duel, size=labels)
    first, second = _two(rng, labels, u.shape[1])
    won = rng.random(labels) < expit(u[rows, first] - u[rows, second])
    z = (x[rows, first] - x[rows, second]) * np.where(won, 1.0, -1.0)[:, None]
    _, theta = max((evidence(z, p) for p in _PRECISIONS), key=lambda found: found[0])
    rows = rng.integers(n_duel, len(utilities), size=20_000)
    first, second = _two(rng, len(rows), u.shape[1])
    gap = utilities[rows, first] - utilities[rows, second]
    guess = (features[rows, first] - features[rows, second]) @ theta
    return float((np.sign(guess) == np.sign(gap))[gap != 0].mean())


def _two(rng: np.random.Generator, n: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first = rng.integers(width, size=n)
    return first, (first + rng.integers(1, width, size=n)) % width


def measure(options: Evaluate) -> list[dict[str, str]]:
    """One row a taste."""
    task = load_task(options.task)
    n, width = task.references.shape
    prompts, texts = np.repeat(np.array(task.prompts, object), width).tolist(), task.references.ravel().tolist()
    rows: list[dict[str, str]] = []
    for taste in TASTES:
        oracle = Reader(taste)
        utilities = oracle.utilities(prompts, texts).reshape(n, width)
        if options.encoder == "own":
            features = oracle.features(prompts, texts).reshape(n, width, -1)
            features = features / (features.std((0, 1)) + 1e-9)
        elif options.encoder.startswith("stored:"):
            features = task.features[options.encoder.removeprefix("stored:")].astype(np.float64)
        elif not rows:
            encoder = make_encoder(options.encoder)
            features = encoder.encode(task.prompts, task.references.tolist()).numpy().astype(np.float64)
        found = {"encoder": options.note or options.encoder, "task": options.task, "taste": taste}
        found["r2"] = f"{explained(features.astype(np.float32), utilities, task.n_duel):.3f}"
        for labels in LABELS:
            shares = [accuracy(features, utilities, task.n_duel, labels, 1000 + seed) for seed in range(_SEEDS)]
            found[f"accuracy_{labels}"] = f"{np.mean(shares):.3f}"
        rows.append(found)
    return rows


def main() -> None:
    """Print the rows, and append them to a file if one is named."""
    torch.set_num_threads(1)
    options = tyro.cli(Evaluate)
    rows = measure(options)
    for row in rows:
        Console().print(row)
    if options.out is not None:
        new = not options.out.is_file()
        with options.out.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
