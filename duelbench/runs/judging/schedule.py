"""When the deployed response is judged: the one schedule of both loops."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

_EARLY = 12  # evaluations per decade before the even grid begins, for pictures with a logarithmic axis


def evaluation_points(labels: int, every: int, *, early: bool = True) -> list[int]:
    """Labels at which curves have a point: an even grid, and where wanted a logarithmic one before it begins.

    Args:
        labels: the run's budget; always a point, as 0 is.
        every: labels between two points of the even grid; 0 for none but the end.
        early: whether there are points before the first of the even grid.

    >>> evaluation_points(40, 20)
    [0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 16, 20, 40]
    >>> evaluation_points(40, 16, early=False)
    [0, 16, 32, 40]
    """
    if not every:
        return [labels]
    before = np.geomspace(1, every, 1 + round(_EARLY * np.log10(every))).astype(int).tolist() if early else []
    return sorted({0, *(point for point in before if point < labels), *range(every, labels, every), labels})


def passed(points: Sequence[int], labels: int) -> int:
    """Number of points that a run has come to or gone past with so many labels.

    >>> passed([0, 16, 32, 40], 16), passed([0, 16, 32, 40], 39)
    (2, 3)
    """
    return bisect_right(points, labels)
