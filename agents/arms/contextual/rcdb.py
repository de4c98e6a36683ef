"""RCDB: MaxPairUCB that trusts uncertain duels less, against corrupted answers (Di, He & Gu 2024; arXiv 2404.10776).

Plays argmax over pairs of (x_i + x_j)·θ̂ + β ‖x_i − x_j‖_{V⁻¹}. A duel with difference z counts min(1, α / ‖z‖_{V⁻¹}) in
the regression and in V, with the V of the moment its answer comes. In theory α = √d / C for C corrupted answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from duelbench.agents.arms.base import Floats
from duelbench.agents.arms.contextual.base import WidthConfig, norms
from duelbench.agents.arms.contextual.max_pair_ucb import MaxPairUCB
from duelbench.ranges import Positive


@dataclass(frozen=True)
class RCDBConfig(WidthConfig):
    """Hyper-parameters of RCDB.

    Attributes:
        alpha: width ‖z‖_{V⁻¹} from which on duels lose weight.
    """

    alpha: Positive = 1.0


class RCDB(MaxPairUCB):
    """Where one answer could move the estimate far, it is given less weight."""

    Config = RCDBConfig

    def weights(self, z: Floats) -> Floats:
        """min(1, α / ‖z‖_{V⁻¹}), (S,)."""
        width = norms(z[:, None], self.inverse)[:, 0]
        weight: Floats = self.config.alpha / np.maximum(width, self.config.alpha)
        return weight
