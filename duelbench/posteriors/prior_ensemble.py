"""Ensemble with randomised prior functions and bootstrap masks (Osband et al. 2018, arXiv 1806.03335).

Member k scores r_k(x) = f_k(x) + β p_k(x): f_k learns, p_k is a network of the same shape that never does. Where there
are no data the members go on differing by their priors. Each member sees each pair with probability ρ, drawn once when
the pair comes, so members also differ by their data (Osband et al. 2016, "bootstrapped DQN"); its loss divides by ρ.

Source of the sum of both networks: the paper's abstract and accounts of it. Weights of the priors have He's scale, so
that a prior's rewards of standardised features have a spread of the order of β.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Interval
from numpy.typing import NDArray

from duelbench.posteriors.ensemble import EnsembleConfig, EnsemblePosterior, forward, initial_weights
from duelbench.ranges import NonNegative
from duelbench.types import Metrics


@dataclass(frozen=True)
class PriorEnsembleConfig(EnsembleConfig):
    """Hyper-parameters of the ensemble with priors, and all those of the ensemble.

    Attributes:
        prior_scale: β; 0 turns priors off.
        seen: ρ, probability that a member sees a pair; 1 turns the bootstrap off.
    """

    prior_scale: NonNegative = 1.0
    seen: Annotated[float, Interval(gt=0, le=1)] = 0.5


class PriorEnsemblePosterior(EnsemblePosterior):
    """K pairs of a network that learns and one that does not. Arguments as for ``EnsemblePosterior``."""

    Config = PriorEnsembleConfig
    config: PriorEnsembleConfig

    def __init__(self, dim: int, rng: np.random.Generator, config: PriorEnsembleConfig | None = None) -> None:
        config = config or PriorEnsembleConfig()
        super().__init__(dim, rng, config)
        self._priors = initial_weights(dim, config.members, replace(config, init_scale=float(np.sqrt(2.0))), rng)
        self._masks = np.empty((0, config.members), bool)  # of the pairs in the buffer

    def update(self, chosen: NDArray[np.float32], rejected: NDArray[np.float32], labels: int) -> Metrics:
        """Draw who sees the n new pairs (n, d), then learn."""
        drawn = self._rng.random((len(chosen), self.config.members)) < self.config.seen
        self._masks = np.concatenate([self._masks, drawn])[-self.config.buffer :]
        return super().update(chosen, rejected, labels)

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            prior = forward(self._priors, x)
        return super()._forward(x) + self.config.prior_scale * prior

    def _loss(self, gap: torch.Tensor, index: NDArray[np.int64]) -> torch.Tensor:
        mask = torch.from_numpy(self._masks[index].T.astype(np.float32))
        return -(mask * F.logsigmoid(gap)).mean() / self.config.seen

    def state_dict(self) -> dict[str, Any]:
        """The ensemble's, priors and masks."""
        priors = {str(i): weight for i, weight in enumerate(self._priors)}
        return super().state_dict() | {"priors": priors, "masks": self._masks}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        super().load_state_dict(state)
        self._priors = [state["priors"][str(i)].clone() for i in range(len(self._priors))]
        self._masks = state["masks"]
