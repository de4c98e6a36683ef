"""Candidate responses to a prompt, and picking among them in proportion to the reference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from duelbench.protocols import FinitePolicy, Policy
from duelbench.types import Observation, Responses

Array = NDArray[np.float64]


def candidates(policy: Policy, observation: Observation, n: int, rng: np.random.Generator) -> tuple[Responses, Array]:
    """All responses where they can be listed, else n samples of the reference, shape (B, M).

    Returns:
        The responses, and the log of the reference's weight that each stands for, (B, M): log π_ref of a listed one;
        0 for a sample, which is drawn as often as the reference says.
    """
    if isinstance(policy, FinitePolicy):
        listed = policy.everything(observation)
        return listed, listed.reference_log_probs.astype(np.float64)
    sampled = policy.sample(observation, n, rng, reference=True)
    return sampled, np.zeros(sampled.actions.shape)


def gibbs(rewards: NDArray[np.floating], log_weights: Array, temperature: float) -> Array:
    """log π of π ∝ w · exp(r / λ), the best policy for reward r under a penalty λ KL(π ‖ w): (B, M).

    Args:
        rewards: r, (B, M).
        log_weights: log w, (B, M), up to a constant.
        temperature: λ > 0; large gives w back, small the best response.
    """
    return np.asarray(log_softmax(log_weights + rewards / temperature, axis=-1))


def draw(log_probs: Array, rng: np.random.Generator, without: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """A column of each row drawn from log π (B, M), none of those marked in ``without`` (B, M)."""
    noisy = log_probs + rng.gumbel(size=log_probs.shape)
    if without is not None:
        noisy = np.where(without, -np.inf, noisy)
    columns: NDArray[np.int64] = noisy.argmax(-1)
    return columns


def same_as(responses: Responses, columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which candidates (B, M) are the response in the given column of their row, (B,)."""
    canonical = responses.canonical
    return np.asarray(canonical == np.take_along_axis(canonical, columns[:, None], -1))
