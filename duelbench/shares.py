"""Whole numbers from shares, exact: 0.7 of 100 is 70 and 0.1 of 10 is 1, whatever binary arithmetic makes of it."""

from __future__ import annotations

import math
from fractions import Fraction


def at_least(share: float, of: int) -> int:
    """The least whole number that is no less than a share of another one, the share as it is written in decimals.

    >>> at_least(0.07, 100), math.ceil(0.07 * 100)
    (7, 8)
    >>> 10 - at_least(0.9, 10), int((1 - 0.9) * 10)
    (1, 0)
    """
    return math.ceil(Fraction(str(float(share))) * of)
