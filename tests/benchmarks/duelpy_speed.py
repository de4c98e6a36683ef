"""Duels per CPU second, and regret, of duelpy 1.0.0: the peer that duelbench's dueling speed is measured against.

Run it in an environment of its own, Python 3.11 with

    pip install "numpy<1.24" "scipy<1.11" duelpy==1.0.0
    OMP_NUM_THREADS=1 python tests/benchmarks/duelpy_speed.py --matrix bt10 --rounds 10000 --seeds 20 --json

which is why it imports nothing from duelbench: duelpy uses NumPy names that 1.24 removed, duelbench needs a newer one.

The time is the process's CPU time from an algorithm's construction to its last duel, so other work on the machine
disturbs it little. It holds duelpy's own simulator and one list append a duel; regret is summed up afterwards. Three
known defects show in the regret and are left as they are: RelativeUCB takes the first arm for every duel's winner,
DoubleThompsonSampling's second arm is the likeliest loser, Rmed1 looks at one opponent only, the one with the lowest
index. Every seed therefore relabels the arms: with the matrix's order, best arm first, Rmed1 would look better.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from duelpy.algorithms import DoubleThompsonSampling, RelativeUCB, Rmed1
from duelpy.feedback import MatrixFeedback
from duelpy.util.feedback_decorators import FeedbackMechanismDecorator

ALGORITHMS: dict[str, Callable[..., Any]] = {
    "rucb": RelativeUCB,
    "double_thompson_sampling": DoubleThompsonSampling,
    "rmed1": Rmed1,
}
ARXIV6 = (  # the upper triangle; ranker 0 wins
    (0.55, 0.55, 0.54, 0.61, 0.61),
    (0.55, 0.55, 0.58, 0.60),
    (0.54, 0.51, 0.56),
    (0.54, 0.50),
    (0.51,),
)


@dataclass(frozen=True)
class Result:
    """What one algorithm did: the speed over all seeds, the regret after the last duel, averaged over seeds."""

    duels_per_second: float
    average_regret: float
    standard_error: float | None
    duels: int
    seeds: int


class Recorder(FeedbackMechanismDecorator):  # type: ignore[misc]
    """A feedback mechanism that remembers which arms met."""

    def __init__(self, feedback: MatrixFeedback) -> None:
        super().__init__(feedback)
        self.pairs: list[tuple[int, int]] = []

    def duel(self, arm_i_index: int, arm_j_index: int) -> bool:
        """Whether the first arm wins."""
        self.pairs.append((arm_i_index, arm_j_index))
        return bool(self.feedback_mechanism.duel(arm_i_index, arm_j_index))


def bt10() -> np.ndarray:
    """Bradley-Terry, ten arms with utilities 0, -0.25, ..., -2.25."""
    utilities = -0.25 * np.arange(10)
    return 1 / (1 + np.exp(utilities[None, :] - utilities[:, None]))


def arxiv6() -> np.ndarray:
    """Six rankers of the arXiv full-text search (Yue & Joachims 2011)."""
    preferences = np.full((6, 6), 0.5)
    for i, row in enumerate(ARXIV6):
        preferences[i, i + 1 :] = row
        preferences[i + 1 :, i] = 1 - np.array(row)
    return preferences


MATRICES: dict[str, Callable[[], np.ndarray]] = {"bt10": bt10, "arxiv6": arxiv6}


def run(algorithm: Callable[..., Any], preferences: np.ndarray, rounds: int, seed: int) -> tuple[np.ndarray, float]:
    """The arms of every duel, (T, 2), and the CPU seconds that the duels took; the seed also relabels the arms."""
    order = np.random.RandomState([seed, 2]).permutation(len(preferences))
    shuffled = preferences[np.ix_(order, order)]
    recorder = Recorder(MatrixFeedback(shuffled, random_state=np.random.RandomState([seed, 0])))
    start = time.process_time()
    algorithm(recorder, time_horizon=rounds, random_state=np.random.RandomState([seed, 1])).run()
    spent = time.process_time() - start
    return order[np.array(recorder.pairs)], spent


def average_regret(preferences: np.ndarray, pairs: np.ndarray) -> float:
    """Cumulative average regret, the sum over duels of (P[0, i] + P[0, j]) / 2 - 1/2; arm 0 wins in both matrices."""
    return float((preferences[0, pairs] - 0.5).mean(axis=1).sum())


def measure(algorithm: Callable[..., Any], preferences: np.ndarray, rounds: int, seeds: int) -> Result:
    """Run the algorithm once a seed."""
    runs = [run(algorithm, preferences, rounds, seed) for seed in range(seeds)]
    regrets = np.array([average_regret(preferences, pairs) for pairs, _ in runs])
    duels, seconds = sum(len(pairs) for pairs, _ in runs), sum(spent for _, spent in runs)
    error = round(float(regrets.std(ddof=1)) / seeds**0.5, 1) if seeds > 1 else None
    return Result(round(duels / seconds, 1), round(float(regrets.mean()), 1), error, duels // seeds, seeds)


def main() -> None:
    """Print one JSON line, or one readable line per algorithm."""
    parser = argparse.ArgumentParser(description="Duels per CPU second and regret of duelpy 1.0.0.")
    parser.add_argument("--matrix", choices=sorted(MATRICES), default="bt10")
    parser.add_argument("--rounds", type=int, default=2000, help="duels per run, the horizon T")
    parser.add_argument("--seeds", type=int, default=1, help="runs per algorithm")
    parser.add_argument("--json", action="store_true", help="print one JSON line")
    options = parser.parse_args()
    preferences = MATRICES[options.matrix]()
    results = {name: measure(a, preferences, options.rounds, options.seeds) for name, a in ALGORITHMS.items()}
    if options.json:
        print(json.dumps({name: asdict(result) for name, result in results.items()}))
        return
    for name, result in results.items():
        print(f"{name:25} {result.duels_per_second:10,.0f} duels/s   average regret {result.average_regret:8.1f}")


if __name__ == "__main__":
    main()
