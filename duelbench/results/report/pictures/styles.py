"""Colour and line style of agents, and of the lines that curves are read against."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

Style = tuple[str, Any]
"""A colour, and dashes as matplotlib takes them."""

INK, MUTED, FAINT = "#1f2328", "#66707b", "#b6bdc6"
"""Colours of text, of what is less important, and of lines that only divide."""

GUIDE: tuple[Style, ...] = tuple(
    ("#98a1ab", dashes) for dashes in ((0, (2, 1.5)), (0, (7, 3)), (0, (7, 2, 1.5, 2)), (0, (12, 2, 2, 2, 2, 2)), "-")
)
"""Thin grey lines that are no agents."""

FLOOR: Style = ("#8c96a0", (0, (1, 1.4)))
"""Style of uniform pairs."""

CEILING: Style = ("#8c96a0", "-")
"""Style of an agent that is told the truth."""

CYCLE: tuple[Style, ...] = (
    ("#D55E00", "-"),
    ("#1f2328", "-"),
    ("#56B4E9", (0, (5, 1.4, 1, 1.4))),
    ("#009E73", (0, (3, 1.2))),
    ("#B0569A", (0, (7, 1.6, 1.4, 1.6))),
    ("#E69F00", (0, (5, 1.6))),
    ("#0072B2", "-"),
    ("#A6761D", (0, (4, 1.4))),
    ("#117733", (0, (1.5, 1.2))),
    ("#882255", (0, (6, 1.4, 1, 1.4))),
    ("#6A51A3", (0, (3, 1.2))),
    ("#CC3311", "-"),
    ("#2AA198", "-"),
    ("#E69F00", "-"),
    ("#CC79A7", "-"),
    ("#56B4E9", "-"),
    ("#4D3319", "-"),
    ("#0072B2", (0, (4, 1.4))),
    ("#CC3311", (0, (4, 1.4))),
    ("#117733", "-"),
    ("#882255", "-"),
    ("#E69F00", (0, (1.5, 1.2))),
    ("#6A51A3", "-"),
    ("#2AA198", (0, (4, 1.4))),
    ("#CC79A7", (0, (4, 1.4))),
    ("#A6761D", "-"),
    ("#0072B2", (0, (1.5, 1.2))),
    ("#4D3319", (0, (4, 1.4))),
    ("#CC3311", (0, (6, 1.4, 1, 1.4))),
    ("#56B4E9", (0, (1.5, 1.2))),
)
"""Styles of all others: colours after Okabe and Ito, safe for colour-blind readers, come first."""


def styles(agents: Iterable[str], floors: Iterable[str] = (), ceilings: Iterable[str] = ()) -> dict[str, Style]:
    """Colour and line style of each agent, in the order given.

    Args:
        agents: names of all that are shown together.
        floors: those of them that play uniform pairs.
        ceilings: those of them that are told the truth.

    >>> styles(["uniform", "mine"], floors=["uniform"])["uniform"] == FLOOR
    True
    """
    fixed = dict.fromkeys(floors, FLOOR) | dict.fromkeys(ceilings, CEILING)
    cycle = itertools.cycle(CYCLE)
    return {agent: fixed[agent] if agent in fixed else next(cycle) for agent in agents}
