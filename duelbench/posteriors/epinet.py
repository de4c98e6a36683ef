"""An epistemic network: a point head, and K particles that say how sure it is.

Particle k scores r_k(x) = f(x) + g_k(x) + β p_k(x): f is the point head, learned by Bradley–Terry's likelihood; p_k
is a random network that never learns, g_k one that learns to make up for it where there are labels. f gets no gradient
from the particles. Where there are no labels they go on differing by their priors (Osband et al. 2023, arXiv
2107.08924; the form for preferences after Asghari et al. 2026, arXiv 2603.17378, whose backbone learns too).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Interval

from duelbench.posteriors.ensemble import EnsemblePosterior
from duelbench.posteriors.prior_ensemble import PriorEnsembleConfig, PriorEnsemblePosterior
from duelbench.ranges import Count, NonNegative
from duelbench.types import Metrics


@dataclass(frozen=True)
class EpinetConfig(PriorEnsembleConfig):
    """Hyper-parameters of the epistemic network, and all those of the ensemble with priors, for its particles.

    Attributes:
        members: K, particles (paper: 100).
        hidden: width of both hidden layers of a particle's two networks.
        point_hidden: the same of the point head.
        prior_scale: β.
        seen: probability that a particle sees a pair (paper: 1).
    """

    members: Count = 100
    hidden: Count = 32
    point_hidden: Count = 128
    prior_scale: NonNegative = 1.0
    seen: Annotated[float, Interval(gt=0, le=1)] = 1.0


class EpinetPosterior(PriorEnsemblePosterior):
    """A point head and K particles. Arguments as for ``EnsemblePosterior``."""

    Config = EpinetConfig
    config: EpinetConfig

    def __init__(self, dim: int, rng: np.random.Generator, config: EpinetConfig | None = None) -> None:
        config = config or EpinetConfig()
        self._point = EnsemblePosterior(dim, rng, replace(config, members=1, hidden=config.point_hidden))
        super().__init__(dim, rng, config)
        self._point.pairs = self.pairs  # one buffer, on one scale

    def learn(self, labels: int) -> Metrics:
        """The point head learns from the pairs in the buffer, then the particles do."""
        self._point.learn(labels)
        return super().learn(labels)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            point = self._point.scores(x)  # (1, n)
        return super()._forward(x) + point

    def state_dict(self) -> dict[str, Any]:
        """The particles', and the point head's."""
        point = self._point.state_dict()
        kept = {name: point[name] for name in ("weights", "initial", "optimizer")}
        return super().state_dict() | {"point": kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        super().load_state_dict(state)
        self._point.load_state_dict({**state, **state["point"]})
