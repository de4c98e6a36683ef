"""What the agents with layers share: estimates of growing precision, each of which narrows the arms for the next.

Layer l = 1, 2, … has a regression and a V_l of its own, and is fed only duels that were wider than 2^−l in it. A round
starts at the first layer with all arms. As long as some pair of the arms left is wider than 2^−l, one of these pairs,
uniformly drawn, is played; else the arms that the layer finds worse by a margin are left behind, and the next layer
decides. When all pairs are narrower than the finest width, the arms are exploited.

An answer, however late, goes to the first layer in which its pair is still too wide; for an answer that comes at once
that is the layer which asked. What is deployed is the best arm by a regression on all duels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.agents.arms.base import ArmSetup, Duels, Floats, Ids
from duelbench.agents.arms.contextual.base import UtilityAgent, pair_widths, rank_one, utilities
from duelbench.agents.arms.contextual.logistic import LogisticRegression
from duelbench.types import Observation


class LayeredAgent(UtilityAgent):
    """Walks through the layers. Subclasses say how wide, how far behind, how heavy, and how to exploit.

    Args:
        setup: see ``ArmAgent``.
        config: see ``ArmAgent``.
        starts: V_l = starts[l − 1] · I without duels, (L,).
        ridges: λ of each layer's regression, (L,).
        scale: what widths ‖z‖_{V_l⁻¹} are multiplied by before they are compared.
        margins: how far behind the best arm's utility an arm may be to go on to the next layer, (L,).
        finest: width at which exploiting begins, at least 2^−L.
    """

    def __init__(
        self, setup: ArmSetup, config: Any, starts: Floats, ridges: Floats, scale: float, margins: Floats, finest: float
    ) -> None:
        super().__init__(setup, config)
        self.scale, self.margins, self.finest = scale, margins, finest
        self.layers = len(starts)
        self.levels = 0.5 ** np.arange(1, self.layers + 1)
        pairs = setup.arms if setup.fixed_features else 0
        self.layer_model = LogisticRegression(setup.rows * self.layers, setup.dim, np.tile(ridges, setup.rows), pairs)
        self.layer_inverse = np.tile(np.eye(setup.dim) / starts[:, None, None], (setup.rows, 1, 1, 1))
        self._alive = np.ones((setup.rows, self.layers, setup.arms), bool)  # arms that reach each layer
        self._entry = np.zeros(setup.rows, np.int64)  # layers before this one decide as they did in the last round

    def propose(self, observation: Observation) -> Duels:
        """A pair that a layer needs to know more about, or one to exploit."""
        features = self.features(observation)
        thetas = self.layer_model.theta.reshape(len(features), self.layers, -1)
        drawn = self.rng.random(len(features))
        pairs = np.zeros((len(features), 2), np.int64)
        if not self.setup.fixed_features:
            self._entry[:] = 0
        rows = self.every_row
        while len(rows):
            layer = self._entry[rows]
            arms, alive = features[rows], self._alive[rows, layer]
            widths = self.scale * pair_widths(arms, self.layer_inverse[rows, layer])
            widths *= alive[:, :, None] & alive[:, None, :]
            utility = np.where(alive, utilities(arms, thetas[rows, layer]), -np.inf)
            largest, level = widths.max((1, 2)), self.levels[layer]
            done = largest <= self.finest
            wide = ~done & (largest > level)
            if wide.any():
                pairs[rows[wide]] = random_pair(widths[wide] > level[wide, None, None], drawn[rows[wide]])
            if done.any():
                pairs[rows[done]] = self.exploit(utility[done], widths[done], drawn[rows[done]])
            further = ~(done | wide)
            rows, layer, utility = rows[further], layer[further], utility[further]
            bar = utility.max(-1, initial=-np.inf) - self.margins[layer]
            self._alive[rows, layer + 1] = utility >= bar[:, None]
            self._entry[rows] += 1
        return pairs[:, 0], pairs[:, 1]

    def exploit(self, utility: Floats, widths: Floats, drawn: Floats) -> Ids:
        """A good pair of the arms left.

        Args:
            utility: in the layer's estimate, −∞ for arms left behind, (n, K).
            widths: scaled, 0 for pairs left behind, (n, K, K).
            drawn: a uniform number, (n,).

        Returns:
            Pairs, (n, 2).
        """
        raise NotImplementedError

    def layer_weights(self, layer: Ids, widths: Floats) -> Floats:
        """How much duels of these widths count in their layers, (n,)."""
        raise NotImplementedError

    def update(self, observation: Observation, firsts: Ids, seconds: Ids, feedback: Floats) -> None:
        """Learn in the layer that the pair belongs to, and in the regression on all duels."""
        self.t += 1
        z = self.difference(observation, firsts, seconds)
        self.model.add(z, feedback, firsts, seconds)
        square = (np.matmul(self.layer_inverse, z[:, None, :, None])[..., 0] * z[:, None]).sum(-1)
        widths = self.scale * np.sqrt(np.maximum(square, 0.0))  # (S, L)
        needed = widths > self.levels
        rows = np.flatnonzero(needed.any(-1) & ~np.isnan(feedback))
        layer, z = needed[rows].argmax(-1), z[rows]
        self._entry[rows] = np.minimum(self._entry[rows], layer)
        weight = self.layer_weights(layer, widths[rows, layer])
        self.layer_model.add(z, feedback[rows], firsts[rows], seconds[rows], weight, rows * self.layers + layer)
        self.layer_inverse[rows, layer] = rank_one(self.layer_inverse[rows, layer], z, weight)


def random_pair(mask: NDArray[np.bool_], drawn: Floats) -> Ids:
    """The ⌊drawn · number⌋-th true entry of each (K, K) matrix, in C order, (n, 2)."""
    each = np.arange(len(mask))
    upto = mask.sum(-1).cumsum(-1)  # (n, K): true entries in this line and those above
    target = (drawn * upto[:, -1]).astype(np.int64)
    line = (upto <= target[:, None]).sum(-1)
    target -= np.where(line > 0, upto[each, line - 1], 0)
    column = (mask[each, line].cumsum(-1) <= target[:, None]).sum(-1)
    return np.stack([line, column], axis=-1)
