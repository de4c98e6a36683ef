"""What a run adds up: a regret that is not known never counts as none."""

from __future__ import annotations

import numpy as np
import pytest

from duelbench.envs.duel.problem import Truth
from duelbench.runs.policy_game.tally import CUMULATIVE, Tally
from duelbench.types import Pair, Responses

IDS = np.arange(2)


class FixedTruth:
    """Utility 0, but 2 of the best response; what the second duel of some round brings is set by the test."""

    def __init__(self) -> None:
        self.utility = 1.0

    def truth(self, ids: np.ndarray, responses: np.ndarray) -> Truth:
        return Truth(np.array([0.0, self.utility]), np.full(2, 2.0), np.zeros((2, 3)))


class FixedRegret(FixedTruth):
    def truth(self, ids: np.ndarray, responses: np.ndarray) -> None:  # type: ignore[override]
        return None

    def regrets(self, ids: np.ndarray, first: np.ndarray, second: np.ndarray) -> dict[str, np.ndarray]:
        return {"average": np.array([1.0, self.utility])}


def duels() -> Pair:
    zeros = np.zeros(2, np.float32)
    side = Responses(("a", "b"), IDS, zeros, zeros, np.ones(2, np.int64), zeros[:, None])
    return Pair.of(side, side)


@pytest.mark.parametrize("problem", [FixedTruth(), FixedRegret()])
def test_an_unknown_regret_stays_unknown(problem: FixedTruth) -> None:
    tally = Tally()
    for utility, known in ((1.0, True), (np.nan, False), (1.0, False)):
        problem.utility = utility
        tally.count_asked(problem, IDS, duels(), exact=True)  # type: ignore[arg-type]
        assert tally.cumulative.keys() <= set(CUMULATIVE)
        assert [np.isfinite(total) for total in tally.cumulative.values()] == [known] * len(tally.cumulative)


def test_online_wins_are_the_mean_of_the_known_ones() -> None:
    tally, problem = Tally(), FixedTruth()
    problem.utility = np.nan
    tally.count_asked(problem, IDS, duels(), exact=True)  # type: ignore[arg-type]
    assert tally.online()["online_win_rate"] == 0.5
    assert tally.online() == {}
