"""Measure the taste whose good answers are rare, beside the others, on the reference's own responses alone.

    python -m duelbench.experiments.reader.rare

It prints the constants of `reader-rare` in ``duelbench/oracles/reader/taste.py`` and the table of this folder's README:
all that the taste was chosen by. No agent plays here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.special import expit

from duelbench.envs.text.tasks.load import load_task
from duelbench.experiments.reader.measures import best_of, within
from duelbench.oracles.reader.reader import Reader
from duelbench.oracles.reader.taste import FEATURES, MEANS, SCALES, SDS, TASTES

TASK, RARE, FEATURE, LIKE = "short-writing", "reader-rare", "all_at_once", "reader"
COLUMNS = ("sd within a prompt", "5 %", "median", "95 %", "99 %", "best of 8", "best of 64", "half-way", "clear win")
Floats = NDArray[np.float64]


def noticed() -> Floats:
    """What the reader notices of the stored responses to the duel prompts, (P, N, F)."""
    task = load_task(TASK)
    texts = task.references[: task.n_duel]
    asked = np.repeat(np.array(task.prompts[: task.n_duel], object), texts.shape[1]).tolist()
    return Reader().features(asked, texts.ravel().tolist()).reshape(*texts.shape, -1)


def utilities(features: Floats, taste: str, scale: float) -> Floats:
    """u of every response, (P, N)."""
    weights, means, sds = (np.array([t.get(name, 0.0) for name in FEATURES]) for t in (TASTES[taste], MEANS, SDS))
    return np.asarray(scale * ((features - means) / sds @ weights))


def constants(features: Floats) -> dict[str, float]:
    """Mean and spread of `all_at_once`, and the scale that lets `reader-rare` vary within a prompt as `reader` does."""
    column = features[..., list(FEATURES).index(FEATURE)]
    spread = {name: within([*utilities(features, name, scale)]) for name, scale in ((LIKE, SCALES[LIKE]), (RARE, 1.0))}
    return {
        "mean": round(float(column.mean()), 3),
        "sd": round(float(within([*column])), 3),
        "scale": round(float(spread[LIKE] / spread[RARE]), 3),
    }


def statistics(u: Floats) -> tuple[float, ...]:
    """One row of the table, in the order of `COLUMNS`; all but the last two are utilities above a prompt's mean."""
    above = u - u.mean(1, keepdims=True)
    middle = above.max(1, keepdims=True) / 2
    better = expit(np.abs(u[:, :, None] - u[:, None, :]))[:, ~np.eye(u.shape[1], dtype=bool)]
    best = (float(np.mean([best_of(row, n)[0] for row in above])) for n in (8, u.shape[1]))
    return (
        float(within([*u])),
        *np.quantile(above, [0.05, 0.5, 0.95, 0.99]),
        *best,
        (above >= middle).mean(),
        better.mean(),
    )


def table() -> str:
    """The table of the card, as Markdown."""
    features = noticed()
    lines = [["taste", *COLUMNS], ["---"] * (1 + len(COLUMNS))]
    for taste, scale in SCALES.items():
        row = statistics(utilities(features, taste, scale))
        lines.append([taste, *(f"{round(value, 2) + 0.0:.2f}".replace("-", "−") for value in row)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    Console().print(constants(noticed()))
    Console().print(table(), soft_wrap=True)
