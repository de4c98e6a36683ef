"""Rules that ask what an answer would teach: variance, mutual information, value of information.

A posterior sample e is one hypothesis of E equally likely ones; P_e(i beats j) = σ(R[e, i] − R[e, j]).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from duelbench.acquisition.posterior import (
    Columns,
    Floats,
    Rewards,
    best_pair,
    copies,
    entropy,
    spread,
    win_probabilities,
)

_NOTHING = 1e-12  # nats: an answer that tells less tells nothing


def uncertainty(
    rewards: Rewards, rng: np.random.Generator, *, scale: Literal["probability", "logit"] = "logit"
) -> tuple[Columns, Columns]:
    """The pair whose reward difference is most uncertain among all pairs: pure exploration (SEA §6.3, as in oat).

    argmax_{i, j} Var_e[R[e, i] − R[e, j]] (``logit``) or of its sigmoid (``probability``; see ``infomax``).
    """
    n_candidates = rewards.shape[-1]
    values = spread(rewards[..., :, None] - rewards[..., None, :], scale)  # (B, M, M)
    flat = values.reshape(len(values), -1).argmax(-1)
    return flat // n_candidates, flat % n_candidates


def infomax(rewards: Rewards, rng: np.random.Generator) -> tuple[Columns, Columns]:
    """The pair whose win probability is most uncertain: argmax_{i, j} Var_e[P_e(i beats j)] (Dwaracherla et al. 2024).

    Source: arXiv 2402.00396, through notes on it. What goes by this name in ActiveUltraFeedback's code is another rule:
    the two candidates whose own rewards are most uncertain.
    """
    return uncertainty(rewards, rng, scale="probability")


def bald(rewards: Rewards, rng: np.random.Generator) -> tuple[Columns, Columns]:
    """The pair whose answer has the most information on the rewards (BALD, Houlsby et al. 2011, arXiv 1112.5745).

    I(answer; e) = H(mean_e P_e) − mean_e H(P_e): unlike a variance it does not count what the coin flip adds. The
    formula is the definition of mutual information.
    """
    wins = win_probabilities(rewards)
    return best_pair(entropy(wins.mean(0)) - entropy(wins).mean(0), ~copies(rewards))


def information_directed(rewards: Rewards, rng: np.random.Generator) -> tuple[Columns, Columns]:
    """Least squared regret per information on which candidate is best (IDS, Russo & Van Roy 2018, arXiv 1403.5556).

    With Δ the expected average regret of a pair and g = I(answer; best candidate), draws from the distribution π over
    pairs that minimises (π·Δ)² / π·g. It needs at most two pairs; the share q of the second has a closed form.
    The ratio is the paper's, its regret that of a duel.
    """
    _, n_prompts, n_candidates = rewards.shape
    low, high = np.triu_indices(n_candidates, 1)
    wins = win_probabilities(rewards)
    regret = rewards.max(-1).mean(0)[:, None] - 0.5 * (rewards[..., low] + rewards[..., high]).mean(0)  # (B, pairs)
    gain = np.maximum(_gain_on_best(rewards, wins)[:, low, high], _NOTHING)
    share, ratio = _mixtures(regret.astype(np.float64), gain)  # (B, pairs, pairs)
    best = ratio.reshape(n_prompts, -1).argmin(-1)
    one, other = best // len(low), best % len(low)
    rows = np.arange(n_prompts)
    pair = np.where(rng.random(n_prompts) < share[rows, one, other], other, one)
    return low[pair], high[pair]


def knowledge_gradient(rewards: Rewards, rng: np.random.Generator) -> tuple[Columns, Columns]:
    """The pair after whose answer the best candidate by posterior mean is expected to be worth most.

    argmax_{i, j} Σ_answer P(answer) max_m E[R_m | answer] − max_m E[R_m]: the one-step value of information (Frazier et
    al. 2008), the posterior after the answer being the samples reweighted by its likelihood. Where no single answer
    would change the best, all pairs are worth nothing, and the first two candidates that differ duel.
    """
    exact = rewards.astype(np.float64)
    wins = win_probabilities(rewards)
    won = np.einsum("ebij,ebm->bijm", wins, exact) / len(exact)  # P(i beats j) E[R_m | i beats j]
    lost = exact.mean(0)[:, None, None, :] - won
    value = won.max(-1) + lost.max(-1) - exact.mean(0).max(-1)[:, None, None]
    return best_pair(np.where(value > _NOTHING, value, 0.0), ~copies(rewards))


def _gain_on_best(rewards: Rewards, wins: Floats) -> Floats:
    """I(answer; which candidate is best), (B, M, M)."""
    is_best = np.eye(rewards.shape[-1])[rewards.argmax(-1)]  # (E, B, M)
    weight = is_best.mean(0)  # (B, M), P(best)
    given = np.einsum("eba,ebij->baij", is_best, wins) / (len(rewards) * np.maximum(weight, _NOTHING)[:, :, None, None])
    return entropy(wins.mean(0)) - np.einsum("ba,baij->bij", weight, entropy(np.clip(given, 0.0, 1.0)))


def _mixtures(regret: Floats, gain: Floats) -> tuple[Floats, Floats]:
    """Best share of the second of two pairs, and the ratio it gives, for all pairs of pairs: two (B, P, P).

    Where mixing is no better than the better of the two alone, any end will do: that one meets itself as well.
    """
    delta, info = regret[:, :, None], gain[:, :, None]
    more_delta, more_info = regret[:, None, :] - delta, gain[:, None, :] - info
    slope = more_delta * more_info
    flat = np.abs(slope) < _NOTHING
    share = np.where(flat, 0.0, (more_info * delta - 2.0 * more_delta * info) / np.where(flat, 1.0, slope))
    share = np.clip(share, 0.0, 1.0)
    ratio: Floats = (delta + share * more_delta) ** 2 / (info + share * more_info)
    ratio[:, *np.tril_indices(ratio.shape[1], -1)] = np.inf  # the same two the other way round
    return share, ratio
