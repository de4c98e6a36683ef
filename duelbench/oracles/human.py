"""People as the oracle of a run: ``duelbench label`` and ``duelbench.Session`` ask them, the run loop cannot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from duelbench.oracles.checks import OracleError


class People:
    """Stands for people in the specification of a run.

    They compare two responses and know no utilities. Their answers come late and in any order, so whoever plays such a
    run waits for them. A task needs no reference responses, since people judge duels alone.

    Attributes:
        waits: true: the answers come from elsewhere, and nothing but duels is asked.
    """

    name = "people"
    waits = True

    def preference(self, prompts: Sequence[str], firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """Nobody can be asked here.

        Raises:
            OracleError: always.
        """
        raise OracleError(
            "people answer on the page of `duelbench label`, or through duelbench.Session in Python; a run by "
            "`duelbench run` needs an oracle that answers at once"
        )
