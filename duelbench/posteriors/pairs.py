"""The pairs a posterior has been shown, on a scale of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from duelbench.types import Metrics

Features = NDArray[np.float32]


class PairBuffer:
    """Features of preferred and dispreferred responses, the newest last.

    Features are standardised by the mean and spread of the first batch that is scored.

    Args:
        dim: d.
        size: most pairs kept; the oldest are dropped.
    """

    def __init__(self, dim: int, size: int) -> None:
        self.size = size
        # Chosen and rejected, with room for more than there are, so that adding copies nothing.
        self._rows = np.empty((2, 0, dim), np.float32)
        self._kept = slice(0, 0)
        self._centre: Features | None = None
        self._scale: Features | None = None

    def __len__(self) -> int:
        """Number of pairs, n."""
        return self._kept.stop - self._kept.start

    @property
    def chosen(self) -> Features:
        """Features of the preferred responses as they came, (n, d)."""
        return self._rows[0, self._kept]

    @property
    def rejected(self) -> Features:
        """Features of the dispreferred responses as they came, (n, d)."""
        return self._rows[1, self._kept]

    @property
    def scaled(self) -> bool:
        """Whether anything has been scored yet."""
        return self._centre is not None

    @property
    def scale(self) -> Features:
        """Spread of each feature in the first batch, (d,)."""
        assert self._scale is not None
        return self._scale

    def fit_scale(self, features: Features) -> None:
        """Take mean and spread of the first batch (n, d); later batches change nothing."""
        if self._centre is None:
            self._centre = features.mean(0)
            self._scale = features.std(0) + np.float32(1e-6)

    def standardise(self, features: Features) -> Features:
        """Features (n, d) in units of the first batch's spread."""
        assert self._centre is not None and self._scale is not None
        standard: Features = (features - self._centre) / self._scale
        return standard

    def add(self, chosen: Features, rejected: Features) -> None:
        """Remember n pairs of features (n, d)."""
        end = self._kept.stop + len(chosen)
        if end > self._rows.shape[1]:
            kept = self._rows[:, self._kept]
            end = len(self) + len(chosen)
            self._rows = np.empty((2, 2 * end, kept.shape[-1]), np.float32)  # copied once in as many pairs as are kept
            self._rows[:, : kept.shape[1]] = kept
        self._rows[:, end - len(chosen) : end] = chosen, rejected
        self._kept = slice(max(end - self.size, end - len(self) - len(chosen)), end)

    def state_dict(self) -> dict[str, Any]:
        """Pairs and standardisation."""
        return {"centre": self._centre, "scale": self._scale, "chosen": self.chosen, "rejected": self.rejected}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what ``state_dict`` gave."""
        self._centre, self._scale = state["centre"], state["scale"]
        self._rows = np.stack([state["chosen"], state["rejected"]])
        self._kept = slice(0, self._rows.shape[1])


def accuracy(chosen: NDArray[np.floating], rejected: NDArray[np.floating]) -> Metrics:
    """Agreement of the mean sample with labels, from rewards (E, n) of both sides; nothing of no labels."""
    if not chosen.shape[-1]:
        return {}
    return {"posterior_accuracy": float((chosen.mean(0) > rejected.mean(0)).mean())}
