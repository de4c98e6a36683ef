"""VACDB: layers of regressions with weights that make each duel equally informative (Di et al. 2024, ICLR).

Layer l starts from V_l = 4^−l I; a duel with difference z counts w² in its regression and in V_l, where
w = 2^−l / ‖z‖_{V_l⁻¹}. Arms less than 2^−l β behind the best go on to the next layer. When all pairs are narrower than
2^−L, the pair argmax (x_i + x_j)·θ_l + β ‖x_i − x_j‖_{V_l⁻¹} is played. β = c √(d ln T) as in the authors' code (there
c = 1/4 for ‖θ‖ = 1), and not the β of the paper, which estimates each layer's variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from duelbench.agents.arms.base import ArmSetup, Floats, Ids
from duelbench.agents.arms.contextual.base import UtilityConfig, best_pair, confidence_radius, either_way
from duelbench.agents.arms.contextual.layered import LayeredAgent
from duelbench.ranges import Count, NonNegative, Positive


@dataclass(frozen=True)
class VACDBConfig(UtilityConfig):
    """Hyper-parameters of VACDB.

    Attributes:
        layers: L.
        width: c of the confidence width β = c √(d ln T).
        layer_ridge: λ of layer l's regression is this times 4^−l.
    """

    layers: Count = 5
    width: NonNegative = 0.25
    layer_ridge: Positive = 0.02


class VACDB(LayeredAgent):
    """Layers of equal information; in the last one the best pair, optimistically."""

    Config = VACDBConfig

    def __init__(self, setup: ArmSetup, config: Any = None) -> None:
        config = self.Config() if config is None else config
        quarters = 0.25 ** np.arange(1, config.layers + 1)
        self.beta = confidence_radius(setup, config.width)
        super().__init__(
            setup,
            config,
            starts=quarters,
            ridges=config.layer_ridge * quarters,
            scale=1.0,
            margins=self.beta * np.sqrt(quarters),
            finest=0.5**config.layers,
        )

    def exploit(self, utility: Floats, widths: Floats, drawn: Floats) -> Ids:
        """The pair that is best together, optimistically, its sides in random order."""
        pair = best_pair(utility[:, :, None] + utility[:, None, :] + self.beta * widths)
        return np.stack(either_way(pair, drawn), axis=-1)

    def layer_weights(self, layer: Ids, widths: Floats) -> Floats:
        """w² = 4^−l / ‖z‖², (n,)."""
        return (self.levels[layer] / widths) ** 2
