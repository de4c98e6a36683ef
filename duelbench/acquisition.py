"""Pair-selection rules: which two of M candidates to ask about, from samples of their rewards.

A rule is a pure function ``rule(R, rng) -> (first, second)``. R[e, b, m] is posterior sample e of the reward of
candidate m for prompt b; ``first`` and ``second`` are columns, shape (B,). Equal values are resolved to the lowest
column. Duplicated candidates should be given equal rewards (``Responses.canonical``), then no rule prefers a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Rewards = NDArray[np.floating]
Columns = NDArray[np.int64]
Rule = Callable[[Rewards, np.random.Generator], tuple[Columns, Columns]]


def uniform(rewards: Rewards, rng: np.random.Generator) -> tuple[Columns, Columns]:
    """Two different candidates uniformly at random, whatever their rewards."""
    _, n_prompts, n_candidates = rewards.shape
    first: Columns = rng.integers(n_candidates, size=(n_prompts,))
    second: Columns = (first + rng.integers(1, n_candidates, size=n_prompts)) % n_candidates
    return first, second


def thompson_member(
    rewards: Rewards, rng: np.random.Generator, *, member: Literal["prompt", "batch"] = "prompt"
) -> Columns:
    """Best candidate under one posterior sample (SEA Algorithm 2, first response).

    Args:
        rewards: R, (E, B, M).
        rng: draws the posterior sample.
        member: a fresh sample for every ``prompt`` (the paper) or one for the whole ``batch`` (oat's code).
    """
    _one_of("member", member, "prompt", "batch")
    n_samples, n_prompts, _ = rewards.shape
    drawn: Columns = rng.integers(n_samples, size=(n_prompts,))
    drawn = drawn if member == "prompt" else np.full(n_prompts, drawn[0])
    return rewards[drawn, np.arange(n_prompts)].argmax(-1)


def bai_thompson(
    rewards: Rewards,
    rng: np.random.Generator,
    *,
    scale: Literal["probability", "logit"] = "probability",
    member: Literal["prompt", "batch"] = "prompt",
) -> tuple[Columns, Columns]:
    """Thompson's best against the candidate whose duel with it is most uncertain (SEA, best-arm identification).

    Second = argmax_b Var_e[σ(R[e, y] − R[e, b])], or the variance of the difference itself on the logit scale,
    as in oat's code.
    """
    first = thompson_member(rewards, rng, member=member)
    champion = np.take_along_axis(rewards, first[None, :, None], axis=-1)  # (E, B, 1)
    return first, _spread(champion - rewards, scale).argmax(-1)


def ee_thompson(
    rewards: Rewards,
    rng: np.random.Generator,
    *,
    clash: Literal["uniform", "second_best", "identical"] = "uniform",
    member: Literal["prompt", "batch"] = "prompt",
) -> tuple[Columns, Columns]:
    """Two Thompson samples' best candidates, drawn until they differ (SEA, explore and exploit).

    Redrawing members with replacement until the argmax differs (the paper) and walking through them without
    replacement (oat) are the same distribution: a uniform member among those that disagree with the first. They
    differ only where all members agree, a ``clash``: then take another candidate ``uniform``ly (Dwaracherla et al.
    2024), the first member's ``second_best`` (oat's option), or the ``identical`` response.
    """
    _one_of("clash", clash, "uniform", "second_best", "identical")
    n_samples, n_prompts, n_candidates = rewards.shape
    first = thompson_member(rewards, rng, member=member)
    best = rewards.argmax(-1)  # (E, B)
    differs = best != first  # (E, B)
    order = np.where(differs, rng.random((n_samples, n_prompts)), -1.0).argmax(0)  # a uniform disagreeing member
    second = best[order, np.arange(n_prompts)]
    if clash == "uniform":
        fallback = (first + rng.integers(1, n_candidates, size=n_prompts)) % n_candidates
    elif clash == "second_best":
        mean = rewards.mean(0)
        np.put_along_axis(mean, first[:, None], -np.inf, axis=-1)
        fallback = mean.argmax(-1)
    else:
        fallback = first
    return first, np.where(differs.any(0), second, fallback)


def uncertainty(
    rewards: Rewards, rng: np.random.Generator, *, scale: Literal["probability", "logit"] = "logit"
) -> tuple[Columns, Columns]:
    """The pair whose outcome is most uncertain among all pairs: pure exploration (SEA §6.3, "infomax").

    argmax_{i, j} Var_e[R[e, i] − R[e, j]] (``logit``) or of its sigmoid (``probability``; Dwaracherla et al. 2024).
    """
    n_candidates = rewards.shape[-1]
    spread = _spread(rewards[..., :, None] - rewards[..., None, :], scale)  # (B, M, M)
    flat = spread.reshape(len(spread), -1).argmax(-1)
    return flat // n_candidates, flat % n_candidates


def max_gap(rewards: Rewards, rng: np.random.Generator) -> tuple[Columns, Columns]:
    """Best against worst candidate of one posterior sample (oat's rule for synthetic pairs)."""
    n_samples, n_prompts, _ = rewards.shape
    drawn = rewards[rng.integers(n_samples, size=n_prompts), np.arange(n_prompts)]  # (B, M)
    return drawn.argmax(-1), drawn.argmin(-1)


def _spread(difference: Rewards, scale: str) -> Rewards:
    _one_of("scale", scale, "probability", "logit")
    return (expit(difference) if scale == "probability" else difference).var(axis=0)


def _one_of(name: str, value: str, *known: str) -> None:
    """A misspelt option must not run another algorithm in silence."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


RULES: dict[str, Rule] = {
    "bai": bai_thompson,
    "ee": ee_thompson,
    "uncertainty": uncertainty,
    "max_gap": max_gap,
    "uniform": uniform,
}
"""Rules by the name an agent's ``selection`` takes."""
