"""Sta'D: stages that halve the width and drop the arms behind (Saha 2021, NeurIPS).

Stage s has samples of its own and V_s = λI + Σ z zᵀ. If all η ‖x_i − x_j‖_{V_s⁻¹} are at most 1/√T, the greedy arm is
played against argmax_j (x_j − x_i)·θ_s + η ‖x_j − x_i‖_{V_s⁻¹}; if they are at most 2^−s, arms whose utility is 2^−s
behind the best are dropped and stage s + 1 decides; else a pair wider than 2^−s is played and added to stage s.

η = c √(d ln T). With the c = 2 of the other agents no stage would end in some thousand duels; the code of Di et al.
(2024) gets round that by comparing 2^−s with the width without η.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmSetup, Floats, Ids
from duelbench.agents.arms.contextual.base import UtilityConfig, confidence_radius
from duelbench.agents.arms.contextual.layered import LayeredAgent
from duelbench.ranges import NonNegative


@dataclass(frozen=True)
class StaDConfig(UtilityConfig):
    """Hyper-parameters of Sta'D.

    Attributes:
        width: c of the confidence width η = c √(d ln T).
    """

    width: NonNegative = 0.25


class StaD(LayeredAgent):
    """Explores uniformly at a precision, then eliminates, then doubles the precision."""

    Config = StaDConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        config = self.Config() if config is None else config
        stages = max(1, int(np.ceil(0.5 * np.log2(setup.labels))))  # 2^−stages ≤ 1/√T
        ridges = np.full(stages, config.ridge)
        super().__init__(
            setup,
            config,
            starts=ridges,
            ridges=ridges,
            scale=confidence_radius(setup, config.width),
            margins=np.exp2(-np.arange(1.0, stages + 1)),
            finest=setup.labels**-0.5,
        )

    def exploit(self, utility: Floats, widths: Floats, drawn: Floats) -> Ids:
        """The greedy arm and its strongest optimistic rival."""
        first = utility.argmax(-1)
        rival = utility + widths[np.arange(len(first)), first]
        return np.stack([first, rival.argmax(-1)], axis=-1)

    def layer_weights(self, layer: Ids, widths: Floats) -> Floats:
        """1, (n,)."""
        return np.ones(len(layer))
