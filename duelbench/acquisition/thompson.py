"""Rules that let posterior samples name the candidates: Thompson sampling and its relatives."""

from __future__ import annotations

from typing import Literal

import numpy as np

from duelbench.acquisition.posterior import TRIES, Columns, Rewards, another, one_of, spread
from duelbench.ranges import Count


def thompson_member(
    rewards: Rewards, rng: np.random.Generator, *, member: Literal["prompt", "batch"] = "prompt"
) -> Columns:
    """Best candidate under one posterior sample (SEA Algorithm 2, first response).

    Args:
        rewards: R, (E, B, M).
        rng: draws the posterior sample.
        member: a fresh sample for every ``prompt`` (the paper) or one for the whole ``batch`` (oat's code).
    """
    return _drawn(rewards, rng, member).argmax(-1)


def _drawn(rewards: Rewards, rng: np.random.Generator, member: str) -> Rewards:
    """Rewards under one posterior sample, (B, M)."""
    one_of("member", member, "prompt", "batch")
    n_samples, n_prompts, _ = rewards.shape
    drawn: Columns = rng.integers(n_samples, size=(n_prompts,))
    drawn = drawn if member == "prompt" else np.full(n_prompts, drawn[0])
    return rewards[drawn, np.arange(n_prompts)]


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
    return first, spread(champion - rewards, scale).argmax(-1)


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
    one_of("clash", clash, "uniform", "second_best", "identical")
    n_samples, n_prompts, n_candidates = rewards.shape
    drawn = _drawn(rewards, rng, member)
    first = drawn.argmax(-1)
    best = rewards.argmax(-1)  # (E, B)
    differs = best != first  # (E, B)
    order = np.where(differs, rng.random((n_samples, n_prompts)), -1.0).argmax(0)  # a uniform disagreeing member
    second = best[order, np.arange(n_prompts)]
    if clash == "uniform":
        fallback = another(first, n_candidates, rng)
    elif clash == "second_best":
        np.put_along_axis(drawn, first[:, None], -np.inf, axis=-1)  # a copy: members were picked by index
        fallback = drawn.argmax(-1)
    else:
        fallback = first
    return first, np.where(differs.any(0), second, fallback)


def max_gap(rewards: Rewards, rng: np.random.Generator) -> tuple[Columns, Columns]:
    """Best against worst candidate of one posterior sample (oat's rule for synthetic pairs)."""
    n_samples, n_prompts, _ = rewards.shape
    drawn = rewards[rng.integers(n_samples, size=n_prompts), np.arange(n_prompts)]  # (B, M)
    return drawn.argmax(-1), drawn.argmin(-1)


def double_thompson(rewards: Rewards, rng: np.random.Generator, *, tries: Count = TRIES) -> tuple[Columns, Columns]:
    """Best of one posterior sample against the best of another, redrawn until it differs (Dwaracherla et al. 2024).

    After ``tries`` redraws the second response is any other one. ``ee_thompson`` redraws for ever where that can end:
    the two differ where few samples disagree with the first.

    Source: arXiv 2402.00396, through notes on it; the number of tries is ActiveUltraFeedback's.
    """
    return _redrawn(rewards, rewards.argmax(-1), rng, tries)


def double_reverse_thompson(
    rewards: Rewards, rng: np.random.Generator, *, tries: Count = TRIES
) -> tuple[Columns, Columns]:
    """Best of one posterior sample against the worst of another: DRTS (ActiveUltraFeedback, arXiv 2603.09692).

    Where both are the same candidate the other sample is redrawn, and after ``tries`` redraws any other candidate is
    taken. Checked against the authors' code, which draws each candidate's reward by itself, uniformly within its
    confidence bounds, while a posterior sample here holds for all candidates at once; and whose last resort may be the
    first response again.
    """
    return _redrawn(rewards, rewards.argmin(-1), rng, tries)


def _redrawn(rewards: Rewards, named: Columns, rng: np.random.Generator, tries: int) -> tuple[Columns, Columns]:
    """One sample's best, and what another sample names (E, B) if that is something else within so many tries."""
    n_samples, n_prompts, n_candidates = rewards.shape
    first = thompson_member(rewards, rng)
    drawn = named[rng.integers(n_samples, size=(tries, n_prompts)), np.arange(n_prompts)]  # (tries, B)
    differs = drawn != first
    second = drawn[differs.argmax(0), np.arange(n_prompts)]
    return first, np.where(differs.any(0), second, another(first, n_candidates, rng))
