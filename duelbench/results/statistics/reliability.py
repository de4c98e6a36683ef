"""Whether an agent's posterior knows what it does not know: its predictions of held-out duels against the truth.

An agent with a posterior predicts, for duels between responses that it never learned from, the probability q that the
first is preferred, and how far its members disagree. The oracle's probability p is known, so no label is bought and
nothing is estimated from a few bits. Shapes: n duels of a run, R runs, B bins.

References:
    Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning" (expected calibration error).
    Brier 1950, "Verification of forecasts expressed in terms of probability".
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from duelbench.records.record import CALIBRATION_FILE, Run
from duelbench.results.statistics.estimates import BAND_MIN_RUNS, Floats, t_quantile

BINS = 10
_LEAST = 1e-6  # to so many digits predictions are recorded
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Predictions:
    """What one run's agent said of n held-out duels, (n,) each.

    Attributes:
        probability: q, that the first response is preferred: the mean over the posterior's members.
        spread: standard deviation of that probability between the members.
        truth: p, the probability that an answer names the first.
    """

    probability: Floats
    spread: Floats
    truth: Floats

    @property
    def error(self) -> Floats:
        """|p − q|, (n,)."""
        return np.abs(self.truth - self.probability)


@dataclass(frozen=True, slots=True)
class Binned:
    """Means of y by bins of x over the duels of all runs, (B,) each; NaN in an empty bin.

    Attributes:
        count: duels in the bin.
        x: their mean x.
        y: their mean y.
        low: lower end of y's 95 % interval; NaN where fewer than ``BAND_MIN_RUNS`` runs have a duel in the bin.
        high: upper end.
    """

    count: NDArray[np.int64]
    x: Floats
    y: Floats
    low: Floats
    high: Floats


def read_predictions(run: Run) -> Predictions | None:
    """The predictions that a run recorded at its end; None if its agent makes none, or they are damaged."""
    path = None if run.folder is None else run.folder / CALIBRATION_FILE
    if path is None or not path.exists():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return Predictions(*(np.array(stored[name], np.float64) for name in ("probability", "spread", "truth")))
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("left out the calibration of a run: %s is cut off or damaged (%s)", path, error)
        return None


def scores(predictions: Predictions) -> dict[str, float]:
    """One number each for a run.

    ``calibration_error``: Σ_b (n_b / n) |mean q − mean p| over ``BINS`` bins of equal width. ``accuracy``: share of the
    duels whose likelier winner is named, one half where there is none. ``brier``: expected squared distance of q from
    an answer, p (1 − q)² + (1 − p) q². ``brier_floor``: the same for q = p, which no predictor can beat. ``log_loss``
    and ``log_loss_floor``: likewise of −log of the probability given to the answer; always saying ½ costs ln 2.
    ``coverage``: how often p lies within two of the members' standard deviations of q.
    ``rank_correlation``: Spearman's, of the members' spread with |p − q|.
    """
    q, p = predictions.probability, predictions.truth
    place = _bin(q, np.linspace(0.0, 1.0, BINS + 1))
    gaps = np.bincount(place, weights=q - p, minlength=BINS)
    return {
        "calibration_error": float(np.abs(gaps).sum() / len(q)),
        "accuracy": float(np.mean(0.5 * (1.0 + np.sign(q - 0.5) * np.sign(p - 0.5)))),
        "brier": float(np.mean(p * (1.0 - q) ** 2 + (1.0 - p) * q**2)),
        "brier_floor": float(np.mean(p * (1.0 - p))),
        "log_loss": _cross_entropy(p, q),
        "log_loss_floor": _cross_entropy(p, p),
        "coverage": float(np.mean(predictions.error <= 2.0 * predictions.spread)),
        "rank_correlation": rank_correlation(predictions.spread, predictions.error),
    }


def _cross_entropy(p: Floats, q: Floats) -> float:
    return float(-np.mean(xlogy(p, np.maximum(q, _LEAST)) + xlogy(1.0 - p, np.maximum(1.0 - q, _LEAST))))


def reliability(runs: Sequence[Predictions]) -> Binned:
    """Mean truth by predicted probability, in ``BINS`` bins of equal width: on the diagonal if calibrated."""
    edges = np.linspace(0.0, 1.0, BINS + 1)
    return binned([r.probability for r in runs], [r.truth for r in runs], edges)


def uncertainty(runs: Sequence[Predictions]) -> Binned:
    """Mean |p − q| by the members' spread, in ``BINS`` bins of equally many duels: rising if doubt is placed well."""
    edges = np.quantile(np.concatenate([r.spread for r in runs]), np.linspace(0.0, 1.0, BINS + 1))
    return binned([r.spread for r in runs], [r.error for r in runs], edges)


def binned(xs: Sequence[Floats], ys: Sequence[Floats], edges: Floats) -> Binned:
    """Bin the duels of R runs by x; the last bin holds its upper edge.

    The predictions of a run come from one posterior and depend on each other: whole runs are the units of the
    interval, Student's t of a ratio: Σ y over the duels of all runs, by their number.
    """
    size, place = len(edges) - 1, [_bin(x, edges) for x in xs]
    totals = np.stack(
        [
            [np.bincount(i, weights=w, minlength=size) for w in (np.ones(len(x)), x, y)]
            for i, x, y in zip(place, xs, ys, strict=True)
        ]
    )  # (R, 3, B): how many, Σ x, Σ y
    count, x, y = totals.sum(0)
    runs = (totals[:, 0] > 0).sum(0)  # (B,)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = y / count
        residuals = totals[:, 2] - mean * totals[:, 0]  # (R, B)
        error = np.sqrt((residuals**2).sum(0) * runs / (runs - 1)) / count
    half = np.array([t_quantile(n - 1) if n >= BAND_MIN_RUNS else np.nan for n in runs]) * error
    with np.errstate(invalid="ignore", divide="ignore"):
        return Binned(count.astype(np.int64), x / count, mean, mean - half, mean + half)


def rank_correlation(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation, ties sharing their mean rank; NaN where one side is constant."""
    a, b = _ranks(np.asarray(x, np.float64)), _ranks(np.asarray(y, np.float64))
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / norm) if norm else float("nan")


def _bin(x: Floats, edges: Floats) -> NDArray[np.int64]:
    """The bin of each x, (n,)."""
    return np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)


def _ranks(x: Floats) -> Floats:
    _, group, counts = np.unique(x, return_inverse=True, return_counts=True)
    return np.asarray((counts.cumsum() - 0.5 * (counts - 1))[group])
