"""Rules that need no posterior, or only its mean."""

from __future__ import annotations

import numpy as np

from duelbench.acquisition.posterior import Columns, Rewards, centred
from duelbench.ranges import Positive


def uniform(rewards: Rewards, rng: np.random.Generator) -> tuple[Columns, Columns]:
    """Two different candidates uniformly at random, whatever their rewards."""
    _, n_prompts, n_candidates = rewards.shape
    first: Columns = rng.integers(n_candidates, size=(n_prompts,))
    second: Columns = (first + rng.integers(1, n_candidates, size=n_prompts)) % n_candidates
    return first, second


def boltzmann(rewards: Rewards, rng: np.random.Generator, *, temperature: Positive = 1.0) -> tuple[Columns, Columns]:
    """Two candidates drawn with probability ∝ exp(mean reward / τ), the second from those left.

    The two largest of log-probabilities with independent Gumbel noise are such a draw. Source: Dwaracherla et al. 2024
    (arXiv 2402.00396), through notes on it, which do not say whether the two may be one and the same.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    mean = centred(rewards).mean(0)  # (B, M)
    noisy = mean / temperature + rng.gumbel(size=mean.shape)
    order = np.argsort(-noisy, axis=-1)
    return order[:, 0], order[:, 1]


def best_worst(rewards: Rewards, rng: np.random.Generator) -> tuple[Columns, Columns]:
    """Best against worst candidate by the posterior mean: the pair most surely told apart, without exploration."""
    mean = rewards.mean(0)
    return mean.argmax(-1), mean.argmin(-1)
