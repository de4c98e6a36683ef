"""Regularised logistic regression of S rows at once, warm-started, at a cost that does not grow with the duels seen.

Row s minimises ½ λ‖θ‖² + Σ_duels w [log(1 + exp(z·θ)) − y z·θ] with z = x_first − x_second and y the answer.

Duels between arms that keep their features are sums over pairs: each pair played is one weighted observation, however
often it was played. Duels between fresh arms are observations of their own; the full fit is then repeated whenever
their number has grown by a twentieth, which costs the same per duel at any time, and in between θ follows by one
Newton step on the new duel (a recursive update of the inverse Hessian).

The fit waits until somebody reads it, so that an agent that only looks now and then pays only then. A row without an
answer stays as it was, to the last bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from duelbench.agents.arms.base import Floats, Ids

_MAX_STEPS = 100  # rarely more than 2 are taken; tiny ridges and separable answers need many
_LONGEST = 1.5  # max|z·step|, in logits: Newton steps up to here decrease the loss, which is self-concordant
_SHORT = 0.1  # a step this short is the last: the next would be below half its square (measured: mostly below 1e-4)
_ALWAYS = 64  # observations up to which every fit is full
_GROWTH = 1.05


class LogisticRegression:
    """θ̂ of S rows.

    Args:
        rows: S.
        dim: d.
        ridge: λ, one for all rows or (S,).
        pairs: K if arms keep their features (observations are counted by pair), 0 if they are fresh.
    """

    def __init__(self, rows: int, dim: int, ridge: float | Floats, pairs: int = 0) -> None:
        self.rows, self.dim, self.arms = rows, dim, pairs
        self.ridge = np.broadcast_to(np.asarray(ridge, np.float64), (rows,))
        self._theta = np.zeros((rows, dim))
        self._inverse_hessian = np.eye(dim) / self.ridge[:, None, None]
        self._all, self._eye = np.arange(rows), np.eye(dim)
        self._used = np.zeros(rows, np.int64)  # observations of each row
        room = 16
        self._z = np.zeros((rows, dim, room))  # observations last: the long loops run along them
        self._weight, self._won = np.zeros((rows, room)), np.zeros((rows, room))
        self._reach = np.zeros(rows)  # the longest z
        self._place = np.full((rows, pairs * pairs), -1, np.int32) if pairs else None
        self._fitted_at = np.zeros(rows, np.int64)
        self._stale = np.zeros(rows, bool)
        self._unread = False  # whether anything was added since the last fit
        self._whole: tuple[Floats, Floats, Floats] | None = None  # for exact gradients, until the next observation

    @property
    def theta(self) -> Floats:
        """θ̂ of everything added so far, (S, d)."""
        return self.fit()

    @property
    def inverse_hessian(self) -> Floats:
        """Covariance of the Laplace approximation, H⁻¹ at θ̂ (or a short step before it), (S, d, d)."""
        self.fit()
        return self._inverse_hessian

    def add(
        self, z: Floats, won: Floats, firsts: Ids, seconds: Ids, weight: Floats | float = 1.0, rows: Ids | None = None
    ) -> None:
        """Remember one duel per row.

        Args:
            z: x_first − x_second, (n, d).
            won: 1.0, 0.0 or 0.5; NaN where a row has no answer, (n,).
            firsts: first arms, (n,); they tell pairs apart, and only matter where arms keep their features.
            seconds: second arms, (n,).
            weight: w, (n,).
            rows: whose duels these are, each at most once, (n,); all rows if None.
        """
        rows = self._all if rows is None else rows
        weight = weight + np.zeros(len(won))
        telling = z.any(-1) & ~np.isnan(won)  # a self-duel says nothing about θ
        if not telling.all():
            rows, z, won, weight = rows[telling], z[telling], won[telling], weight[telling]
            firsts, seconds = firsts[telling], seconds[telling]
        if not len(rows):
            return
        if self._place is not None:
            swap = firsts > seconds
            won, z = np.where(swap, 1.0 - won, won), np.where(swap[:, None], -z, z)
        places = self._places(rows, np.minimum(firsts, seconds), np.maximum(firsts, seconds))
        self._z[rows, :, places] = z
        self._weight[rows, places] += weight
        self._won[rows, places] += weight * won
        self._reach[rows] = np.maximum(self._reach[rows], np.sqrt((z * z).sum(-1)))
        self._stale[rows] = self._unread = True
        self._whole = None
        if self._place is None:
            self._follow(rows, z, won, weight)

    def _places(self, rows: Ids, low: Ids, high: Ids) -> Ids:
        """Where each row's observation goes; a new place for a new pair."""
        places = self._used[rows]
        if self._place is None:
            self._used[rows] += 1
        else:
            key = low * self.arms + high
            known = self._place[rows, key]
            new = known < 0
            places = np.where(new, places, known)
            if new.any():
                self._place[rows, key] = places
                self._used[rows] += new
        if places.max() >= self._z.shape[2]:
            self._grow()
        return places

    def _grow(self) -> None:
        more = self._z.shape[2]
        self._z = np.pad(self._z, ((0, 0), (0, 0), (0, more)))
        self._weight, self._won = (np.pad(a, ((0, 0), (0, more))) for a in (self._weight, self._won))

    def fit(self) -> Floats:
        """θ̂ of everything added so far, (S, d)."""
        if not self._unread:
            return self._theta
        self._unread = False
        due = self._stale
        if self._place is None:
            due = due & ((self._used <= _ALWAYS) | (self._used >= _GROWTH * self._fitted_at))
        rows = np.flatnonzero(due)
        self._stale[rows] = False
        self._fitted_at[rows] = self._used[rows]
        self._theta = self._theta.copy()  # an earlier reader keeps what it was given
        for _ in range(_MAX_STEPS):
            if not len(rows):
                break
            rows = rows[self._newton(rows) > _SHORT]
        return self._theta

    def _newton(self, rows: Ids) -> Floats:
        """Take a Newton step in some rows, shortened where it might overshoot; how far it was, in logits, (n,)."""
        n = int(self._used[rows].max())
        pick = slice(None) if len(rows) == self.rows else rows  # all rows: no copies
        z, weight, won, theta = self._z[pick, :, :n], self._weight[pick, :n], self._won[pick, :n], self._theta[pick]
        half = np.tanh(np.matmul(0.5 * theta[:, None], z)[:, 0])  # σ(x) = (1 + tanh(x / 2)) / 2: faster than exp
        excess = 0.5 * weight * (1.0 + half) - won  # (n, pairs)
        gradient = np.matmul(z, excess[:, :, None])[..., 0] + self.ridge[pick, None] * theta
        curvature = 0.25 * weight * (1.0 - half * half)
        hessian = np.matmul(z * curvature[:, None], z.transpose(0, 2, 1))
        hessian += self.ridge[pick, None, None] * self._eye
        inverse = np.linalg.inv(hessian)
        step = np.matmul(inverse, gradient[:, :, None])[..., 0]
        length: Floats = self._reach[pick] * np.sqrt((step * step).sum(-1))  # an upper bound of max|z·step|
        if length.max() > _LONGEST:
            length = np.abs(np.matmul(step[:, None], z)[:, 0]).max(-1)
            step *= np.minimum(1.0, _LONGEST / np.maximum(length, _SHORT))[:, None]
        self._theta[pick] -= step
        self._inverse_hessian[pick] = inverse
        return length

    def _follow(self, rows: Ids, z: Floats, won: Floats, weight: NDArray[np.float64]) -> None:
        """One Newton step on a new duel: rank-one update of the inverse Hessian (Sherman–Morrison)."""
        theta, inverse = self._theta[rows], self._inverse_hessian[rows]
        p = 0.5 + 0.5 * np.tanh(0.5 * (z * theta).sum(-1))
        moved = np.matmul(inverse, z[:, :, None])[..., 0]  # H⁻¹ z
        curvature = weight * p * (1.0 - p)
        along = (z * moved).sum(-1)
        shrink = curvature / (1.0 + curvature * along)
        self._inverse_hessian[rows] = inverse - shrink[:, None, None] * moved[:, :, None] * moved[:, None, :]
        size = weight * (won - p) * (1.0 - shrink * along)  # the new H⁻¹ z is (1 − shrink · along) times the old
        limit = _LONGEST / np.maximum(along, 1e-12)
        self._theta = self._theta.copy()
        self._theta[rows] += np.clip(size, -limit, limit)[:, None] * moved

    def _halved(self) -> tuple[Floats, Floats, Floats]:
        """z, w / 2 and w / 2 − won of all observations, (S, d, n), (S, 1, n) and (S, 1, n)."""
        n = int(self._used.max())
        half = 0.5 * self._weight[:, None, :n]
        return self._z[:, :, :n], half, half - self._won[:, None, :n]

    def gradient(self, theta: Floats, drawn: Floats | None = None) -> Floats:
        """Gradient of the loss at C points θ of each row: exact, or an unbiased estimate at a cost that does not grow.

        The estimate is λ(θ − θ̂) + n/b Σ_minibatch w [σ(z·θ) − σ(z·θ̂)] z: as the gradient is 0 at θ̂, terms at θ̂ may be
        taken away, and what is left is small where θ is close to θ̂.

        Args:
            theta: points, (S, C, d).
            drawn: uniform numbers that choose a minibatch of b of the n observations, (S, b); None: all of them.

        Returns:
            Gradients, (S, C, d).
        """
        here = self.fit()[:, None]
        if drawn is None:
            z, half, rest = self._whole = self._whole or self._halved()
            excess = np.matmul(0.5 * theta, z)  # w σ(x) − won = w / 2 tanh(x / 2) + (w / 2 − won), in place
            np.tanh(excess, out=excess)
            excess *= half
            excess += rest
            gradient = np.matmul(excess, z.transpose(0, 2, 1))
            gradient += self.ridge[:, None, None] * theta
            return gradient
        places = (drawn * self._used[:, None]).astype(np.int64)
        z = self._z[self._all[:, None], :, places]  # (S, b, d)
        weight = np.take_along_axis(self._weight, places, 1) * (self._used / drawn.shape[1])[:, None]
        change = np.tanh(0.5 * np.matmul(z, theta.transpose(0, 2, 1)))
        change -= np.tanh(0.5 * np.matmul(z, here.transpose(0, 2, 1)))
        excess = 0.5 * weight[..., None] * change  # (S, b, C)
        return np.matmul(excess.transpose(0, 2, 1), z) + self.ridge[:, None, None] * (theta - here)
