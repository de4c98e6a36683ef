"""Preference matrices: published ones by name, random families, and a user's own from a file.

Every function returns a checked (K, K) matrix (see ``duelbench.duels.tournament``). The ordered families number their
arms from best to worst, so relabel the arms before an agent that breaks ties by index plays them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtr

from duelbench.duels.tournament import PreferenceMatrixError, check_preferences
from duelbench.plugins import did_you_mean

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class NamedMatrix:
    """A built-in matrix and what to know before citing it.

    Attributes:
        preferences: (K, K), read-only.
        source: where the numbers come from, one line.
        difficulty: its winner and the smallest gap P − ½ of that winner, or that none exists, one line.
    """

    preferences: Array
    source: str
    difficulty: str


def _from_triangle(values: Array) -> Array:
    # Only pairs i < j are given; the mirrored half is made here.
    upper = np.triu(values, 1)
    return check_preferences(upper + np.tril(1.0 - upper.T, -1) + 0.5 * np.eye(len(values)))


def _from_upper(upper: list[list[float]]) -> Array:
    # Row i lists P[i, i+1], …, P[i, K−1]: what is not stored cannot contradict it.
    values = np.zeros((len(upper) + 1,) * 2)
    values[np.triu_indices(len(values), 1)] = [value for row in upper for value in row]
    return _from_triangle(values)


def _load_named() -> dict[str, NamedMatrix]:
    stored = resources.files("duelbench.envs.arms") / "data" / "matrices.json"
    named = {}
    for name, entry in json.loads(stored.read_text(encoding="utf-8")).items():
        preferences = _from_upper(entry["upper"])
        preferences.flags.writeable = False
        named[name] = NamedMatrix(preferences, entry["source"], entry["difficulty"])
    return named


NAMED: dict[str, NamedMatrix] = _load_named()
"""Name -> built-in matrix with its source and difficulty."""


def named_matrix(name: str) -> Array:
    """The built-in matrix of this name, a copy, (K, K).

    Raises:
        ValueError: with the names there are and the nearest one.
    """
    if name in NAMED:
        return NAMED[name].preferences.copy()
    raise ValueError(f"unknown preference matrix {name!r}: expected one of {sorted(NAMED)}" + did_you_mean(name, NAMED))


def load_csv(path: str | Path) -> Array:
    """A user's matrix from a file of K lines of K comma-separated numbers, without a header, (K, K).

    Empty lines are skipped; line i, column j is the probability that arm i beats arm j.

    Raises:
        PreferenceMatrixError: the file cannot be read, is ragged or not numeric, or is no preference matrix.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")  # spreadsheets put a byte order mark first
    except (OSError, UnicodeDecodeError) as error:
        raise PreferenceMatrixError(f"{path}: expected a readable text file of probabilities, got {error}") from error
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        cells = line.split(",")
        if rows and len(cells) != len(rows[0]):
            raise PreferenceMatrixError(
                f"{path}: expected {len(rows[0])} numbers on line {number} as on the first, got {len(cells)}: "
                "give every line one number per arm"
            )
        rows.append([_number(cell, f"{path}: line {number}, column {column}") for column, cell in enumerate(cells, 1)])
    try:
        return check_preferences(rows)
    except PreferenceMatrixError as error:
        raise PreferenceMatrixError(f"{path}: {error}") from error


def _number(cell: str, place: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise PreferenceMatrixError(
            f"{place}: expected a number, got {cell.strip()!r}: write decimals with a point and leave out any header"
        ) from error


def bradley_terry(utilities: ArrayLike) -> Array:
    """P[i, j] = 1 / (1 + exp(u_j − u_i)): preferences that one utility per arm explains (Bradley & Terry 1952).

    Args:
        utilities: u, (K,), finite, K ≥ 2.

    Raises:
        ValueError: not a vector of at least two finite numbers.
    """
    values = np.asarray(utilities, np.float64)
    if values.ndim != 1 or values.size < 2 or not np.isfinite(values).all():
        raise ValueError(
            f"expected at least two finite utilities in a vector, got shape {values.shape}"
            + ("" if np.isfinite(values).all() else " with infinite or missing values")
            + ": give one number per arm"
        )
    return check_preferences(expit(values[:, None] - values[None, :]))


def random_bradley_terry(rng: np.random.Generator, arms: int, scale: float = 1.0) -> Array:
    """Bradley–Terry preferences of utilities drawn from N(0, scale²), arms in no order, (K, K).

    Raises:
        ValueError: fewer than two arms, or a scale that is not positive and finite.
    """
    _check_arms(arms)
    if not 0.0 < scale < np.inf:
        raise ValueError(f"expected a positive finite scale of the utilities, got {scale}: 1 is customary")
    return bradley_terry(rng.normal(0.0, scale, arms))


def random_sst(rng: np.random.Generator, arms: int, gap: float = 0.05) -> Array:
    """Strongly stochastically transitive preferences, arms from best to worst, (K, K).

    For i < j < k, P[i, k] ≥ max(P[i, j], P[j, k]) (Yue et al. 2012): a duel between arms further apart is never
    closer. No utilities need explain it, unlike Bradley–Terry.

    Args:
        rng: one uniform on [½ + gap, 1] is drawn for each of K² places.
        arms: K.
        gap: smallest |P − ½| of two arms, in (0, ½].

    Raises:
        ValueError: fewer than two arms, or a gap outside (0, ½].
    """
    _check_arms(arms)
    _check_gap(gap)
    drawn = np.triu(rng.uniform(0.5 + gap, 1.0, (arms, arms)), 1)
    # P[i, k] is the largest draw of any pair between i and k, so widening a pair can only raise it.
    widest = np.maximum.accumulate(np.maximum.accumulate(drawn, axis=1)[::-1], axis=0)[::-1]
    return _from_triangle(widest)


def random_condorcet(rng: np.random.Generator, arms: int, gap: float = 0.05) -> Array:
    """Preferences with a Condorcet winner at a random place and no other structure: the rest may be cyclic, (K, K).

    Args:
        rng: draws P of every pair from U[0, 1], then the winner, then the winner's row from U[½ + gap, 1].
        arms: K.
        gap: smallest P − ½ of the winner, in (0, ½].

    Raises:
        ValueError: fewer than two arms, or a gap outside (0, ½].
    """
    _check_arms(arms)
    _check_gap(gap)
    preferences = _from_triangle(rng.random((arms, arms)))
    winner = int(rng.integers(arms))
    preferences[winner] = rng.uniform(0.5 + gap, 1.0, arms)
    preferences[:, winner] = 1.0 - preferences[winner]
    preferences[winner, winner] = 0.5
    return check_preferences(preferences)


def urvoy(arms: int) -> Array:
    """The hard Condorcet problem P[i, j] = ½ + j / 2K for i < j, arms numbered 1…K from best to worst, (K, K).

    The loser's rank alone sets the gap, so the better the rival the closer the duel. The winner's smallest gap is
    1/K, over the second arm, and the last arm always loses (Urvoy et al. 2013).

    Raises:
        ValueError: fewer than two arms.
    """
    _check_arms(arms)
    ranks = np.arange(1, arms + 1)
    return _from_triangle(np.broadcast_to(0.5 + ranks / (2.0 * arms), (arms, arms)))


def mallows(arms: int, phi: float = 0.8) -> Array:
    """Chance that arm i stands before arm j in a Mallows ranking around the order 1…K, (K, K).

    A ranking with d pairs out of order has probability ∝ φᵈ. Only the distance k = j − i counts: with
    h(k) = k / (1 − φᵏ), P = h(k + 1) − h(k) (Mallows 1957; pairwise form: Busa-Fekete et al. 2014). It is
    computed as Σ_{m<k} φᵐ S(k−m) / (S(k) S(k+1)) with S(k) = Σ_{m<k} φᵐ, the same number without the cancellation
    as φ nears 1.

    Args:
        arms: K.
        phi: dispersion φ in (0, 1): near 0 all rankings are the central one, near 1 all are equally likely.

    Raises:
        ValueError: fewer than two arms, or φ outside (0, 1).
    """
    _check_arms(arms)
    if not 0.0 < phi < 1.0:
        raise ValueError(f"expected a dispersion phi strictly between 0 and 1, got {phi}: 0.8 is noisy, 0.1 is sharp")
    powers = phi ** np.arange(arms, dtype=np.float64)
    sums = np.cumsum(powers)
    # A probability of 1 up to rounding may come out one digit above it.
    ahead = np.minimum(np.convolve(powers, sums)[: arms - 1] / (sums[:-1] * sums[1:]), 1.0)
    distance = np.arange(arms)[None, :] - np.arange(arms)[:, None]
    return _from_triangle(ahead[np.maximum(distance - 1, 0)])


def bernoulli_arms(arms: int, gap: float = 0.2) -> Array:
    """Duels of arms that pay 1 or 0: the one that pays more wins, ties split, (K, K).

    The first arm pays with probability ½ + Δ/2, all others with ½ − Δ/2, each arm of a duel on its own. Then
    P[i, j] = ½ (1 + μ_i − μ_j), so the best arm wins with probability ½ + Δ/2 and all others are equal. The means are
    those of EVOLvE's Bernoulli tasks (arXiv 2410.06238), with Δ = 0.2 (hard) or 0.5 (easy).

    Args:
        arms: K.
        gap: Δ, in (0, 1].

    Raises:
        ValueError: fewer than two arms, or a gap outside (0, 1].
    """
    _check_arms(arms)
    if not 0.0 < gap <= 1.0:
        raise ValueError(f"expected a gap of the means in (0, 1], got {gap}: 0.2 is hard, 0.5 is easy")
    means = 0.5 + gap * np.where(np.arange(arms) == 0, 0.5, -0.5)
    return check_preferences(0.5 * (1.0 + means[:, None] - means[None, :]))


def random_gaussian_arms(rng: np.random.Generator, arms: int, noise: float = 1.0, spread: float = 1.0) -> Array:
    """Duels of arms that pay N(μ, σ²): the one that pays more wins, arms in no order, (K, K).

    P[i, j] = Φ((μ_i − μ_j) / (√2 σ)) with μ ~ N(0, spread²): only σ / spread counts. EVOLvE's Gaussian tasks have one
    σ for all arms (arXiv 2410.06238), 3 where they are hard and 1 where they are easy; how far its means lie apart was
    not verified, and a spread of 1 is our own choice.

    Args:
        rng: draws the means.
        arms: K.
        noise: σ.
        spread: standard deviation of the means.

    Raises:
        ValueError: fewer than two arms, or a standard deviation that is not positive and finite.
    """
    _check_arms(arms)
    if not (0.0 < noise < np.inf and 0.0 < spread < np.inf):
        raise ValueError(f"expected positive finite noise and spread, got {noise} and {spread}")
    means = rng.normal(0.0, spread, arms)
    return check_preferences(ndtr((means[:, None] - means[None, :]) / (np.sqrt(2.0) * noise)))


def _check_arms(arms: int) -> None:
    if arms < 2:
        raise ValueError(f"expected at least 2 arms to compare, got {arms}")


def _check_gap(gap: float) -> None:
    if not 0.0 < gap <= 0.5:
        raise ValueError(f"expected a gap in (0, 0.5], got {gap}: it is the least distance of P from 1/2")


FAMILIES: dict[str, Callable[..., Array]] = {
    "bt": random_bradley_terry,
    "sst": random_sst,
    "condorcet": random_condorcet,
    "gaussian": random_gaussian_arms,
    "mallows": lambda rng, arms, phi=0.8: mallows(arms, phi),
    "urvoy": lambda rng, arms: urvoy(arms),
    "bernoulli": lambda rng, arms, gap=0.2: bernoulli_arms(arms, gap),
}
"""Name -> family, called as ``family(rng, arms, **options)``; the last three are not random and leave rng alone."""
