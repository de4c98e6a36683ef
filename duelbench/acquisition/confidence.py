"""Rules that take posterior mean ± β posterior standard deviations for confidence bounds."""

from __future__ import annotations

import numpy as np

from duelbench.acquisition.posterior import Columns, Rewards, best_pair, centred, copies, win_probabilities
from duelbench.ranges import NonNegative


def delta_ucb(rewards: Rewards, rng: np.random.Generator, *, width: NonNegative = 1.0) -> tuple[Columns, Columns]:
    """The pair with the largest gap that is still plausible: argmax_{i, j} upper bound of i − lower bound of j.

    Source: ActiveUltraFeedback (arXiv 2603.09692); pair and β = 1 checked against the authors' code. Here bounds are of
    rewards centred over the candidates, and a copy is no rival: the most uncertain response would else duel its own.
    """
    exact = centred(rewards)
    mean, deviation = exact.mean(0), width * exact.std(0)  # (B, M)
    gaps = (mean + deviation)[:, :, None] - (mean - deviation)[:, None, :]
    return best_pair(gaps, ~copies(rewards))


def maxminlcb(rewards: Rewards, rng: np.random.Generator, *, width: NonNegative = 1.0) -> tuple[Columns, Columns]:
    """The candidate that is safest against its worst rival, and that rival: argmax_i min_j LCB(P(i beats j)).

    The pair of the arm agent ``maxminlcb`` (Pásztor et al. 2024, arXiv 2406.16745) with posterior samples
    instead of kernel regression. There an arm that surely beats all others duels itself; here it duels the likeliest to
    beat it, as a duel with itself would teach nothing.
    """
    wins = win_probabilities(rewards)
    lower = wins.mean(0) - width * wins.std(0)  # (B, M, M)
    rivals = ~copies(rewards)
    worst = np.where(rivals, lower, np.inf).min(-1)
    first = np.where(np.isfinite(worst), worst, -np.inf).argmax(-1)
    rows = np.arange(len(first))
    return first, np.where(rivals, lower, np.inf)[rows, first].argmin(-1)


def rucb(rewards: Rewards, rng: np.random.Generator, *, width: NonNegative = 1.0) -> tuple[Columns, Columns]:
    """A random candidate that may be the best, against the rival with the best chance to beat it (after RUCB).

    With U_ij the upper bound of P(i beats j): first c uniformly among {i: U_ij ≥ ½ for all j}, or among all if there is
    none; then argmax_j U_jc. RUCB itself (Zoghi et al. 2014; the arm agent ``rucb``) takes U from counts of
    wins and remembers which arm last stood alone, which a rule without memory cannot.
    """
    wins = win_probabilities(rewards)
    upper = wins.mean(0) + width * wins.std(0)  # (B, M, M)
    same = copies(rewards)
    possible = (same | (upper >= 0.5)).all(-1)
    possible |= ~possible.any(-1, keepdims=True)
    first = np.where(possible, rng.random(possible.shape), -1.0).argmax(-1)
    rows = np.arange(len(first))
    return first, np.where(same, -np.inf, upper)[rows, :, first].argmax(-1)
