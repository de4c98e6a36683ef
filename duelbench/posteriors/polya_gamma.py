"""Exact draws from the Pólya-Gamma distribution PG(1, z) (Polson, Scott & Windle 2013), many at once.

PG(1, z) = J*(1, |z|/2) / 4, and J* is drawn by Devroye's alternating series: a proposal that is inverse-Gaussian up to
t = 0.64 and exponential beyond it, accepted as soon as partial sums of the density's series, which are in turn above
and below it, decide. The proposal is accepted with probability above 0.999 whatever z.

Facts checked in tests: mean tanh(z/2) / 2z, and E exp(−sω) = cosh(z/2) / cosh √((z²/2 + s) / 2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

Floats = NDArray[np.float64]
_CUT = 0.64


def polya_gamma(z: Floats, rng: np.random.Generator) -> Floats:
    """Independent draws of PG(1, z), in the shape of z."""
    tilt = 0.5 * np.abs(z).ravel()
    drawn = np.empty(len(tilt))
    left = np.arange(len(tilt))
    while len(left):
        proposed = _propose(tilt[left], rng)
        accepted = _accept(proposed, rng)
        drawn[left[accepted]] = 0.25 * proposed[accepted]
        left = left[~accepted]
    return drawn.reshape(z.shape)


def _propose(tilt: Floats, rng: np.random.Generator) -> Floats:
    """The two-part proposal for J*(1, tilt)."""
    rate = 0.125 * np.pi**2 + 0.5 * tilt**2
    root = np.sqrt(1.0 / _CUT)
    log_tail = np.log(0.5 * np.pi / rate) - rate * _CUT
    log_below = np.log(2.0) + np.logaddexp(  # 2 e^(−tilt) P(inverse Gaussian < t)
        log_ndtr(root * (_CUT * tilt - 1.0)) - tilt, log_ndtr(-root * (_CUT * tilt + 1.0)) + tilt
    )
    in_tail = rng.random(len(tilt)) < np.exp(log_tail - np.logaddexp(log_tail, log_below))
    proposed = _CUT + rng.exponential(size=len(tilt)) / rate
    proposed[~in_tail] = _short_inverse_gaussian(tilt[~in_tail], rng)
    return proposed


def _short_inverse_gaussian(tilt: Floats, rng: np.random.Generator) -> Floats:
    """Inverse-Gaussian draws with mean 1 / tilt and shape 1, given that they are below the cut."""
    drawn = np.full(len(tilt), np.inf)
    wide = tilt < 1.0 / _CUT  # the mean is above the cut
    while (left := np.flatnonzero(wide & (drawn > _CUT))).size:
        drawn[left] = _below_cut(tilt[left], rng)
    while (left := np.flatnonzero(~wide & (drawn > _CUT))).size:
        drawn[left] = rng.wald(1.0 / tilt[left], 1.0)
    return drawn


def _below_cut(tilt: Floats, rng: np.random.Generator) -> Floats:
    """A try for each row: a Lévy draw below the cut, kept with probability exp(−tilt² x / 2); inf where it failed."""
    first, second = rng.exponential(size=(2, len(tilt)))
    x = _CUT / (1.0 + _CUT * first) ** 2
    kept = (first**2 <= 2.0 * second / _CUT) & (rng.random(len(tilt)) < np.exp(-0.5 * tilt**2 * x))
    return np.where(kept, x, np.inf)


def _accept(x: Floats, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whether a uniform height under the first term of the series lies under the whole of it."""
    total = _term(x, 0)
    height = rng.random(len(x)) * total
    accepted, open_ = np.zeros(len(x), bool), np.ones(len(x), bool)
    n = 0
    while open_.any():
        n += 1
        if n % 2:
            total = total - _term(x, n)
            accepted |= open_ & (height <= total)  # the partial sum is below the density
            open_ &= height > total
        else:
            total = total + _term(x, n)
            open_ &= height <= total  # above the density: rejected
    return accepted


def _term(x: Floats, n: int) -> Floats:
    """a_n(x) of the series of J*(1, 0)."""
    k = n + 0.5
    short = np.exp(-2.0 * k * k / x) * (2.0 / (np.pi * x)) ** 1.5
    long = np.exp(-0.5 * k * k * np.pi**2 * x)
    return np.pi * k * np.where(x <= _CUT, short, long)
