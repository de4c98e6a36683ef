"""Tables of who ended where, and how they differ: means with standard errors, differences paired by seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from duelbench.results.statistics.estimates import holm, mean_interval, p_value, paired_differences, standard_error

FEWEST_PAIRS = 3  # with two, an interval says nothing but that
MARKS = (
    "Means ± standard error, in parentheses differences with 95 % Student t intervals, paired by seed. Bold: the "
    "interval leaves out 0. †: so it does with Holm's correction for all comparisons of the column."
)
Scores = Callable[[str], dict[int, float]]
"""{seed: score} of what goes by a name."""


def comparison_table(names: list[str], base: str, columns: dict[str, tuple[Scores, int]]) -> str:
    """One row a name: mean ± standard error, and the difference to the base if it is one, per column with its decimals.

    What is marked, and how: ``MARKS``.
    """
    head = ["", *columns]
    lines = [head, ["---"] * len(head)]
    told = [_against(of, names, base, digits) for of, digits in columns.values()]
    for name in names:
        means = [mean_text([*of(name).values()], digits) for of, digits in columns.values()]
        lines.append([name, *(mean + against[name] for mean, against in zip(means, told, strict=True))])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def mean_text(values: ArrayLike, digits: int) -> str:
    """Mean ± standard error; without the latter for one value, a dash for none.

    >>> mean_text([-0.5, -0.7], 2)
    '−0.60 ± 0.10'
    """
    known = np.asarray(values, np.float64)
    if not known.size:
        return "–"
    error = standard_error(known)
    text = f"{known.mean():.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")
    return text.replace("-", "−")


def _against(scores: Scores, names: list[str], base: str, digits: int) -> dict[str, str]:
    """{name: `` (+0.05 [+0.01, +0.09])``}, marked as ``MARKS`` says; empty for the base and where pairs are too few."""
    others = [name for name in names if name != base] if base in names else []
    found = {name: paired_differences(scores(name), scores(base)) for name in others}
    found = {name: differences for name, differences in found.items() if len(differences) >= FEWEST_PAIRS}
    told = dict(zip(found, marked(list(found.values()), digits), strict=True))
    return {name: f" ({told[name]})" if name in told else "" for name in names}


def marked(family: Sequence[NDArray[np.float64]], digits: int) -> list[str]:
    """Means of differences with their intervals, marked as ``MARKS`` says; Holm's correction is for this family."""
    told = []
    for differences, adjusted in zip(family, holm([p_value(differences) for differences in family]), strict=True):
        e = mean_interval(differences)
        text = f"{e.value:+.{digits}f} [{e.low:+.{digits}f}, {e.high:+.{digits}f}]".replace("-", "−")
        told.append((f"**{text}**" if e.separated else text) + ("†" if adjusted < 0.05 else ""))
    return told


def seeds_text(scores: Scores, names: list[str]) -> str:
    """How many seeds there are of what is compared."""
    counts = sorted({len(scores(name)) for name in names})
    if len(counts) > 1:
        return f"{counts[0]} to {counts[-1]} seeds (incomplete)"
    return "1 seed" if counts == [1] else f"{counts[0]} seeds"
