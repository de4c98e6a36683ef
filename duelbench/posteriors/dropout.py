"""One reward network, and dropout masks for posterior samples (Gal & Ghahramani 2016, arXiv 1506.02142).

While learning, every pair draws masks of its own, the same for both responses: the loss is on the difference of one
sampled function. Between two updates K fixed masks, the same for all prompts and responses, stand for K posterior
samples, so that a sample is one function of everything it is asked about. Kept units are divided by the probability
that they are kept. Dropout is on both hidden layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Interval
from numpy.typing import NDArray

from duelbench.posteriors.ensemble import EnsembleConfig, EnsemblePosterior
from duelbench.types import Metrics


@dataclass(frozen=True)
class DropoutConfig(EnsembleConfig):
    """Hyper-parameters of MC-dropout, and those of the ensemble, of which ``members`` is the number of masks, K.

    Attributes:
        drop: probability that a hidden unit is dropped.
    """

    drop: Annotated[float, Interval(gt=0, lt=1)] = 0.1


class DropoutPosterior(EnsemblePosterior):
    """One network under K masks. Arguments as for ``EnsemblePosterior``."""

    Config = DropoutConfig
    config: DropoutConfig

    def __init__(self, dim: int, rng: np.random.Generator, config: DropoutConfig | None = None) -> None:
        config = config or DropoutConfig()
        super().__init__(dim, rng, config)
        self._masks = self._draw(config.members, 1)

    def _networks(self) -> int:
        return 1

    def update(self, chosen: NDArray[np.float32], rejected: NDArray[np.float32], labels: int) -> Metrics:
        """Learn from n pairs of features (n, d), then draw the masks of the next posterior samples."""
        metrics = super().update(chosen, rejected, labels)
        self._masks = self._draw(self.config.members, 1)
        return metrics

    def _forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._masked(x, self._masks)

    def _learning(self, x: torch.Tensor) -> torch.Tensor:
        return self._masked(x, self._draw(1, len(x) // 2).repeat(1, 1, 2, 1))

    def _draw(self, samples: int, rows: int) -> torch.Tensor:
        """Factors of the units of both hidden layers, (2, samples, rows, h)."""
        kept = self._rng.random((2, samples, rows, self.config.hidden)) >= self.config.drop
        return torch.from_numpy(kept.astype(np.float32) / np.float32(1.0 - self.config.drop))

    def _masked(self, x: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        w1, b1, w2, b2, w3, b3 = self._weights
        h = torch.relu(torch.matmul(x, w1) + b1) * masks[0]  # (samples, n, h)
        h = torch.relu(torch.matmul(h, w2) + b2) * masks[1]
        return (torch.matmul(h, w3) + b3).squeeze(-1)

    def state_dict(self) -> dict[str, Any]:
        """The network's, and the masks."""
        return super().state_dict() | {"masks": self._masks}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        super().load_state_dict(state)
        self._masks = state["masks"].clone()
