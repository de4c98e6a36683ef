"""Final regrets that other implementations reach, with their standard errors.

``Komiyama`` is the C++ code published with Komiyama et al. 2015 and 2016 (50 runs), ``Wu & Liu`` the C++ code published
with Wu & Liu 2016 (20 runs; RUCB, RCS and CCB 100), ``VACDB code`` the authors' Python code of Di et al. 2024 (10
instances), ``NumPy`` an independent implementation of the same rules (200 runs on matrices, the same 10 instances of
C1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

HYPERCUBE: dict[str, Any] = {"design": "hypercube", "dim": 5, "arms": 32, "sparsity": 2, "norm": 1.0}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is played.

    Attributes:
        env: environment id.
        kwargs: its arguments.
        labels: T.
        scale: our average regret times this is in the unit of the reference.
        instances: seeds that the reference used; None for any.
    """

    env: str
    kwargs: dict[str, Any]
    labels: int
    scale: float = 1.0
    instances: int | None = None


PROBLEMS = {
    "bt10": Problem("MatrixDuel-v0", {"matrix": "bt10"}, 10_000),
    "arxiv6": Problem("MatrixDuel-v0", {"matrix": "arxiv6"}, 10_000),
    "mslr5": Problem("MatrixDuel-v0", {"matrix": "mslr5"}, 10_000),
    "sushi16": Problem("MatrixDuel-v0", {"matrix": "sushi16"}, 10_000),
    "c1": Problem("LinearDuel-v0", HYPERCUBE, 4000, scale=2.0, instances=10),
}


@dataclass(frozen=True, slots=True)
class Reference:
    """A published or independently measured final regret.

    Attributes:
        agent: our name.
        problem: a name in ``PROBLEMS``.
        mean: final cumulative regret.
        error: its standard error; NaN if not known.
        source: who measured it.
        options: of our agent, to match the source.
        metric: which regret.
    """

    agent: str
    problem: str
    mean: float
    error: float
    source: str
    options: dict[str, Any] = field(default_factory=dict)
    metric: str = "average"


def _both(
    agent: str, bt10: tuple[float, float], arxiv6: tuple[float, float], source: str, **more: Any
) -> list[Reference]:
    return [
        Reference(agent, name, mean, error, source, **more)
        for name, (mean, error) in (("bt10", bt10), ("arxiv6", arxiv6))
    ]


def _four(agent: str, *regrets: tuple[float, float]) -> list[Reference]:
    """What Wu & Liu's code reaches on bt10, arxiv6, mslr5 and sushi16 in 100 runs, arms relabelled in each."""
    problems = ("bt10", "arxiv6", "mslr5", "sushi16")
    return [Reference(agent, *at, "Wu & Liu") for at in ((name, *r) for name, r in zip(problems, regrets, strict=True))]


REFERENCES: list[Reference] = [
    *_both("uniform", (2326.0, 1.0), (599.0, 1.0), "NumPy"),
    *_both("double_ts", (89.3, 1.8), (96.5, 3.2), "NumPy"),
    *_both("double_ts", (84.8, 5.2), (93.0, 5.9), "Wu & Liu"),
    *_both("double_ts_plus", (85.9, 4.4), (101.4, 5.6), "Wu & Liu"),
    *_both("self_sparring", (95.2, 2.1), (95.6, 3.2), "NumPy"),
    *_both("sparring_ts", (145.3, 2.2), (138.9, 3.0), "NumPy"),
    *_both("rmed1", (141.4, 4.6), (191.0, 4.6), "Komiyama"),
    *_both("rmed1", (156.5, 9.9), (198.0, 7.7), "Wu & Liu"),
    *_both("rmed2", (192.2, 4.0), (222.4, 5.2), "Komiyama"),
    *_both("rmed2fh", (210.9, 5.8), (232.3, 5.4), "Komiyama"),
    *_both("rucb", (287.8, 3.2), (394.6, 3.4), "NumPy", options={"unseen": 1.0}),
    *_both("rucb", (288.0, 6.6), (410.7, 6.9), "Komiyama", options={"unseen": 1.0}),
    *_four("rucb", (320.1, 3.9), (399.6, 4.4), (162.0, 3.6), (800.8, 7.6)),
    *_four("rcs", (205.4, 4.6), (247.1, 5.9), (127.8, 3.5), (535.9, 7.6)),
    *_four("ccb", (310.4, 4.4), (395.5, 4.9), (154.0, 3.4), (799.0, 6.8)),
    *_both("sparring_ucb", (600.9, 3.7), (370.8, 3.1), "Komiyama"),
    *_both("savage", (1252.8, 11.0), (586.7, 3.0), "Komiyama"),
    *_both("multisbm", (1278.8, 6.0), (487.6, 2.8), "Komiyama"),
    *_both("interleaved_filter", (1657.0, 48.0), (598.0, 22.0), "Komiyama"),
    *_both("beat_the_mean", (1907.0, 9.0), (600.0, 0.3), "Komiyama"),
    *_both("wsw", (919.6, float("nan")), (306.6, float("nan")), "NumPy"),
    *_both("wsw", (5.7, float("nan")), (7.7, float("nan")), "NumPy", metric="weak"),
    Reference("uniform", "c1", 9975.0, 388.0, "NumPy"),
    Reference("max_inp", "c1", 769.0, 78.0, "NumPy"),
    Reference("max_inp", "c1", 771.0, 75.0, "VACDB code"),
    Reference("max_pair_ucb", "c1", 461.0, 41.0, "NumPy"),
    Reference("max_pair_ucb", "c1", 502.0, 57.0, "VACDB code"),
    Reference("colstim", "c1", 494.0, 30.0, "NumPy"),
    Reference("colstim", "c1", 535.0, 43.0, "VACDB code"),
    Reference("vacdb", "c1", 963.0, 173.0, "VACDB code"),
    Reference("laplace_ts", "c1", 399.0, 42.0, "NumPy"),
    Reference("langevin_ts", "c1", 358.0, 36.0, "NumPy"),
    Reference("fgts_cdb", "c1", 403.0, 41.0, "NumPy", {"mu": 0.005}),
    Reference("fgts_cdb", "c1", 519.0, 40.0, "NumPy", {"mu": 0.02}),
]
