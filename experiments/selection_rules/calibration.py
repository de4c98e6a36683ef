"""How far posteriors can be believed: all of them learn from the same random duels of the pool, round by round.

python -m duelbench.experiments.selection_rules.calibration --runs results/selection_rules
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import spearmanr

from duelbench.experiments.selection_rules.data import HeldOut, collected, held_out_duels, log_loss
from duelbench.experiments.selection_rules.sweep import BASE, specs_of
from duelbench.posteriors.dropout import DropoutConfig
from duelbench.posteriors.ensemble import EnsembleConfig
from duelbench.posteriors.gibbs import GibbsConfig
from duelbench.posteriors.laplace import LaplaceConfig
from duelbench.posteriors.prior_ensemble import PriorEnsembleConfig
from duelbench.posteriors.registry import find_posterior
from duelbench.results.report.pictures.drawing import save_csv
from duelbench.runs.configuration.assemble import assemble
from duelbench.runs.configuration.resolve import resolve

Floats = NDArray[np.float64]
HERE = Path(__file__).parent
BINS = 10
COMPARED: dict[str, tuple[str, Any]] = {
    "ensemble": ("ensemble", EnsembleConfig()),
    "prior_ensemble": ("prior_ensemble", PriorEnsembleConfig()),
    "dropout": ("dropout", DropoutConfig()),
    "laplace": ("laplace", LaplaceConfig()),
    "laplace, learned": ("laplace", LaplaceConfig(learned=True)),
    "gibbs": ("gibbs", GibbsConfig()),
}
"""Posteriors as agents have them by default."""
SCORES = ("accuracy", "log_loss", "calibration_error", "rms_error", "spread", "covered", "spread_tells_error")
_ROUND = 32


@dataclass
class Calibration:
    """Options of the comparison."""

    runs: Path = Path("results/selection_rules")
    """Where the runs of the study are."""
    seeds: int = 10
    """Seeds 0, 1, …, as far as they are there."""
    out: Path = HERE
    """Where calibration.csv and reliability.csv go."""


def main() -> None:
    """Write calibration.csv, a row a posterior and seed, and reliability.csv, a row a bin of them."""
    options = tyro.cli(Calibration)
    scores, bins = [], []
    for seed in range(options.seeds):
        spec = resolve(specs_of("rules", ("pool", BASE))(seed))
        folder = options.runs / "runs" / spec.folder_name
        if not (folder / "DONE").exists():
            continue
        parts = assemble(spec)
        pairs, held_out = collected(spec, folder, parts), held_out_duels(parts, seed)
        parts.env.close()
        for name in COMPARED:
            wins = posterior_wins(name, *pairs, held_out, seed)
            scores.append([name, seed, *(f"{value:.6g}" for value in judged(wins, held_out.chance).values())])
            bins += [[name, seed, *(f"{value:.6g}" for value in row)] for row in reliability(wins, held_out.chance)]
    save_csv(options.out / "calibration.csv", ("posterior", "seed", *SCORES), scores)
    save_csv(options.out / "reliability.csv", ("posterior", "seed", "said", "true", "duels"), bins)


def posterior_wins(name: str, chosen: Any, rejected: Any, held_out: HeldOut, seed: int) -> Floats:
    """P_e(first wins) of the held-out duels by each sample, (K, n), after learning from pairs in rounds."""
    kind, config = COMPARED[name]
    posterior = find_posterior(kind)(chosen.shape[1], np.random.default_rng(seed), config)
    posterior.rewards(np.concatenate([held_out.first, held_out.second]))
    for start in range(0, len(chosen), _ROUND):
        stop = start + _ROUND
        posterior.update(chosen[start:stop], rejected[start:stop], min(stop, len(chosen)))
    gap = posterior.rewards(held_out.first).astype(np.float64) - posterior.rewards(held_out.second)
    wins: Floats = expit(gap)
    return wins


def judged(wins: Floats, chance: Floats) -> dict[str, float]:
    """Scores of sampled win probabilities (K, n) against the true ones (n,).

    ``calibration_error`` is the mean distance of what is said from the mean truth in its bin. ``covered`` is the share
    of duels whose truth lies within two standard deviations of the mean sample: 0.95 if spreads were those of normal
    errors. ``spread_tells_error`` is the rank correlation of the spread with the size of the error.
    """
    said, spread = wins.mean(0), wins.std(0)
    error = np.abs(said - chance)
    rows = reliability(wins, chance)
    return {
        "accuracy": float(((said > 0.5) == (chance > 0.5))[chance != 0.5].mean()),
        "log_loss": log_loss(said, chance),
        "calibration_error": float(sum(n * abs(s - t) for s, t, n in rows) / len(chance)),
        "rms_error": float(np.sqrt((error**2).mean())),
        "spread": float(np.sqrt((spread**2).mean())),
        "covered": float((error <= 2.0 * spread).mean()),
        "spread_tells_error": float(spearmanr(spread, error).statistic),
    }


def reliability(wins: Floats, chance: Floats) -> list[tuple[float, float, int]]:
    """(mean said, mean true, duels) in each bin of what the mean sample says that is not empty."""
    said = wins.mean(0)
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    return [
        (float(said[inside].mean()), float(chance[inside].mean()), int(inside.sum()))
        for inside in (place == b for b in range(BINS))
        if inside.any()
    ]


if __name__ == "__main__":
    main()
