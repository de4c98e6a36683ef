"""Measure the pool that ships with the package: spread, headroom, and how much of the taste its features show.

python -m duelbench.experiments.pool.describe [TASK]
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from duelbench.envs.text.tasks.load import load_task

RIDGE = 100.0  # penalty of the linear model; fixed, not chosen on the judged prompts


def explained(features: NDArray[np.float32], utilities: NDArray[np.float64], n_fit: int) -> float:
    """Share of the within-prompt variance of u on held-out prompts that a ridge regression explains."""
    x = (features - features.mean(1, keepdims=True)).astype(np.float64)  # (P, N, d)
    y = utilities - utilities.mean(1, keepdims=True)  # (P, N)
    fit = x[:n_fit].reshape(-1, x.shape[-1])
    weights = np.linalg.solve(fit.T @ fit + RIDGE * np.eye(x.shape[-1]), fit.T @ y[:n_fit].ravel())
    left = y[n_fit:] - x[n_fit:] @ weights
    return float(1 - (left**2).sum() / (y[n_fit:] ** 2).sum())


def results(name: str = "short-writing") -> str:
    """What a task holds, as Markdown."""
    task = load_task(name)
    n_all, n_stored = task.references.shape
    words = np.mean([len(text.split()) for text in task.references.ravel()])
    shown = [f"R² of `{name}` (d = {features.shape[-1]})" for name, features in task.features.items()]
    head = ["oracle", "sd of u within a prompt", "best − mean", *shown]
    lines = [head, ["---"] * len(head)]
    for oracle, u in task.utilities.items():
        headroom = (u.max(1) - u.mean(1)).mean()
        shares = [f"{explained(features, u, task.n_duel):.2f}" for features in task.features.values()]
        lines.append([oracle, f"{u.std(1).mean():.2f}", f"{headroom:.2f}", *shares])
    title = f"{task.n_duel} + {n_all - task.n_duel} prompts, N = {n_stored}, {words:.1f} words a response."
    return f"# Results\n\nWritten by a program from the task `{name}`: {title}\n\n" + (
        "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
    )


def main() -> None:
    """Print the table of a task."""
    Console(soft_wrap=True).print(results(*sys.argv[1:]), markup=False, highlight=False)


if __name__ == "__main__":
    main()
