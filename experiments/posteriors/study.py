"""How far each posterior can be believed: all learn from the same answers about random pairs, round by round.

    python -m duelbench.experiments.posteriors            # adds what records.csv lacks, and writes RESULTS.md

No policy and no rule comes in: pairs of stored responses are drawn at random and answered by the reader with its
Bradley–Terry noise; duels of held-out prompts are then predicted, whose true probabilities are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from duelbench.envs.text.tasks.load import load_task
from duelbench.experiments.selection_rules.calibration import judged
from duelbench.experiments.selection_rules.data import log_loss
from duelbench.oracles import make_oracle
from duelbench.posteriors.registry import choose_posterior
from duelbench.posteriors.responses import learn_from, rewards_of
from duelbench.streams import Streams
from duelbench.types import Responses

Floats = NDArray[np.float64]
RECORDS = Path(__file__).with_name("records.csv")
LABELS = (64, 128, 256, 512, 1024)
SCORES = ("accuracy", "log_loss", "floor", "covered", "spread_tells_error", "bound_error", "rms_error", "spread")
_ROUND, _HELD_OUT, _SCALED = 32, 1000, 256
_BINS = 10


@dataclass(frozen=True)
class World:
    """A taste, the features it is learned from, and who learns on how many seeds (0, 1, …)."""

    taste: str
    features: str
    posteriors: dict[str, int]


_FROZEN = dict.fromkeys(("evidence", "laplace", "gibbs", "prior_ensemble", "epinet", "ensemble", "dropout"), 10)

WORLDS = {
    "reader, warm": World("reader", "preference", _FROZEN | {"backbone": 3}),
    "reader-easy, warm": World("reader-easy", "preference", _FROZEN),
    "reader-hard, warm": World("reader-hard", "preference", _FROZEN),
    "reader, cold": World("reader", "lm", _FROZEN),
}
"""Every posterior has its defaults. ``backbone`` reads texts, starts from the warm encoder and takes minutes a seed."""


def scores(world: World, posterior: str, seed: int) -> Iterator[dict[str, float]]:
    """A row for each number of labels."""
    duels = Duels(world, seed)
    held_out, scale = duels.draw(_HELD_OUT, held_out=True), duels.draw(_SCALED)
    dim = scale[0].features.shape[-1]
    learner = choose_posterior(posterior).make(dim, np.random.default_rng(seed))
    rewards_of(learner, scale[0])  # the spread of features is taken from the first responses that are scored
    for n in range(_ROUND, max(LABELS) + 1, _ROUND):
        first, second, chance = duels.draw(_ROUND)
        wins = duels.rng.random(_ROUND) < chance
        chosen, rejected = Responses.where(wins, first, second), Responses.where(wins, second, first)
        learn_from(learner, chosen, rejected, n)
        if n in LABELS:
            gap = rewards_of(learner, held_out[0]).astype(np.float64) - rewards_of(learner, held_out[1])
            yield {"labels": float(n)} | told(expit(gap), held_out[2])


def told(wins: Floats, chance: Floats) -> dict[str, float]:
    """Scores of sampled win probabilities (K, n) against the true ones (n,)."""
    found = judged(wins, chance) | {"floor": log_loss(chance, chance), "bound_error": bound_error(wins, chance)}
    return {name: found[name] for name in SCORES}


def bound_error(wins: Floats, chance: Floats) -> float:
    """The expected bound calibration error of RewardUQ (arXiv 2602.24040, §3.3), of bounds at two standard deviations.

    Upper bounds are put in ten bins of equal width; a bin counts by how far the mean truth in it is above its mean
    bound. Every duel counts in both orders, which makes the error of the lower bounds the same.
    """
    said, spread = wins.mean(0), wins.std(0)
    upper = np.clip(np.concatenate([said, 1.0 - said]) + 2.0 * np.tile(spread, 2), 0.0, 1.0)
    truth = np.concatenate([chance, 1.0 - chance])
    place = np.minimum((upper * _BINS).astype(int), _BINS - 1)
    over = [
        (place == b).mean() * max(0.0, truth[place == b].mean() - upper[place == b].mean()) for b in np.unique(place)
    ]
    return float(sum(over))


class Duels:
    """Random pairs of the stored responses of `short-writing`, and the reader's probabilities."""

    def __init__(self, world: World, seed: int) -> None:
        self.task, self.oracle = load_task("short-writing"), make_oracle(world.taste)
        self.features = self.task.features[world.features]
        self.rng = Streams(seed).generator("posteriors")

    def draw(self, n: int, *, held_out: bool = False) -> tuple[Responses, Responses, Floats]:
        """n duels on duel prompts or on held-out ones: two different responses, and P(first preferred), (n,)."""
        low, high = (self.task.n_duel, len(self.task.prompts)) if held_out else (0, self.task.n_duel)
        rows = self.rng.integers(low, high, n)
        size = self.features.shape[1]
        one = self.rng.integers(size, size=n)
        other = (one + self.rng.integers(1, size, n)) % size
        first, second = self._responses(rows, one), self._responses(rows, other)
        chance = self.oracle.preference(first.prompts, first.actions.tolist(), second.actions.tolist())
        return first, second, chance

    def _responses(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Responses:
        unknown = np.full(len(rows), np.nan, np.float32)
        return Responses(
            prompts=tuple(self.task.prompts[row] for row in rows),
            actions=self.task.references[rows, columns],
            log_probs=unknown,
            reference_log_probs=unknown,
            lengths=np.zeros(len(rows), np.int64),
            features=self.features[rows, columns],
            context={},
            payload={},
        )


def wanted() -> Sequence[tuple[str, str, int]]:
    """World, posterior and seed of every run, the first seeds of all first."""
    runs = [(w, p, s) for w, world in WORLDS.items() for p, n in world.posteriors.items() for s in range(n)]
    return sorted(runs, key=lambda run: run[2])
