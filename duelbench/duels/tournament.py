"""Who wins a tournament, by each notion of a winner, and what every arm loses against that winner.

A tournament is a preference matrix P of K arms: P[i, j] is the probability that arm i beats arm j, P + Pᵀ = 1 and
the diagonal is ½. The notions agree when one arm beats all others by enough, and part when preferences are cyclic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SKEW_TOLERANCE = 1e-6
"""How far P[i, j] + P[j, i] may stand from 1: published tables are rounded."""

TIE_TOLERANCE = 1e-12
"""Mean scores closer than this are one score: summing in another order moves the last digit."""


class PreferenceMatrixError(ValueError):
    """What was given is no matrix of pairwise win probabilities."""


def check_preferences(matrix: ArrayLike) -> Array:
    """A preference matrix in which the two chances of every pair add up to 1 exactly, as a new array.

    The upper triangle decides: the lower one becomes 1 − P[i, j], the diagonal ½.

    Args:
        matrix: win probabilities, (K, K), K ≥ 2.

    Raises:
        PreferenceMatrixError: not a square matrix of numbers in [0, 1] with P + Pᵀ = 1 up to ``SKEW_TOLERANCE``.

    >>> check_preferences([[0.5, 0.7], [0.3000001, 0.5]]).round(9).tolist()
    [[0.5, 0.7], [0.3, 0.5]]
    """
    try:
        given = np.array(matrix, np.float64)
    except (TypeError, ValueError) as error:
        raise PreferenceMatrixError(
            f"expected a square matrix of numbers, got something else ({error}): give K rows of K probabilities"
        ) from error
    if given.ndim != 2 or given.shape[0] != given.shape[1] or given.shape[0] < 2:
        raise PreferenceMatrixError(
            f"expected a square matrix of at least 2 arms, got shape {given.shape}: give one row and one column an arm"
        )
    _check_entries(given)
    upper = np.triu(given, 1)
    return upper + np.tril(1.0 - upper.T, -1) + 0.5 * np.eye(len(given))


def _check_entries(given: Array) -> None:
    for wrong, expected in (
        (np.isnan(given), "a number for every pair"),
        ((given < 0.0) | (given > 1.0), "probabilities in [0, 1]"),
    ):
        if wrong.any():
            i, j = np.argwhere(wrong)[0]
            raise PreferenceMatrixError(f"expected {expected}, got P[{i}, {j}] = {given[i, j]:g}: correct that entry")
    # The diagonal is a pair of an arm with itself, so it has to be ½ by the same rule.
    wrong = np.triu(np.abs(given + given.T - 1.0) > SKEW_TOLERANCE)
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        if i == j:
            raise PreferenceMatrixError(f"expected ½ on the diagonal, got P[{i}, {i}] = {given[i, i]:g}: set it to 0.5")
        raise PreferenceMatrixError(
            f"expected P[i, j] + P[j, i] = 1, got P[{i}, {j}] = {given[i, j]:.9g} and P[{j}, {i}] = {given[j, i]:.9g}: "
            f"set P[{j}, {i}] to {1.0 - given[i, j]:.9g} or correct P[{i}, {j}]"
        )


def condorcet_winner(preferences: Array) -> int | None:
    """The arm that beats every other arm with probability above ½; None if there is none (Condorcet 1785).

    A tie with any arm is enough not to be it.
    """
    beats = (preferences > 0.5).sum(-1)
    winners = np.flatnonzero(beats == len(preferences) - 1)
    return int(winners[0]) if winners.size else None


def copeland_scores(preferences: Array) -> Array:
    """Share of the other arms that an arm beats, a tie (P = ½ exactly) counting half; in [0, 1].

    The normalised score of Zoghi et al. 2015 (Copeland dueling bandits), who have no ties; half a win for each is
    the usual completion and keeps the mean score at ½.

    Args:
        preferences: (..., K, K), checked.

    Returns:
        (..., K); 1 exactly for a Condorcet winner.
    """
    others = preferences.shape[-1] - 1
    # Every arm ties with itself; that half win is no merit.
    wins = (preferences > 0.5).sum(-1) + 0.5 * (preferences == 0.5).sum(-1) - 0.5
    return np.asarray(wins / others, np.float64)


def copeland_winners(preferences: Array) -> NDArray[np.int64]:
    """The arms with the largest Copeland score, ascending, (n,); at least one always exists (Zoghi et al. 2015)."""
    scores = copeland_scores(preferences)
    return np.flatnonzero(scores == scores.max()).astype(np.int64)


def borda_scores(preferences: Array) -> Array:
    """Chance that an arm beats an opponent drawn uniformly from the other arms (Urvoy et al. 2013).

    Saha, Koren & Mansour 2021 call it the shifted Borda score when the arm itself may be drawn too.

    Args:
        preferences: (..., K, K), checked.

    Returns:
        (..., K), in [0, 1] with mean ½.
    """
    others = preferences.shape[-1] - 1
    return np.asarray((preferences.sum(-1) - 0.5) / others, np.float64)


def borda_winner(preferences: Array) -> int:
    """The arm with the largest Borda score; of ties (within ``TIE_TOLERANCE``) the one with the lowest index."""
    scores = borda_scores(preferences)
    return int(np.flatnonzero(scores >= scores.max() - TIE_TOLERANCE)[0])


def von_neumann_winner(preferences: Array) -> Array:
    """The lottery over arms that beats or ties every arm: it exists for every tournament (Dudík et al. 2015).

    It is the maximin strategy of the symmetric zero-sum game P − ½, whose value is 0. Where several lotteries are
    maximin, the one that the linear program ends at is returned: the same one for the same matrix.

    Returns:
        Probabilities, (K,), that sum to 1; all on the Condorcet winner if there is one.

    Raises:
        RuntimeError: the linear program failed, which a checked matrix cannot cause.
    """
    arms = len(preferences)
    winner = condorcet_winner(preferences)
    if winner is not None:
        # It is the only maximin strategy, and the program's tolerance would blur it when its lead is below 1e-7.
        return np.eye(arms)[winner]
    from scipy.optimize import linprog  # slow to import, and not needed where one arm beats all

    # Variables (w, v): maximise v subject to v ≤ Σᵢ wᵢ (P[i, j] − ½) for every j, Σ w = 1, w ≥ 0.
    solution = linprog(
        np.append(np.zeros(arms), -1.0),
        A_ub=np.column_stack([0.5 - preferences.T, np.ones(arms)]),
        b_ub=np.zeros(arms),
        A_eq=np.append(np.ones(arms), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0.0, None)] * arms + [(None, None)],
        method="highs",
    )
    if not solution.success:
        raise RuntimeError(f"no von Neumann winner found ({solution.message}): pass the matrix to check_preferences")
    weights = np.maximum(np.asarray(solution.x[:arms], np.float64), 0.0)
    return weights / weights.sum()


def arm_losses(preferences: Array) -> dict[str, Array]:
    """What playing an arm loses against each kind of winner, ≥ 0.

    The regret of a duel (i, j) is (lᵢ + lⱼ)/2, its weak form min(lᵢ, lⱼ).

    * ``average``: P[c, i] − ½ against the Condorcet winner c (Yue et al. 2012); absent where there is none.
    * ``copeland``: largest Copeland score minus the arm's (Zoghi et al. 2015).
    * ``borda``: largest Borda score minus the arm's (Saha et al. 2021).
    * ``von_neumann``: chance that the von Neumann winner beats the arm, minus ½ (Dudík et al. 2015). It is 0 for
      every arm in the lottery, so each of those is free although no single one is safe. Where several lotteries are
      maximin, which can be where preferences tie, this loss depends on the one that ``von_neumann_winner`` returns.

    Args:
        preferences: (K, K), checked.

    Returns:
        Kind -> losses, (K,).
    """
    losses: dict[str, Array] = {}
    winner = condorcet_winner(preferences)
    if winner is not None:
        losses["average"] = preferences[winner] - 0.5
    for kind, scores in (("copeland", copeland_scores(preferences)), ("borda", borda_scores(preferences))):
        losses[kind] = scores.max() - scores
    # The game's value is 0, so what is below 0 here is the linear program's rounding.
    losses["von_neumann"] = np.maximum(von_neumann_winner(preferences) @ preferences - 0.5, 0.0)
    return losses
