"""What the rules share: the form of rewards and rules, and statistics of all pairs over the posterior samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from duelbench.duels.preference import logistic

Rewards = NDArray[np.floating]
Floats = NDArray[np.float64]
Columns = NDArray[np.int64]
Rule = Callable[[Rewards, np.random.Generator], tuple[Columns, Columns]]

TRIES = 30
"""Redraws of a second response before it is taken at random, as in ActiveUltraFeedback's code (arXiv 2603.09692)."""


def win_probabilities(rewards: Rewards) -> Floats:
    """P_e(i beats j) = σ(R[e, i] − R[e, j]) by each sample, (E, B, M, M)."""
    exact = rewards.astype(np.float64)
    probabilities: Floats = logistic(exact[..., :, None] - exact[..., None, :])
    return probabilities


def spread(difference: Rewards, scale: str) -> Rewards:
    """Variance over the samples of a reward difference (``logit``) or of the win probability it means."""
    one_of("scale", scale, "probability", "logit")
    return (logistic(difference) if scale == "probability" else difference).var(axis=0)


def centred(rewards: Rewards) -> Floats:
    """Rewards less the mean over the candidates.

    A Bradley–Terry reward is known up to a constant of the sample and the prompt. What differs between samples only
    by such a constant is no uncertainty, so rules that look at one candidate at a time need it gone.
    """
    return rewards - rewards.mean(-1, keepdims=True, dtype=np.float64)


def copies(rewards: Rewards) -> NDArray[np.bool_]:
    """Candidates that no sample tells apart, every candidate and itself among them, (B, M, M)."""
    return np.asarray((rewards[..., :, None] == rewards[..., None, :]).all(0))


def best_pair(values: Floats, allowed: NDArray[np.bool_]) -> tuple[Columns, Columns]:
    """Row and column of the largest allowed entry of each (M, M) matrix; the first candidate twice if there is none."""
    n_candidates = values.shape[-1]
    flat = np.where(allowed, values, -np.inf).reshape(len(values), -1).argmax(-1)
    return flat // n_candidates, flat % n_candidates


def entropy(probabilities: Floats) -> Floats:
    """Entropy of a coin in nats."""
    from scipy.special import xlog1py, xlogy  # takes longer to import than a list to print

    found: Floats = -xlogy(probabilities, probabilities) - xlog1py(1.0 - probabilities, -probabilities)
    return found


def another(first: Columns, n_candidates: int, rng: np.random.Generator) -> Columns:
    """A uniformly random column other than the first, (B,)."""
    return (first + rng.integers(1, n_candidates, size=len(first))) % n_candidates


def one_of(name: str, value: str, *known: str) -> None:
    """A misspelt option must not run another algorithm in silence."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
